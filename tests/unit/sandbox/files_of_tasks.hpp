#pragma once
// A folder of sandboxes as tasks leave it, and a thread that is not root.

#include "temp_dir.hpp"

#include <gtest/gtest.h>

#include <sys/fsuid.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace opsd::test {

constexpr unsigned nobody = 65534;

/// `root`/slaves/a/stdout with "one\n"; beside slaves a file `secret` that nothing below may reach.
class Sandboxes {
public:
    Sandboxes()
    {
        std::filesystem::create_directories(dir_ / "slaves/a");
        put("slaves/a/stdout", "one\n");
        put("secret", "secret\n");
    }
    void put(const std::string& name, std::string_view text) const
    {
        std::ofstream{dir_ / name, std::ios::trunc} << text;
    }
    void link(const std::string& to, const std::string& name) const
    {
        std::filesystem::create_symlink(to, dir_ / name);
    }
    [[nodiscard]] std::string path(const std::string& name) const { return dir_ / name; }
    [[nodiscard]] std::string slaves() const { return dir_ / "slaves"; }

private:
    TempDir dir_;
};

/// While it lives this thread opens files as anybody, without root's rights.
class AsNobody {
public:
    AsNobody() { ::setfsuid(nobody); }
    AsNobody(const AsNobody&) = delete;
    AsNobody& operator=(const AsNobody&) = delete;
    ~AsNobody() { ::setfsuid(::geteuid()); }
};

inline std::string text_of(int descriptor)
{
    std::string text(4096, '\0');
    const auto size = ::pread(descriptor, text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
}

}  // namespace opsd::test
