// Values, how they merge, and how mistakes about them read.

#include "core/config/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace opsd::config {

const Value* Value::find(std::string_view key) const
{
    const auto at = std::ranges::find(fields, key, &Entry::key);
    return at == fields.end() ? nullptr : &at->value;
}

Value Value::scalar(std::string text, bool quoted)
{
    Value value;
    value.kind = Kind::scalar;
    value.text = std::move(text);
    value.quoted = quoted;
    return value;
}

Value Value::map()
{
    Value value;
    value.kind = Kind::map;
    return value;
}

Value Value::list()
{
    Value value;
    value.kind = Kind::list;
    return value;
}

void Value::set(std::string key, Value value)
{
    const auto at = std::ranges::find(fields, key, &Entry::key);
    if (at == fields.end())
        fields.push_back({std::move(key), std::move(value)});
    else
        at->value = std::move(value);
}

bool Value::operator==(const Value& other) const
{
    const auto same_entry = [](const Entry& a, const Entry& b) {
        return a.key == b.key && a.value == b.value;
    };
    return kind == other.kind && text == other.text && quoted == other.quoted && items == other.items
           && std::ranges::equal(fields, other.fields, same_entry);
}

void merge(Value& base, const Value& over)
{
    // "health:" with everything below it commented out says nothing; it must not wipe what others say.
    if (over.kind == Value::Kind::null && base.kind == Value::Kind::map) return;
    if (over.kind != Value::Kind::map || base.kind != Value::Kind::map) {
        base = over;
        return;
    }
    for (const auto& [key, value] : over.fields) {
        const auto at = std::ranges::find(base.fields, key, &Value::Entry::key);
        if (at == base.fields.end())
            base.fields.push_back({key, value});
        else
            merge(at->value, value);
    }
}

std::string Mistake::to_string() const
{
    std::string all = where.file;
    if (where.line > 0) all += fmt::format(":{}", where.line);
    if (!all.empty()) all += ": ";
    if (!path.empty()) all += path + ": ";
    return all + text;
}

std::string show(const Value& value)
{
    switch (value.kind) {
    case Value::Kind::null:
        return "null";
    case Value::Kind::scalar:
        return value.quoted ? detail::quote(value.text) : value.text;
    case Value::Kind::list: {
        std::string all = "[";
        for (const auto& item : value.items)
            all += (all.size() > 1 ? ", " : "") + show(item);
        return all + "]";
    }
    case Value::Kind::map: {
        std::string all = "{";
        for (const auto& [key, field] : value.fields)
            all += (all.size() > 1 ? ", " : "") + detail::path_key(key) + ": " + show(field);
        return all + "}";
    }
    }
    return {};
}

namespace {

/// Letters in lower case, '-' as '_': whoever mixes these up means the same key.
std::string folded(std::string_view text)
{
    std::string all{text};
    for (auto& c : all) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (c == '-') c = '_';
    }
    return all;
}

/// Edits (insert, delete, replace, swap of neighbours) between two short words.
std::size_t distance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) now[j] = std::min(now[j], before_last[j - 2] + 1);
        }
        std::swap(before_last, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

}  // namespace

std::string nearest(std::string_view name, const std::vector<std::string>& candidates)
{
    if (name.empty() || name.size() > 64) return {};
    const auto wanted = folded(name);
    std::string best;
    auto best_distance = std::max<std::size_t>(2, wanted.size() / 3) + 1;
    for (const auto& candidate : candidates) {
        const auto d = distance(wanted, folded(candidate));
        // Half of a word must be right: "dns" is no spelling of "tls".
        if (d >= best_distance || 2 * d > std::max(wanted.size(), candidate.size())) continue;
        best = candidate;
        best_distance = d;
    }
    return best;
}

Rule<std::string> one_of(std::vector<std::string> words)
{
    auto text = fmt::format("one of {}", fmt::join(words, ", "));
    auto holds = [words](const std::string& value) { return std::ranges::find(words, value) != words.end(); };
    return {std::move(text), std::move(holds), std::move(words)};
}

namespace detail {

std::string path_key(std::string_view key) { return plain(key) ? std::string{key} : quote(key); }

std::string is(const Value& value)
{
    switch (value.kind) {
    case Value::Kind::null:
        return "is empty";
    case Value::Kind::list:
        return "is a list";
    case Value::Kind::map:
        return "is a section";
    case Value::Kind::scalar:
        break;
    }
    constexpr std::size_t limit = 80;
    if (value.text.size() > limit) return fmt::format("is a text of {} bytes", value.text.size());
    return "is " + show(value);
}

void walk(const Value& object, const std::string& path, const std::vector<std::string>& names,
          Mistakes& mistakes, const std::function<void(std::size_t, const Value&)>& assign)
{
    if (object.kind != Value::Kind::map) {
        mistakes.push_back({object.where, path, is(object) + ", must be a section of keys and values"});
        return;
    }
    for (const auto& [key, value] : object.fields) {
        const auto at = std::ranges::find(names, key);
        if (at != names.end()) {
            assign(static_cast<std::size_t>(at - names.begin()), value);
            continue;
        }
        const auto meant = nearest(key, names);
        auto text = meant.empty() ? fmt::format("unknown key, known are {}", fmt::join(names, ", "))
                                  : fmt::format("unknown key, did you mean \"{}\"?", meant);
        mistakes.push_back({value.where, path + "." + path_key(key), std::move(text)});
    }
}

}  // namespace detail
}  // namespace opsd::config
