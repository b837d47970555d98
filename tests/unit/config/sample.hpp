#pragma once
// A small configuration with one option of each type, and a directory of its own for files.

#include "opsd/config.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace opsd::config::test {

using namespace std::chrono_literals;

struct Flapping {
    std::int64_t restarts = 3;
    Duration window{600'000};
};

struct Listener {
    std::string address = "127.0.0.1";
    std::int64_t port = 1050;
};

struct Options {
    bool enabled = true;
    std::string anonymous = "none";
    Duration interval{10'000};
    Bytes body{1 << 20};
    double ratio = 0.5;
    Secret token;
    std::vector<std::string> units{"*.service", "a, b"};
    std::vector<Listener> listeners;
    Flapping flapping;
};

inline Schema<Options> schema()
{
    auto flapping =
        Schema<Flapping>{}
            .field(&Flapping::restarts, "restarts", "Restarts within the window that count as flapping",
                   between<std::int64_t>(1, 100))
            .field(&Flapping::window, "window", "The window", at_least(Duration{1s}));
    auto listener = Schema<Listener>{}
                        .field(&Listener::address, "address", "Address to listen on")
                        .field(&Listener::port, "port", "TCP port", between<std::int64_t>(1, 65535));
    return Schema<Options>{}
        .field(&Options::enabled, "enabled", "Whether to look at all")
        .field(&Options::anonymous, "anonymous", "What | a caller may | do", one_of({"none", "viewer"}))
        .field(&Options::interval, "interval", "Time between two looks", at_least(Duration{1s}))
        .fixed(&Options::body, "body", "Largest body", at_least(Bytes{1024}))
        .field(&Options::ratio, "ratio", "A share", between(0.0, 1.0))
        .field(&Options::token, "token", "Who we are")
        .field(&Options::units, "units", "Globs of units")
        .list(&Options::listeners, "listeners", "Where to listen", listener)
        .section(&Options::flapping, "flapping", "When a unit flaps", flapping);
}

struct HttpOptions {
    std::string name = "opsd";
    std::vector<Listener> listeners{{}, {"::1", 1051}};
};

inline std::vector<SectionSchema> sections()
{
    auto listener = Schema<Listener>{}
                        .field(&Listener::address, "address", "Address to listen on")
                        .field(&Listener::port, "port", "TCP port");
    auto http = Schema<HttpOptions>{}
                    .field(&HttpOptions::name, "name", "A name")
                    .list(&HttpOptions::listeners, "listeners", "Where to listen", listener);
    return {{"health", "Unit health of this node", AnySchema{schema()}},
            {"http", "The server", AnySchema{http}}};
}

/// A directory that goes away with the test.
class Directory {
public:
    Directory()
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "opsd-config-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
        path_ = pattern;
    }
    ~Directory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    std::string write(const std::string& name, const std::string& text) const
    {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream{path_ / name} << text;
        return (path_ / name).string();
    }
    [[nodiscard]] std::string path(const std::string& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

/// The whole sentence of a mistake, or "" when the text parses.
inline std::string mistake_of(std::string_view text)
{
    const auto value = parse_yaml(text, "opsd.yaml");
    return value ? std::string{} : value.error().to_string();
}

inline Value yaml(std::string_view text)
{
    auto value = parse_yaml(text, "opsd.yaml");
    if (value) return *value;
    ADD_FAILURE() << value.error().to_string();
    return {};
}

}  // namespace opsd::config::test
