// YAML in and out. The parser is yaml-cpp's event interface: it shows anchors, tags and quotes, which the
// node tree hides, and no tree of its own is built from a hostile file.

#include "core/config/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>
#include <unordered_map>

namespace opsd::config {
namespace {

/// Decodes one UTF-8 character at `at` and moves past it; nothing when the bytes are not UTF-8.
std::optional<char32_t> next_character(std::string_view text, std::size_t& at)
{
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(at);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xC2 ? 0
                               : first < 0xE0 ? 2
                               : first < 0xF0 ? 3
                               : first < 0xF5 ? 4
                                              : 0;
    if (length == 0 || at + length > text.size()) return std::nullopt;
    char32_t character = length == 1 ? first : first & (0x7FU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(at + i) & 0xC0U) != 0x80) return std::nullopt;
        character = (character << 6U) | (byte(at + i) & 0x3FU);
    }
    constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = character >= 0xD800 && character <= 0xDFFF;
    if (character < least[length] || character > 0x10FFFF || surrogate) return std::nullopt;
    at += length;
    return character;
}

/// yaml-cpp 0.7 turns the escapes \N and \_ into the bare bytes 85 and A0. All other text is UTF-8 by now.
std::string repaired(const std::string& text)
{
    std::string all;
    for (std::size_t at = 0; at < text.size();) {
        const auto start = at;
        if (next_character(text, at)) {
            all.append(text, start, at - start);
            continue;
        }
        all.append("\xC2").append(1, text[at++]);
    }
    return all;
}

/// Thrown through yaml-cpp by the handler; ends in parse_document().
struct Refused {
    int line;
    std::string text;
};

// With anchors refused, yaml-cpp finds every alias undefined and says so before the handler sees it.
constexpr auto no_aliases =
    "aliases (*name) are not allowed; write the value out, in quotes if it begins with *";

/// Builds a Value from events and refuses what a configuration has no use for.
class Builder final : public YAML::EventHandler {
public:
    Builder(std::string_view text, const Where& where) : text_{text}, base_{where} {}

    [[nodiscard]] bool complete() const { return complete_; }
    Value take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark& mark) override
    {
        if (std::exchange(started_, true)) {
            throw Refused{line(mark), "a second document begins here; write one file per document"};
        }
    }
    void OnDocumentEnd() override { complete_ = true; }

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override
    {
        refuse_anchor(mark, anchor);
        if (wants_key()) throw Refused{line(mark), "a key is empty or null; put it in quotes if it is meant"};
        add(mark, Value{});
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { throw Refused{line(mark), no_aliases}; }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& parsed) override
    {
        const auto text = repaired(parsed);
        refuse_anchor(mark, anchor);
        if (tag == "!")
            check_quotes(mark);
        else if (tag != "?")
            refuse_tag(mark);
        if (wants_key()) {
            begin_field(mark, text);
            return;
        }
        add(mark, Value::scalar(text, tag == "!" || !detail::plain(text)));
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        open(mark, tag, anchor, Value::list());
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        open(mark, tag, anchor, Value::map());
    }
    void OnMapEnd() override { close(); }

    [[nodiscard]] int line(const YAML::Mark& mark) const
    {
        return base_.line == 0 ? 0 : base_.line + std::max(mark.line, 0);
    }

