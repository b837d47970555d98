#include "pipeline/known_secrets.hpp"

#include "pipeline/redaction.hpp"

#include <algorithm>
#include <array>

namespace opsd::pipeline {
namespace {

constexpr auto npos = std::string_view::npos;
constexpr std::size_t longest_name = 64;  // looked at on either side of a word
constexpr std::size_t most_escapes = 8;   // JSON in JSON in JSON
constexpr std::size_t longest_signed = 600;

constexpr char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return small(c) >= 'a' && small(c) <= 'z'; }
constexpr bool is_name(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.'; }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
constexpr bool is_quote(char c) { return c == '"' || c == '\''; }
constexpr bool is_line_end(char c) { return c == '\n' || c == '\r' || c == '\0'; }
constexpr bool is_space(char c) { return is_blank(c) || is_line_end(c); }

char at(std::string_view text, std::size_t i) { return i < text.size() ? text[i] : '\0'; }

/// Does the word, written small, stand there, in any case?
bool stands(std::string_view text, std::size_t i, std::string_view word)
{
    return i <= text.size() && word.size() <= text.size() - i
           && std::ranges::equal(text.substr(i, word.size()), word, {}, small);
}

std::size_t skip_blanks(std::string_view text, std::size_t i)
{
    while (i < text.size() && is_blank(text[i]))
        ++i;
    return i;
}

std::size_t line_end(std::string_view text, std::size_t i)
{
    while (i < text.size() && !is_line_end(text[i]))
        ++i;
    return i;
}

/// How much of its text a name covers.
enum class Reach {
    word,    ///< a word, or what is in quotes
    line,    ///< a header: what is in quotes, or all of the line
    cookie,  ///< behind a colon all cookies of the line, else one of them
};

struct Word {
    std::string_view text;
    std::size_t back = 0;  ///< where in it the character is by which it is found
    Reach reach = Reach::word;
};

/// Each is found by one character that is rare in logs.
constexpr std::array<Word, 9> words{{{"passw", 0},
                                     {"passphrase", 0},
                                     {"pwd", 0},
                                     {"token", 2},
                                     {"secret", 2},
                                     {"credential", 0},
                                     {"authorization", 7, Reach::line},
                                     {"cookie", 3, Reach::cookie},
                                     {"bearer", 0}}};

/// "key" is no secret by itself: a primary key is none.
constexpr std::array<std::string_view, 10> keys{"api",        "access", "private", "secret", "signing",
                                                "encryption", "auth",   "account", "master", "shared"};

constexpr std::array<bool, 256> trigger_table()
{
    std::array<bool, 256> all{};
    for (const char c : std::string_view{":pPkKcCzZbB4"})
        all[static_cast<unsigned char>(c)] = true;
    return all;
}
constexpr auto may_trigger = trigger_table();

/// The two letters that a word has there, one of them before or behind.
bool fits(char before, char c, char after)
{
    switch (small(c)) {
    case ':':
        return after == '/';
    case 'p':
        return after == 'a' || after == 'w';
    case 'k':
        return before == 'o' || after == 'e';
    case 'c':
        return after == 'r';
    case 'z':
        return before == 'i' || before == 'm';
    case 'b':
        return after == 'e';
    default:
        return before == 's';  // aws4
    }
}

/// Where the next secret may be told by its character; most of a text is passed over here.
std::size_t next_trigger(std::string_view text, std::size_t i)
{
    for (; i < text.size(); ++i) {
        if (!may_trigger[static_cast<unsigned char>(text[i])]) continue;
        const char before = i == 0 ? '\0' : small(text[i - 1]);
        if (fits(before, text[i], small(at(text, i + 1)))) break;
    }
    return i;
}

bool is_secret_key(std::string_view text, std::size_t i)
{
    if (!stands(text, i, "key")) return false;
    while (i > 0 && (text[i - 1] == '_' || text[i - 1] == '-' || text[i - 1] == '.'))
        --i;
    return std::ranges::any_of(
        keys, [&](std::string_view word) { return i >= word.size() && stands(text, i - word.size(), word); });
}

/// PGPASS, db_pass: only as the end of a name, as many words begin so.
bool is_pass(std::string_view text, std::size_t i)
{
    if (!stands(text, i, "pass") || is_name(at(text, i + 4))) return false;
    const char before = i == 0 ? ' ' : text[i - 1];
    return !is_letter(before) || (i >= 2 && stands(text, i - 2, "pgpass"));
}

/// The word of a name that says "secret", at the character by which it is found.
std::optional<Word> word_at(std::string_view text, std::size_t i)
{
    for (const auto& word : words) {
        if (i >= word.back && stands(text, i - word.back, word.text)) return word;
    }
    if (is_secret_key(text, i)) return Word{"key", 0};
    if (is_pass(text, i)) return Word{"pass", 0};
    return std::nullopt;
}

struct Name {
    std::size_t begin = 0;
    std::size_t end = 0;
    Reach reach = Reach::word;
};

/// All of a name: what stands before and behind its word, as in AWS_SECRET_ACCESS_KEY.
Name name_around(std::string_view text, std::size_t begin, std::size_t end, Reach reach)
{
    for (std::size_t i = 0; i < longest_name && begin > 0 && is_name(text[begin - 1]); ++i)
        --begin;
    for (std::size_t i = 0; i < longest_name && end < text.size() && is_name(text[end]); ++i)
        ++end;
    return {begin, end, reach};
}

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> ends)
{
    return std::ranges::any_of(ends, [name](std::string_view end) {
        return name.size() >= end.size() && stands(name, name.size() - end.size(), end);
    });
}

/// Names of units are no names of values: systemd-ask-password-console.path: Deactivated.
bool is_unit(std::string_view name)
{
    return ends_with_any(name, {".service", ".path", ".socket", ".target", ".timer", ".mount", ".slice"});
}

/// Where a secret is kept is none: PWD=/root, password_file: /etc/x.
bool is_place(std::string_view name, char value)
{
    return value == '/' && ends_with_any(name, {"pwd", "file", "path", "dir"});
}

/// A quote, with the backslashes before it that nesting has brought.
struct Quote {
    char mark = '\0';
    std::size_t escapes = 0;
    std::size_t end = 0;  ///< behind it
};

std::optional<Quote> quote_at(std::string_view text, std::size_t i)
{
    const auto begin = i;
    while (i < text.size() && i - begin <= most_escapes && text[i] == '\\')
        ++i;
    if (!is_quote(at(text, i)) || i - begin > most_escapes) return std::nullopt;
    return Quote{text[i], i - begin, i + 1};
}

/// Where the quoted text ends; the line's end when that is missing, as in a text that was cut.
std::size_t closing(std::string_view text, const Quote& quote)
{
    std::size_t escapes = 0;
    for (auto i = quote.end; i < text.size(); ++i) {
        if (text[i] == quote.mark && escapes <= quote.escapes) return i - escapes;
        escapes = text[i] == '\\' ? escapes + 1 : 0;
    }
    return line_end(text, quote.end);
}

/// What stands between a name and its value.
struct Separator {
    char mark = '\0';       ///< : or =; a blank behind a flag
    std::size_t value = 0;  ///< where that begins
    bool json = false;      ///< the name was in quotes
};

std::optional<Separator> flag_separator(std::string_view text, const Name& name, std::size_t i, bool quoted)
{
    if (text[name.begin] != '-') return std::nullopt;
    if (quoted && at(text, i) == ',') ++i;  // ["--password","x"]
    const auto value = skip_blanks(text, i);
    const bool apart = value > i || (quoted && quote_at(text, value));
    if (!apart || value >= text.size() || text[value] == '-' || is_line_end(text[value])) return std::nullopt;
    return Separator{' ', value};
}

std::optional<Separator> separator(std::string_view text, const Name& name)
{
    auto i = name.end;
    const auto quote = quote_at(text, i);
    if (quote) i = quote->end;
    const auto behind = i;
    if (at(text, i) == ']') ++i;  // headers["Authorization"] = ...
    i = skip_blanks(text, i);
    const char mark = at(text, i);
    if (mark != ':' && mark != '=') return flag_separator(text, name, behind, quote.has_value());
    ++i;
    const char next = at(text, i);
    if (mark == ':' && (next == ':' || (next == '/' && at(text, i + 1) == '/'))) return std::nullopt;
    if (next == '=' || (mark == '=' && next == '>')) ++i;
    return Separator{mark, skip_blanks(text, i), quote && mark == ':'};
}

/// What follows is the next parameter: " name=".
bool starts_parameter(std::string_view text, std::size_t i)
{
    i = skip_blanks(text, i);
    const auto begin = i;
    while (i < text.size() && i - begin < longest_name && is_name(text[i]))
        ++i;
    return i > begin && at(text, i) == '=';
}

/// A word's end: a blank, a quote, and what parts parameters. A comma or so within is of the word.
std::size_t word_end(std::string_view text, std::size_t begin, bool in_list)
{
    auto i = begin;
    for (; i < text.size(); ++i) {
        const char c = text[i];
        if (is_space(c) || is_quote(c) || (in_list && c == ']')) break;
        const char next = at(text, i + 1);
        const bool parts = c == ',' || c == ';' || c == '&';
        if (parts && (is_space(next) || is_quote(next))) break;
        if ((c == ';' || c == '&') && starts_parameter(text, i + 1)) break;
    }
    while (i > begin && is_quote(at(text, i)) && text[i - 1] == '\\')
        --i;
    return i;
}

/// A header's end: the line's, or a quote that was opened before its name. Quotes of its own parameters, as
/// in response="...", are within.
std::size_t header_end(std::string_view text, std::size_t begin, bool in_list)
{
    for (auto i = begin; i < text.size(); ++i) {
        if (is_line_end(text[i]) || (in_list && text[i] == ']')) return i;
        const auto quote = quote_at(text, i);
        if (!quote) continue;
        if (i == 0 || text[i - 1] != '=') return i;
        i = closing(text, *quote) + quote->escapes;
    }
    return text.size();
}

/// The scheme of credentials says nothing secret, and much to people: Bearer, Basic.
std::size_t skip_scheme(std::string_view text, std::size_t i)
{
    for (const std::string_view scheme : {"bearer", "basic", "splunk", "token", "digest", "apikey",
                                          "negotiate", "ntlm", "aws4-hmac-sha256"}) {
        if (!stands(text, i, scheme)) continue;
        const auto end = i + scheme.size();
        if (is_blank(at(text, end))) return skip_blanks(text, end);
        if (at(text, end) == '=' || at(text, end) == ':') return skip_blanks(text, end + 1);
    }
    return i;
}

/// A key in PEM, which has many lines: behind its end, or that of the text.
std::optional<std::size_t> pem_end(std::string_view text, std::size_t i)
{
    constexpr std::string_view end = "-----END ";
    if (!stands(text, i, "-----begin ")) return std::nullopt;
    const auto last = text.find(end, i);
    const auto dashes = last == npos ? npos : text.find("-----", last + end.size());
    return dashes == npos ? text.size() : dashes + 5;
}

/// Behind the bracket that closes the one at `i`, quotes aside; the line's end when that is missing.
std::size_t bracket_end(std::string_view text, std::size_t i)
{
    std::size_t depth = 0;
    for (const auto end = line_end(text, i); i < end; ++i) {
        if (const auto quote = quote_at(text, i)) {
            i = closing(text, *quote) + quote->escapes;
            continue;
        }
        if (text[i] == '{' || text[i] == '[') ++depth;
        if ((text[i] == '}' || text[i] == ']') && --depth == 0) return i;
    }
    return std::min(i, text.size());
}

/// A number under such a name is none of a safe: max_tokens, token_count, password_age.
bool counts_something(std::string_view name)
{
    return ends_with_any(name, {"s", "count", "length", "id", "ttl", "expiry", "age"});
}

/// A value of JSON without quotes. true, false and null are no secrets, nor is a number that counts.
std::optional<SecretAt> json_value(std::string_view text, std::size_t i, std::string_view name)
{
    auto end = i;
    while (end < text.size() && !is_space(text[end]) && std::string_view{",}]\\\""}.find(text[end]) == npos)
        ++end;
    const auto word = text.substr(i, end - i);
    if (word.empty()) return std::nullopt;
    const bool number = word.find_first_not_of("0123456789+-.eE") == npos;
    if ((number && counts_something(name)) || word == "true" || word == "false" || word == "null")
        return SecretAt{i, i};
    return SecretAt{i, end};
}

SecretAt value_of(std::string_view text, const Separator& apart, const Name& name, SecretText kind)
{
    const auto reach = name.reach;
    auto i = apart.value;
    if (const auto end = pem_end(text, i)) return {i, *end};
    if (kind == SecretText::environment && apart.mark == '=') return {i, line_end(text, i)};
    const bool header =
        (reach == Reach::line && apart.mark != ' ') || (reach == Reach::cookie && apart.mark == ':');
    const bool in_list = at(text, i) == '[' && !text.substr(i).starts_with(redacted);  // as Go and JSON do
    const auto first = in_list ? skip_blanks(text, i + 1) : i;
    const bool nested = at(text, first) == '{' || (in_list && at(text, first) == '[');
    const bool several = nested || (in_list && quote_at(text, first));
    if (!header && several) return {i + 1, bracket_end(text, i)};
    if (in_list) i = skip_blanks(text, i + 1);
    if (at(text, i) == 'b' && is_quote(at(text, i + 1))) ++i;  // bytes, as Python writes them
    if (const auto quote = quote_at(text, i)) {
        const auto end = closing(text, *quote);
        return {header ? std::min(skip_scheme(text, quote->end), end) : quote->end, end};
    }
    if (!header && apart.json && !in_list) {
        if (const auto bare = json_value(text, i, text.substr(name.begin, name.end - name.begin)))
            return *bare;
    }
    if (!header) return {i, word_end(text, i, in_list)};
    i = skip_scheme(text, i);
    if (const auto quote = quote_at(text, i)) return {quote->end, closing(text, *quote)};
    return {i, header_end(text, i, in_list)};
}

/// What stands alone, not in a header: "Bearer eyJ...". A word of people is no token: Bearer authentication.
std::optional<SecretAt> bare_token(std::string_view text, std::size_t i)
{
    constexpr std::string_view bearer = "bearer";
    if (!stands(text, i, bearer) || (i > 0 && is_name(text[i - 1]))) return std::nullopt;
    const auto begin = skip_blanks(text, i + bearer.size());
    if (begin == i + bearer.size()) return std::nullopt;
    auto end = begin;
    bool plain = true;
    for (; end < text.size(); ++end) {
        const char c = text[end];
        if (!is_name(c) && std::string_view{"~+/="}.find(c) == npos) break;
        const bool capital = c >= 'A' && c <= 'Z' && end > begin;
        plain = plain && is_letter(c) && !capital;
    }
    constexpr std::size_t longest_word = 16;
    if (end == begin || (plain && end - begin < longest_word)) return std::nullopt;
    return SecretAt{begin, end};
}

/// Of an AWS request whose header or address stands alone.
std::optional<SecretAt> signature(std::string_view text, std::size_t i)
{
    constexpr std::string_view word = "signature=";
    std::size_t begin = npos;
    if (i >= 4 && stands(text, i - 4, "x-amz-") && stands(text, i + 2, word)) begin = i + 2 + word.size();
    if (i >= 3 && stands(text, i - 3, "aws4-hmac-sha256")) {
        const auto end = std::min(text.size(), i + longest_signed);
        for (auto j = i; j < end && !is_line_end(text[j]) && begin == npos; ++j) {
            if (small(text[j]) == 's' && stands(text, j, word)) begin = j + word.size();
        }
    }
    if (begin == npos) return std::nullopt;
    return SecretAt{begin, word_end(text, begin, false)};
}

/// scheme://user:password@host, at its colon. A password may have slashes and at-signs in it, so it goes to
/// the last at-sign; but a number and a slash are a port, and what follows a path.
std::optional<SecretAt> password_of_address(std::string_view text, std::size_t colon)
{
    if (!stands(text, colon, "://") || colon == 0 || !is_name(text[colon - 1])) return std::nullopt;
    auto i = colon + 3;
    if (at(text, i) == '[') return std::nullopt;  // an address of IPv6
    const auto in_user = [](char c) { return !is_space(c) && !is_quote(c) && c != ':' && c != '/'; };
    while (i < text.size() && in_user(text[i]))
        ++i;
    if (at(text, i) != ':') return std::nullopt;
    const auto begin = ++i;
    while (is_digit(at(text, i)))
        ++i;
    const bool zookeeper = colon >= 2 && stands(text, colon - 2, "zk");  // no at-sign in its paths
    if (i > begin && at(text, i) == '/' && !zookeeper) return std::nullopt;
    auto end = npos;
    for (i = begin; i < text.size() && !is_space(text[i]) && !is_quote(text[i]); ++i) {
        if (text[i] == ':' && stands(text, i, "://")) break;
        if (text[i] == '@') end = i;
    }
    if (end == npos || end == begin) return std::nullopt;
    return SecretAt{begin, end};
}

bool is_new(std::string_view text, const SecretAt& secret)
{
    return secret.begin < secret.end && !text.substr(secret.begin).starts_with(redacted);
}

std::optional<SecretAt> secret_at(std::string_view text, std::size_t i, SecretText kind)
{
    if (text[i] == ':') return password_of_address(text, i);
    if (const auto word = word_at(text, i)) {
        const auto begin = i - word->back;
        const auto name = name_around(text, begin, begin + word->text.size(), word->reach);
        const auto apart = separator(text, name);
        const auto all = text.substr(name.begin, name.end - name.begin);
        if (apart && !is_unit(all) && !is_place(all, at(text, apart->value))) {
            const auto secret = value_of(text, *apart, name, kind);
            if (is_new(text, secret)) return secret;
        }
    }
    if (const auto token = bare_token(text, i)) return token;
    return signature(text, i);
}

}  // namespace

std::optional<SecretAt> next_secret(std::string_view text, std::size_t from, SecretText kind)
{
    for (auto i = next_trigger(text, from); i < text.size(); i = next_trigger(text, i + 1)) {
        const auto secret = secret_at(text, i, kind);
        // What a word before `from` has named is behind us.
        if (secret && secret->begin >= from && is_new(text, *secret)) return secret;
    }
    return std::nullopt;
}

bool names_a_secret(std::string_view name, std::string_view value)
{
    for (auto i = next_trigger(name, 0); i < name.size(); i = next_trigger(name, i + 1)) {
        if (word_at(name, i)) return !is_place(name, at(value, 0));
    }
    return false;
}

}  // namespace opsd::pipeline
