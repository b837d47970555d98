#pragma once
// A file in memory that counts how it is read, and changes while it is.

#include "modules/logs/sandbox_lines.hpp"

#include <functional>

namespace opsd::test {

class MemoryFile final : public logs::ByteSource {
public:
    explicit MemoryFile(std::string bytes = {}) : content{std::move(bytes)} {}

    Task<Result<std::uint64_t>> size() override
    {
        ++sizes;
        if (error) co_return fail(*error);
        co_return content.size() + lies;
    }
    Task<Result<std::string>> read(std::uint64_t offset, std::size_t length) override
    {
        ++reads;
        if (before_read) before_read();
        if (error) co_return fail(*error);
        if (offset >= content.size()) co_return std::string{};
        co_return content.substr(offset, std::min(length, most));
    }

    std::string content;
    std::size_t most = 64U * 1024;  ///< bytes of one answer
    std::uint64_t lies = 0;         ///< told of the size beyond the truth
    std::optional<Error> error;
    std::function<void()> before_read;
    int sizes = 0;
    int reads = 0;
};

}  // namespace opsd::test
