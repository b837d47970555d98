#pragma once
// Configuration. One Schema per section gives parsing, validation, defaults, `opsd config schema` (JSON
// Schema), `opsd config show` and docs/configuration.md. The text format is YAML; no YAML type is visible
// here. Every mistake of a file is reported at once, each with file, line, path and the nearest valid key.

#include "opsd/result.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::config {

using Duration = std::chrono::milliseconds;

/// A size; written with a unit: "8MiB", "512KiB", "2GB".
struct Bytes {
    std::uint64_t count = 0;
    auto operator<=>(const Bytes&) const = default;
};

/// A secret by reference, never its text: `{file: /path}` or `{credential: NAME}` (systemd LoadCredential).
struct Secret {
    enum class From { none, file, credential };
    From from = From::none;
    std::string name;  ///< path or credential name

    /// Reads it now (at most 64 KiB, one trailing newline removed). Errc::not_found, denied or
    /// invalid_argument with a sentence. `credentials_directory` is $CREDENTIALS_DIRECTORY.
    [[nodiscard]] Result<std::string> read(const std::string& credentials_directory) const;
    bool operator==(const Secret&) const = default;
};

/// Where a value was written: a file and line, or "environment OPSD_...", "flag --set" (line 0).
struct Where {
    std::string file;
    int line = 0;
};

/// A parsed document: scalars as text, in the order written.
struct Value {
    enum class Kind { null, scalar, list, map };
    struct Entry;

    Kind kind = Kind::null;
    std::string text;           ///< of a scalar
    bool quoted = false;        ///< a quoted scalar is a string, whatever it looks like
    std::vector<Value> items;   ///< of a list
    std::vector<Entry> fields;  ///< of a map
    Where where;

    [[nodiscard]] const Value* find(std::string_view key) const;
    static Value scalar(std::string text, bool quoted = false);
    static Value map();
    static Value list();
    void set(std::string key, Value value);     ///< appends or replaces
    bool operator==(const Value& other) const;  ///< contents only, not `where`
};
struct Value::Entry {
    std::string key;
    Value value;
};

/// "opsd.yaml:12: health.flaping: unknown key, did you mean \"flapping\"?"
struct Mistake {
    Where where;
    std::string path;
    std::string text;
    [[nodiscard]] std::string to_string() const;
};
using Mistakes = std::vector<Mistake>;

/// Reads one YAML document. Refused with a Mistake: syntax errors, duplicate keys, aliases and anchors (a
/// billion laughs), more than 64 levels or 1 MiB, tags, a root that is not a map. An empty document is an
/// empty map.
std::expected<Value, Mistake> parse_yaml(std::string_view text, const std::string& file);

/// Lays `over` onto `base`: maps merge key by key, anything else is replaced.
void merge(Value& base, const Value& over);

/// The value as YAML text, for `opsd config show`.
[[nodiscard]] std::string to_yaml(const Value& value);

// --- how each option type is written; add a type by adding these four
Result<void> decode(const Value& from, bool& to);
Result<void> decode(const Value& from, std::int64_t& to);
Result<void> decode(const Value& from, double& to);
Result<void> decode(const Value& from, std::string& to);
Result<void> decode(const Value& from, Duration& to);  // "10s", "1m30s", "250ms", "7d", "0"
Result<void> decode(const Value& from, Bytes& to);
Result<void> decode(const Value& from, Secret& to);
Result<void> decode(const Value& from, std::vector<std::string>& to);
Value encode(bool value);
Value encode(std::int64_t value);
Value encode(double value);
Value encode(const std::string& value);
Value encode(Duration value);
Value encode(Bytes value);
Value encode(const Secret& value);
Value encode(const std::vector<std::string>& value);
inline std::string type_name(const bool&) { return "boolean"; }
inline std::string type_name(const std::int64_t&) { return "integer"; }
inline std::string type_name(const double&) { return "number"; }
inline std::string type_name(const std::string&) { return "string"; }
inline std::string type_name(const Duration&) { return "duration"; }
inline std::string type_name(const Bytes&) { return "size"; }
inline std::string type_name(const Secret&) { return "secret"; }
inline std::string type_name(const std::vector<std::string>&) { return "list of strings"; }
/// A value in a sentence: `"auto"`, `10s`, `["a","b"]`.
[[nodiscard]] std::string show(const Value& value);

