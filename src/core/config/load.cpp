// Where settings come from and which one wins: flag, environment, conf.d in name order, file.

#include "core/config/local_file.hpp"
#include "core/config/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace opsd::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_files = 1000;
constexpr std::size_t max_mistakes = 100;

/// Sets `value` at a path of keys, as one more document.
Value nest(const std::vector<std::string>& keys, Value value)
{
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
        auto outer = Value::map();
        outer.where = value.where;
        outer.set(*key, std::move(value));
        value = std::move(outer);
    }
    return value;
}

std::vector<std::string> split(std::string_view text, std::string_view separator)
{
    std::vector<std::string> parts;
    for (auto at = text.find(separator); at != std::string_view::npos; at = text.find(separator)) {
        parts.emplace_back(text.substr(0, at));
        text.remove_prefix(at + separator.size());
    }
    parts.emplace_back(text);
    return parts;
}

bool usable(const std::vector<std::string>& keys)
{
    const auto good = [](const std::string& key) {
        return !key.empty() && key.size() <= detail::max_key_bytes;
    };
    return keys.size() < detail::max_levels && std::ranges::all_of(keys, good);
}

class Loader {
public:
    explicit Loader(const std::vector<SectionSchema>& sections) : sections_{sections}
    {
        for (const auto& section : sections)
            names_.push_back(section.name);
    }

    void file(const std::string& path, bool required)
    {
        const auto text = detail::read_local_file(path, detail::max_bytes);
        if (!text) {
            if (text.error().code == Errc::not_found && !required) return;
            complain({path, 0}, "", "cannot be read: " + text.error().message);
            return;
        }
        auto document = parse_yaml(*text, path);
        if (!document)
            mistakes_.push_back(std::move(document.error()));
        else
            merge(root_, *document);
    }

    void directory(const std::string& path)
    {
        std::error_code error;
        std::vector<std::string> paths;
        for (fs::directory_iterator it{path, error}, end; !error && it != end; it.increment(error)) {
            const auto name = it->path().filename().string();
            if (name.starts_with('.')) continue;  // editors and package managers at work
            if (name.ends_with(".yml"))
                complain({it->path().string(), 0}, "", "is not read; rename it to *.yaml");
            if (name.ends_with(".yaml")) paths.push_back(it->path().string());
        }
        if (error == std::errc::no_such_file_or_directory) return;
        if (error) complain({path, 0}, "", "cannot be read: " + error.message());
        if (paths.size() > max_files) {
            complain({path, 0}, "",
                     fmt::format("holds {} files, at most {} are allowed", paths.size(), max_files));
            return;
        }
        std::ranges::sort(paths);
        for (const auto& one : paths)
            file(one, true);
    }

    void environment(const std::string& variable, const std::string& text)
    {
        constexpr std::string_view prefix = "OPSD_";
        if (!variable.starts_with(prefix) || variable == "OPSD_CONFIG" || variable == "OPSD_URL") return;
        auto keys = split(std::string_view{variable}.substr(prefix.size()), "__");
        for (auto& key : keys) {
            std::ranges::transform(key, key.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            });
        }
        lay({"environment " + variable, 0}, keys, text, "must be named OPSD_SECTION__KEY");
    }

    void setting(std::string_view text)
    {
        const auto equals = text.find('=');
        // The text is not repeated: whoever mistypes may have a secret in it.
        const Where where{"flag --set", 0};
        if (equals == std::string_view::npos)
            complain(where, "", "must be written --set section.key=value");
        else
            lay(where, split(text.substr(0, equals), "."), text.substr(equals + 1),
                "must be written --set section.key=value");
    }

    std::expected<Value, Mistakes> finish()
    {
        for (const auto& [name, value] : root_.fields) {
            const auto known = std::ranges::find(sections_, name, &SectionSchema::name);
            if (known != sections_.end())
                known->schema.check(&value, name, mistakes_);
            else
                unknown(name, value.where);
        }
        if (mistakes_.empty()) return std::move(root_);
        if (mistakes_.size() > max_mistakes) {
            const auto rest = mistakes_.size() - max_mistakes;
            mistakes_.resize(max_mistakes);
            complain({}, "", fmt::format("and {} more mistakes", rest));
        }
        return std::unexpected{std::move(mistakes_)};
    }

private:
    void complain(Where where, std::string path, std::string text)
    {
        mistakes_.push_back({std::move(where), std::move(path), std::move(text)});
    }

    void unknown(const std::string& name, const Where& where)
    {
        const auto meant = nearest(name, names_);
        auto text = meant.empty() ? fmt::format("unknown section, known are {}", fmt::join(names_, ", "))
                                  : fmt::format("unknown section, did you mean \"{}\"?", meant);
        complain(where, detail::path_key(name), std::move(text));
    }

    /// A variable or flag: its text is YAML of any kind ("viewer", "[a, b]", "{file: /path}").
    void lay(const Where& where, const std::vector<std::string>& keys, std::string_view text,
             std::string_view form)
    {
        if (!usable(keys)) {
            complain(where, "", std::string{form});
            return;
        }
        auto value = detail::parse_document(text, where);
        if (value) {
            merge(root_, nest(keys, std::move(*value)));
            return;
        }
        std::string path;
        for (const auto& key : keys)
            path += (path.empty() ? "" : ".") + detail::path_key(key);
        complain(where, std::move(path), std::move(value.error().text));
    }

    const std::vector<SectionSchema>& sections_;
    std::vector<std::string> names_;
    Value root_ = Value::map();
    Mistakes mistakes_;
};

}  // namespace

std::expected<Value, Mistakes> load(const Sources& sources, const std::vector<SectionSchema>& sections)
{
    Loader loader{sections};
    loader.file(sources.file, sources.file_required);
    loader.directory(sources.directory);
    for (const auto& [name, value] : sources.environment)
        loader.environment(name, value);
    for (const auto& setting : sources.settings)
        loader.setting(setting);
    return loader.finish();
}

}  // namespace opsd::config