private:
    struct Level {
        Value value;
        std::optional<std::string> key;  // of a map: set while its value is awaited
        int key_line = 0;
        std::unordered_map<std::string, int> seen;  // keys and their lines
    };

    [[nodiscard]] bool wants_key() const
    {
        return !levels_.empty() && levels_.back().value.kind == Value::Kind::map && !levels_.back().key;
    }

    void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const
    {
        if (anchor == YAML::NullAnchor) return;
        throw Refused{line(mark),
                      "anchors (&name) are not allowed; write the value out, in quotes if it begins with &"};
    }

    [[noreturn]] void refuse_tag(const YAML::Mark& mark) const
    {
        throw Refused{line(mark),
                      "tags (!name) are not allowed; put the value in quotes if it begins with !"};
    }

    /// yaml-cpp lets the end of the file close a quote, and with it swallow every setting that follows.
    void check_quotes(const YAML::Mark& mark) const
    {
        const auto at = static_cast<std::size_t>(std::max(mark.pos, 0));
        const char open = at < text_.size() ? text_[at] : '\0';
        if (open == '|' || open == '>') return;
        if (open != '"' && open != '\'') refuse_tag(mark);  // "! text"
        for (auto i = at + 1; i < text_.size(); ++i) {
            const bool doubled = open == '\'' && text_.substr(i, 2) == "''";
            if (doubled || (open == '"' && text_[i] == '\\'))
                ++i;
            else if (text_[i] == open)
                return;
        }
        throw Refused{line(mark), fmt::format("the quote {} that opens here is never closed", open)};
    }

    void begin_field(const YAML::Mark& mark, const std::string& key)
    {
        auto& level = levels_.back();
        if (key.size() > detail::max_key_bytes) {
            throw Refused{line(mark), fmt::format("a key of {} bytes, at most {} are allowed", key.size(),
                                                  detail::max_key_bytes)};
        }
        if (level.seen.size() >= detail::max_keys) {
            throw Refused{line(mark), fmt::format("more than {} keys in one section", detail::max_keys)};
        }
        const auto [at, fresh] = level.seen.emplace(key, line(mark));
        if (!fresh) {
            const auto first =
                at->second > 0 ? fmt::format("; the first is in line {}", at->second) : std::string{};
            throw Refused{line(mark),
                          fmt::format("the key {} is written twice{}", detail::quote(key), first)};
        }
        level.key = key;
        level.key_line = line(mark);
    }

    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Value value)
    {
        refuse_anchor(mark, anchor);
        if (tag != "?" && !tag.empty()) refuse_tag(mark);
        if (wants_key())
            throw Refused{line(mark),
                          "a key is a list or a section, must be a text; is a bracket left open?"};
        if (levels_.size() >= detail::max_levels) {
            throw Refused{line(mark), fmt::format("more than {} levels", detail::max_levels)};
        }
        value.where = {base_.file, line(mark)};
        levels_.push_back({std::move(value), std::nullopt, 0, {}});
    }

    void close()
    {
        auto value = std::move(levels_.back().value);
        levels_.pop_back();
        place(std::move(value));
    }

    void add(const YAML::Mark& mark, Value value)
    {
        value.where = {base_.file, line(mark)};
        place(std::move(value));
    }

    void place(Value value)
    {
        if (levels_.empty()) {
            root_ = std::move(value);
            return;
        }
        auto& level = levels_.back();
        if (level.value.kind == Value::Kind::list) {
            level.value.items.push_back(std::move(value));
            return;
        }
        value.where.line = level.key_line;  // a section is where its key is, not where its first field is
        level.value.fields.push_back({std::move(*level.key), std::move(value)});
        level.key.reset();
    }

    std::string_view text_;
    Where base_;
    Value root_;
    std::vector<Level> levels_;
    bool started_ = false;
    bool complete_ = false;
};

/// yaml-cpp takes byte 4 for the end of the file and guesses UTF-16 from NULs: neither gets that far.
std::optional<Refused> refuse_bytes(std::string_view text, int first_line)
{
    int line = first_line;
    for (std::size_t at = 0; at < text.size();) {
        const auto start = at;
        const auto character = next_character(text, at);
        if (!character)
            return Refused{line,
                           fmt::format("byte {:#04x} is not UTF-8", static_cast<unsigned char>(text[start]))};
        if (*character == '\n' && first_line > 0) ++line;
        const bool control =
            *character < 0x20 && *character != '\n' && *character != '\r' && *character != '\t';
        if (control || *character == 0x7F) {
            return Refused{line,
                           fmt::format("control character {:#04x}; write it as \"\\x{:02x}\" in quotes",
                                       static_cast<unsigned>(*character), static_cast<unsigned>(*character))};
        }
    }
    return std::nullopt;
}

std::string yaml_sentence(const YAML::Exception& error)
{
    if (error.msg.starts_with(YAML::ErrorMsg::UNKNOWN_ANCHOR)) return no_aliases;
    return "cannot be read as YAML: " + error.msg + "; check the indentation, brackets and quotes here";
}

/// The reading proper; throws Refused and what yaml-cpp throws.
Value read_events(std::string_view text, Builder& builder)
{
    std::istringstream stream{std::string{text}};
    YAML::Parser parser{stream};
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
}

}  // namespace

