// How each option type is written and read. A sentence here follows "section.key: ".

#include "core/config/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace opsd::config {
namespace {

std::unexpected<Error> must_be(const Value& value, std::string_view what)
{
    return fail(Errc::invalid_argument, fmt::format("{}, must be {}", detail::is(value), what));
}

/// A bare scalar: what a boolean and a number are written as.
bool bare(const Value& value) { return value.kind == Value::Kind::scalar && !value.quoted; }

bool digit(char c) { return c >= '0' && c <= '9'; }

/// One step of "1m30s": a count and a unit.
struct Part {
    std::uint64_t count = 0;
    std::string_view unit;
};

/// Takes digits and the letters after them off the front; nothing when there are none or they overflow.
bool take_part(std::string_view& text, Part& part)
{
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), part.count);
    if (ec != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto unit_end = std::ranges::find_if(text, digit);
    part.unit = text.substr(0, static_cast<std::size_t>(unit_end - text.begin()));
    text.remove_prefix(part.unit.size());
    return true;
}

struct Unit {
    std::string_view name;
    std::uint64_t size;
};
constexpr Unit duration_units[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
// The largest first, binary before decimal: the order in which encode() tries them.
constexpr Unit size_units[] = {{"TiB", 1ULL << 40},
                               {"GiB", 1ULL << 30},
                               {"MiB", 1ULL << 20},
                               {"KiB", 1ULL << 10},
                               {"TB", 1'000'000'000'000},
                               {"GB", 1'000'000'000},
                               {"MB", 1'000'000},
                               {"KB", 1000},
                               {"kB", 1000},
                               {"B", 1}};

// 100 years: longer ones overflow the nanoseconds of a timer.
constexpr std::uint64_t longest = 36'500ULL * 86'400'000;
constexpr std::uint64_t largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

constexpr std::string_view duration_form = "a duration with units, such as 250ms, 10s, 1m30s or 7d";
constexpr std::string_view size_form = "a size with a unit, such as 512KiB, 8MiB or 2GB";

bool all_digits(std::string_view text) { return std::ranges::all_of(text, digit); }

}  // namespace

Result<void> decode(const Value& from, bool& to)
{
    if (!bare(from) || (from.text != "true" && from.text != "false")) return must_be(from, "true or false");
    to = from.text == "true";
    return {};
}

Result<void> decode(const Value& from, std::int64_t& to)
{
    if (!bare(from)) return must_be(from, from.quoted ? "an integer, without quotes" : "an integer");
    const std::string_view text = from.text;
    const auto digits = text.substr(text.starts_with('-') ? 1 : 0);
    if (digits.empty() || !all_digits(digits)) return must_be(from, "an integer");
    // Octal to some readers of YAML, decimal to others.
    if (digits.size() > 1 && digits.front() == '0') return must_be(from, "an integer without leading zeros");
    std::int64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{}) return must_be(from, "an integer of 64 bits");
    to = value;
    return {};
}

Result<void> decode(const Value& from, double& to)
{
    if (!bare(from)) return must_be(from, from.quoted ? "a number, without quotes" : "a number");
    double value = 0;
    const auto* last = from.text.data() + from.text.size();
    const auto [end, ec] = std::from_chars(from.text.data(), last, value);
    if (ec != std::errc{} || end != last || !std::isfinite(value)) return must_be(from, "a number");
    to = value;
    return {};
}

Result<void> decode(const Value& from, std::string& to)
{
    if (from.kind == Value::Kind::null) return must_be(from, "a string; write \"\" for none");
    if (from.kind != Value::Kind::scalar) return must_be(from, "a string");
    to = from.text;
    return {};
}

Result<void> decode(const Value& from, Duration& to)
{
    if (from.kind != Value::Kind::scalar || from.text.empty()) return must_be(from, duration_form);
    if (from.text == "0") {
        to = Duration{0};
        return {};
    }
    std::uint64_t total = 0;
    std::size_t next_unit = 0;
    for (std::string_view rest = from.text; !rest.empty();) {
        Part part;
        if (!digit(rest.front())) return must_be(from, duration_form);
        if (!take_part(rest, part)) return must_be(from, "at most 36500d");
        // The units descend: "30s1m" is a slip, not a sum.
        while (next_unit < std::size(duration_units) && duration_units[next_unit].name != part.unit)
            ++next_unit;
        if (next_unit == std::size(duration_units)) return must_be(from, duration_form);
        const auto size = duration_units[next_unit++].size;
        if (part.count > (longest - total) / size) return must_be(from, "at most 36500d");
        total += part.count * size;
    }
    to = Duration{static_cast<Duration::rep>(total)};
    return {};
}