/// A named condition on a value.
template <class T>
struct Rule {
    std::string text;  ///< "at least 1s"; follows "must be"
    std::function<bool(const T&)> holds;
    std::vector<std::string> words;  ///< of one_of(), for the JSON Schema and completions
};
template <class T>
Rule<T> at_least(T minimum)
{
    return {"at least " + show(encode(minimum)), [minimum](const T& v) { return v >= minimum; }, {}};
}
template <class T>
Rule<T> between(T low, T high)
{
    return {show(encode(low)) + " to " + show(encode(high)),
            [low, high](const T& v) { return v >= low && v <= high; },
            {}};
}
Rule<std::string> one_of(std::vector<std::string> words);

/// One option or section, for the generated pages.
struct Description {
    std::string name;
    std::string type;  ///< a type_name, "section" or "list of sections"
    Value default_value;
    std::string rule;
    std::string help;
    bool needs_restart = false;
    std::vector<std::string> words;   ///< allowed words, if limited
    std::vector<Description> fields;  ///< of a section
};

namespace detail {
/// Visits the fields of a map: calls assign(index, value) for known keys, reports unknown ones.
void walk(const Value& object, const std::string& path, const std::vector<std::string>& names,
          Mistakes& mistakes, const std::function<void(std::size_t, const Value&)>& assign);
}  // namespace detail

/// The options of one section as a struct with defaults in its member initialisers:
///   Schema<Options>{}.field(&Options::interval, "interval", "Time between scrapes", at_least(Duration{1s}))
template <class Options>
class Schema {
public:
    /// An option that changes on reload.
    template <class T>
    Schema& field(T Options::* member, std::string name, std::string help, Rule<T> rule = {})
    {
        return add(member, std::move(name), std::move(help), std::move(rule), false);
    }
    /// An option that only a restart of the daemon changes; a reload says so.
    template <class T>
    Schema& fixed(T Options::* member, std::string name, std::string help, Rule<T> rule = {})
    {
        return add(member, std::move(name), std::move(help), std::move(rule), true);
    }
    /// A section within the section.
    template <class Inner>
    Schema& section(Inner Options::* member, std::string name, std::string help, Schema<Inner> schema)
    {
        Description d{name, "section", {}, {}, std::move(help), false, {}, schema.describe()};
        fields_.push_back({std::move(d),
                           [member, schema](Options& o, const Value& v, const std::string& path,
                                            Mistakes& m) { o.*member = schema.parse(&v, path, m); },
                           [member, schema](const Options& o) { return schema.show(o.*member); }});
        return *this;
    }
    /// A list of sections. Replaces the default list when present.
    template <class Inner>
    Schema& list(std::vector<Inner> Options::* member, std::string name, std::string help,
                 Schema<Inner> schema)
    {
        Description d{name, "list of sections", {}, {}, std::move(help), false, {}, schema.describe()};
        auto show_list = [member, schema](const Options& o) {
            Value all = Value::list();
            for (const auto& item : o.*member)
                all.items.push_back(schema.show(item));
            return all;
        };
        d.default_value = show_list(Options{});
        fields_.push_back(
            {std::move(d),
             [member, schema](Options& o, const Value& v, const std::string& path, Mistakes& m) {
                 if (v.kind != Value::Kind::list) {
                     m.push_back({v.where, path, "must be a list of sections"});
                     return;
                 }
                 (o.*member).clear();
                 for (std::size_t i = 0; i < v.items.size(); ++i) {
                     (o.*member).push_back(
                         schema.parse(&v.items[i], path + "[" + std::to_string(i) + "]", m));
                 }
             },
             show_list});
        return *this;
    }

    /// Reads a section. A null pointer or null value gives the defaults. Mistakes are appended; the result is
    /// only meaningful when none were.
    [[nodiscard]] Options parse(const Value* object, const std::string& path, Mistakes& mistakes) const
    {
        Options options{};
        if (object == nullptr || object->kind == Value::Kind::null) return options;
        std::vector<std::string> names;
        for (const auto& f : fields_)
            names.push_back(f.description.name);
        detail::walk(*object, path, names, mistakes, [&](std::size_t index, const Value& value) {
            fields_[index].assign(options, value, path + "." + names[index], mistakes);
        });
        return options;
    }