namespace detail {

std::expected<Value, Mistake> parse_document(std::string_view text, const Where& where)
{
    const auto mistake = [&where](int line, std::string sentence) {
        return std::unexpected{Mistake{{where.file, line}, "", std::move(sentence)}};
    };
    if (text.size() > max_bytes)
        return mistake(0, fmt::format("is {} bytes, at most {} are allowed", text.size(), max_bytes));
    if (auto refused = refuse_bytes(text, where.line))
        return mistake(refused->line, std::move(refused->text));
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // positions count from behind it
    Builder builder{text, where};
    try {
        auto value = read_events(text, builder);
        if (value.where.file.empty()) value.where = where;  // an empty document
        return value;
    } catch (const Refused& refused) {
        return mistake(refused.line, refused.text);
    } catch (const YAML::Exception& error) {
        return mistake(error.mark.is_null() ? where.line : builder.line(error.mark), yaml_sentence(error));
    } catch (const std::exception& error) {
        return mistake(where.line, fmt::format("cannot be read as YAML: {}", error.what()));
    }
}

bool plain(std::string_view text)
{
    const auto word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    const auto any = [word](char c) { return word(c) || std::string_view{"_./+-%@:"}.contains(c); };
    if (text.empty() || text.size() > 500 || text.back() == ':') return false;
    for (const std::string_view nothing : {"null", "Null", "NULL"}) {
        if (text == nothing) return false;
    }
    for (const char c : text) {
        if (!any(c)) return false;
    }
    if (word(text[0]) || text[0] == '_' || text[0] == '/') return true;
    return std::string_view{".+-"}.contains(text[0]) && text.size() > 1 && word(text[1]);
}

namespace {

/// Characters above ASCII that would vanish, break a line or upset a terminal.
bool unprintable(unsigned c)
{
    return (c >= 0x80 && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF || c == 0xFFFE || c == 0xFFFF;
}

}  // namespace

std::string quote(std::string_view text)
{
    std::string all = "\"";
    for (std::size_t at = 0; at < text.size();) {
        const auto start = at;
        const auto decoded = next_character(text, at);
        if (!decoded) {  // only a Value made by hand: parse_document() lets no such byte in
            all += "\\uFFFD";
            ++at;
            continue;
        }
        const auto c = static_cast<unsigned>(*decoded);
        if (c == '"' || c == '\\')
            all += {'\\', static_cast<char>(c)};
        else if (c == '\n')
            all += "\\n";
        else if (c == '\t')
            all += "\\t";
        else if (c == '\r')
            all += "\\r";
        else if (c < 0x20 || c == 0x7F)
            all += fmt::format("\\x{:02x}", c);
        else if (unprintable(c))
            all += fmt::format("\\u{:04X}", c);
        else
            all += text.substr(start, at - start);
    }
    return all + '"';
}

}  // namespace detail

std::expected<Value, Mistake> parse_yaml(std::string_view text, const std::string& file)
{
    auto value = detail::parse_document(text, {file, 1});
    if (!value || value->kind == Value::Kind::map) return value;
    if (value->kind == Value::Kind::null) {
        auto empty = Value::map();
        empty.where = {file, 1};
        return empty;
    }
    return std::unexpected{Mistake{
        value->where, "", "the document " + detail::is(*value) + ", must be a section of keys and values"}};
}

namespace {

bool only_scalars(const Value& list)
{
    for (const auto& item : list.items) {
        if (item.kind != Value::Kind::scalar && item.kind != Value::Kind::null) return false;
    }
    return true;
}

std::string scalar_text(const Value& value)
{
    if (value.kind == Value::Kind::null) return "null";
    return value.quoted || !detail::plain(value.text) ? detail::quote(value.text) : value.text;
}

void write(const Value& value, std::size_t indent, std::string& to);

void write_items(const Value& list, std::size_t indent, std::string& to)
{
    for (const auto& item : list.items) {
        to.append(indent, ' ').append("-");
        if (item.kind == Value::Kind::map && !item.fields.empty()) {
            // "- a: 1": the first field stands beside the dash, the others below it.
            std::string fields;
            write(item, indent + 2, fields);
            to.append(" ").append(fields, indent + 2);
        } else {
            write(item, indent + 2, to);
        }
    }
}

void write_fields(const Value& map, std::size_t indent, std::string& to)
{
    for (const auto& [key, value] : map.fields) {
        to.append(indent, ' ').append(detail::path_key(key)).append(":");
        if (value.kind == Value::Kind::map && !value.fields.empty()) to += '\n';
        write(value, indent + 2, to);
    }
}

/// Writes what follows "key:" or "-": on the same line, or as a block below. A block of fields starts on a
/// line of its own.
void write(const Value& value, std::size_t indent, std::string& to)
{
    switch (value.kind) {
    case Value::Kind::null:
    case Value::Kind::scalar:
        to.append(" ").append(scalar_text(value)).append("\n");
        return;
    case Value::Kind::map:
        if (value.fields.empty())
            to += " {}\n";
        else
            write_fields(value, indent, to);
        return;
    case Value::Kind::list:
        break;
    }
    if (!only_scalars(value)) {
        to += '\n';
        write_items(value, indent, to);
        return;
    }
    std::string inside;
    for (const auto& item : value.items)
        inside += (inside.empty() ? "" : ", ") + scalar_text(item);
    to.append(" [").append(inside).append("]\n");
}

}  // namespace

std::string to_yaml(const Value& value)
{
    std::string text;
    write(value, 0, text);
    if (!text.empty() && (text.front() == ' ' || text.front() == '\n'))
        text.erase(0, 1);  // a root that is no map
    return text;
}

}  // namespace opsd::config
