#pragma once
// What tests of the pipeline share: slices of numbered records, a disk in memory that fills up and tears.

#include "opsd/clock.hpp"
#include "pipeline/delivery.hpp"
#include "pipeline/frames.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace opsd::test {

using namespace opsd::pipeline;

inline const WallTime today{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

/// Records with the numbers from `first` on, framed as a reader's thread does it; number 7 has id "e7",
/// position "p7".
template <class Render>
Slice numbered(std::uint64_t first, std::uint64_t count, Render render)
{
    auto text = std::make_shared<Text>();
    for (auto n = first; n < first + count; ++n) {
        const auto name = std::to_string(n);
        const auto frame = begin_frame(text->bytes, "e" + name, "p" + name, today.time_since_epoch().count());
        render(text->bytes, n);
        end_frame(text->bytes, frame);
    }
    Slice slice;
    auto records = read_frames(*text);
    EXPECT_TRUE(records);
    if (records) slice.records = std::move(*records);
    slice.text = text;
    if (count > 0) slice.position = "p" + std::to_string(first + count - 1);
    return slice;
}

inline Slice numbered(std::uint64_t first, std::uint64_t count)
{
    return numbered(first, count, [](std::string& out, std::uint64_t n) { out += std::to_string(n) + ";"; });
}

/// Holds what was written; full, unreadable or torn when told to be.
class MemoryDisk final : public PositionDisk {
public:
    Result<std::string> read(const std::string& path) override
    {
        if (unreadable) return fail(Errc::denied, "cannot read " + path + ": Permission denied");
        const auto file = files.find(path);
        if (file == files.end()) return fail(Errc::not_found, "cannot read " + path + ": it is not there");
        return file->second;
    }
    Result<> write(const std::string& path, std::string_view content) override
    {
        if (full) return fail(Errc::unavailable, "cannot write " + path + ": No space left on device");
        files[path] = content;
        newest = path;
        ++writes;
        return {};
    }
    /// The newest file keeps only so much of its text.
    void tear(std::size_t size) { files.at(newest).resize(size); }

    std::map<std::string, std::string> files;
    std::string newest;
    std::uint64_t writes = 0;
    bool full = false;
    bool unreadable = false;
};

}  // namespace opsd::test