    [[nodiscard]] std::vector<Description> describe() const
    {
        std::vector<Description> all;
        for (const auto& f : fields_)
            all.push_back(f.description);
        return all;
    }

    /// The effective options as a document.
    [[nodiscard]] Value show(const Options& options) const
    {
        Value all = Value::map();
        for (const auto& f : fields_)
            all.set(f.description.name, f.show(options));
        return all;
    }

private:
    struct Field {
        Description description;
        std::function<void(Options&, const Value&, const std::string& path, Mistakes&)> assign;
        std::function<Value(const Options&)> show;
    };

    template <class T>
    Schema& add(T Options::* member, std::string name, std::string help, Rule<T> rule, bool needs_restart)
    {
        const Options defaults{};
        Description d{std::move(name),
                      type_name(defaults.*member),
                      encode(defaults.*member),
                      rule.text,
                      std::move(help),
                      needs_restart,
                      rule.words,
                      {}};
        fields_.push_back(
            {std::move(d),
             [member, rule = std::move(rule)](Options& o, const Value& v, const std::string& path,
                                              Mistakes& m) {
                 T decoded{};
                 const auto done = decode(v, decoded);
                 if (!done) {
                     m.push_back({v.where, path, done.error().message});
                 } else if (rule.holds && !rule.holds(decoded)) {
                     m.push_back(
                         {v.where, path, "is " + config::show(encode(decoded)) + ", must be " + rule.text});
                 } else {
                     o.*member = std::move(decoded);
                 }
             },
             [member](const Options& o) { return encode(o.*member); }});
        return *this;
    }

    std::vector<Field> fields_;
};

/// A section's schema without its type: what the daemon keeps of every module.
class AnySchema {
public:
    template <class Options>
    explicit AnySchema(Schema<Options> schema)
      : describe_{[schema] { return schema.describe(); }}
      , show_{[schema](const Value* v) {
          Mistakes ignored;
          return schema.show(schema.parse(v, "", ignored));
      }}
      , check_{[schema](const Value* v, const std::string& path, Mistakes& m) {
          (void)schema.parse(v, path, m);
      }}
    {}
    [[nodiscard]] std::vector<Description> describe() const { return describe_(); }
    /// The effective options that `section` (or null) gives.
    [[nodiscard]] Value show(const Value* section) const { return show_(section); }
    void check(const Value* section, const std::string& path, Mistakes& mistakes) const
    {
        check_(section, path, mistakes);
    }

private:
    std::function<std::vector<Description>()> describe_;
    std::function<Value(const Value*)> show_;
    std::function<void(const Value*, const std::string&, Mistakes&)> check_;
};

/// One top-level section.
struct SectionSchema {
    std::string name;
    std::string help;
    AnySchema schema;
};

/// What the daemon and the `opsd config` verbs read.
struct Sources {
    std::string file = "/etc/opsd/opsd.yaml";                      ///< may be missing unless `file_required`
    bool file_required = false;                                    ///< the operator named it
    std::string directory = "/etc/opsd/conf.d";                    ///< *.yaml in name order; may be missing
    std::vector<std::pair<std::string, std::string>> environment;  ///< OPSD_HEALTH__FLAPPING__RESTARTS=5
    std::vector<std::string> settings;                             ///< --set health.flapping.restarts=5
};

/// Reads all sources (flag > environment > conf.d > file), merges them and checks every section. Environment
/// variables beginning with OPSD_ that name no section are refused, except those in OPSD_CONFIG and OPSD_URL.
std::expected<Value, Mistakes> load(const Sources& sources, const std::vector<SectionSchema>& sections);

/// The JSON Schema (draft 2020-12) of a whole configuration.
[[nodiscard]] std::string json_schema(const std::vector<SectionSchema>& sections);
/// docs/configuration.md.
[[nodiscard]] std::string markdown(const std::vector<SectionSchema>& sections);
/// config/opsd.yaml: every setting, commented out, with its help and default.
[[nodiscard]] std::string example(const std::vector<SectionSchema>& sections);
/// The whole effective configuration as YAML; secrets are references and stay so.
[[nodiscard]] std::string effective(const Value& root, const std::vector<SectionSchema>& sections);

/// The candidate nearest to `name`, if it is near enough to be meant (edit distance at most 2, or a third).
[[nodiscard]] std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace opsd::config