Result<void> decode(const Value& from, Bytes& to)
{
    if (from.kind != Value::Kind::scalar || from.text.empty()) return must_be(from, size_form);
    if (from.text == "0") {
        to = Bytes{};
        return {};
    }
    std::string_view rest = from.text;
    Part part;
    if (!digit(rest.front())) return must_be(from, size_form);
    if (!take_part(rest, part)) return must_be(from, "less than 8388608TiB");
    const auto* unit = std::ranges::find(size_units, part.unit, &Unit::name);
    if (unit == std::end(size_units) || !rest.empty()) return must_be(from, size_form);
    if (part.count > largest / unit->size) return must_be(from, "less than 8388608TiB");
    to = Bytes{part.count * unit->size};
    return {};
}

Result<void> decode(const Value& from, Secret& to)
{
    // The value itself is never shown: somebody may have put the secret here.
    const auto bad = [](std::string_view why) {
        return fail(
            Errc::invalid_argument,
            fmt::format("{}must be {{file: PATH}} or {{credential: NAME}}, never the secret itself", why));
    };
    if (from.kind == Value::Kind::null) {
        to = Secret{};
        return {};
    }
    if (from.kind != Value::Kind::map || from.fields.size() != 1) return bad("");
    const auto& [key, value] = from.fields.front();
    const bool file = key == "file";
    if (!file && key != "credential") return bad("unknown key, ");
    if (value.kind != Value::Kind::scalar || value.text.empty())
        return bad(fmt::format("{} must be a text, ", key));
    if (value.text.contains('\0')) return bad("contains a NUL, ");
    if (!file && (value.text.contains('/') || value.text == "." || value.text == "..")) {
        return fail(Errc::invalid_argument,
                    "credential must be a name without \"/\", as in LoadCredential=NAME:PATH");
    }
    to = Secret{file ? Secret::From::file : Secret::From::credential, value.text};
    return {};
}

Result<void> decode(const Value& from, std::vector<std::string>& to)
{
    if (from.kind != Value::Kind::list) return must_be(from, "a list of strings, such as [a, b]");
    std::vector<std::string> all;
    for (const auto& item : from.items) {
        if (item.kind != Value::Kind::scalar) {
            return fail(Errc::invalid_argument,
                        fmt::format("item {} {}, must be a string", all.size() + 1, detail::is(item)));
        }
        all.push_back(item.text);
    }
    to = std::move(all);
    return {};
}

Value encode(bool value) { return Value::scalar(value ? "true" : "false"); }
Value encode(std::int64_t value) { return Value::scalar(std::to_string(value)); }
Value encode(double value) { return Value::scalar(fmt::format("{}", value)); }
Value encode(const std::string& value) { return Value::scalar(value, true); }

Value encode(Duration value)
{
    if (value.count() == 0) return Value::scalar("0");
    std::string text = value.count() < 0 ? "-" : "";  // only a default in the code can be negative
    auto rest = static_cast<std::uint64_t>(value.count() < 0 ? -value.count() : value.count());
    for (const auto& unit : duration_units) {
        if (rest < unit.size) continue;
        text += fmt::format("{}{}", rest / unit.size, unit.name);
        rest %= unit.size;
    }
    return Value::scalar(text);
}

Value encode(Bytes value)
{
    if (value.count == 0) return Value::scalar("0");
    const auto* unit =
        std::ranges::find_if(size_units, [value](const Unit& u) { return value.count % u.size == 0; });
    return Value::scalar(fmt::format("{}{}", value.count / unit->size, unit->name));
}

Value encode(const Secret& value)
{
    if (value.from == Secret::From::none) return {};
    Value reference = Value::map();
    reference.set(value.from == Secret::From::file ? "file" : "credential", Value::scalar(value.name, true));
    return reference;
}

Value encode(const std::vector<std::string>& value)
{
    Value all = Value::list();
    for (const auto& item : value)
        all.items.push_back(encode(item));
    return all;
}

}  // namespace opsd::config
