// Files of any bytes, read in any blocks and by any window: what is served is what a plain reading of the
// file gives, byte by byte, once and when it grows step by step.

#include "modules/logs/sandbox_lines.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

namespace {

using namespace opsd;
using namespace opsd::logs;

void demand(bool truth)
{
    if (!truth) std::abort();
}

class File final : public ByteSource {
public:
    Task<Result<std::uint64_t>> size() override { co_return shown; }
    Task<Result<std::string>> read(std::uint64_t offset, std::size_t length) override
    {
        if (offset >= shown) co_return std::string{};
        co_return content.substr(offset, std::min({length, most, shown - offset}));
    }
    std::string content;
    std::size_t shown = 0;
    std::size_t most = 1;
};

struct Served {
    std::vector<std::string> lines;
    std::uint64_t after = 0;
    std::size_t longest = 0;
    bool open = false;

    bool take(const Piece& piece)
    {
        demand(piece.text.size() <= longest);
        demand(piece.continued == open);
        demand(!piece.text.empty() || piece.continued);
        demand(piece.text.find('\n') == std::string_view::npos);
        demand(piece.offset >= after && piece.after >= piece.offset + piece.text.size());
        if (!piece.continued) lines.emplace_back();
        lines.back() += piece.text;
        after = piece.after;
        open = piece.continues;
        return true;
    }
};

/// Non-empty lines of a text.
std::vector<std::string> lines_of(std::string_view text)
{
    std::vector<std::string> lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        if (end > 0) lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

/// The same window, found the slow way.
std::vector<std::string> expected(const std::string& content, const LineQuery& query)
{
    std::size_t from = query.from == LineQuery::From::begin ? 0 : content.size();
    if (query.from == LineQuery::From::offset) from = std::min<std::size_t>(query.offset, content.size());
    if (query.resumed && query.offset > content.size()) from = 0;
    auto lines = lines_of(std::string_view{content}.substr(from));
    if (query.skip > 0) {
        const auto drop = std::min<std::size_t>(static_cast<std::size_t>(query.skip), lines.size());
        lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(drop));
    }
    if (query.skip < 0) {
        const auto before = lines_of(std::string_view{content}.substr(0, from));
        const auto back = std::min<std::size_t>(static_cast<std::size_t>(-query.skip), before.size());
        const bool inside = from > 0 && from <= content.size() && content[from - 1] != '\n'
                            && from < content.size() && content[from] != '\n';
        if (back > 0 && inside && !lines.empty()) {
            auto joined = before.back() + lines.front();
            lines.front() = joined;
            lines.insert(lines.begin(), before.end() - static_cast<std::ptrdiff_t>(back), before.end() - 1);
        } else {
            lines.insert(lines.begin(), before.end() - static_cast<std::ptrdiff_t>(back), before.end());
        }
    }
    if (query.limit > 0 && lines.size() > query.limit) lines.resize(query.limit);
    return lines;
}

Task<> once(File& file, LineQuery query, LineLimits limits, Served& served)
{
    LineReader reader{file, limits};
    const auto begun = co_await reader.start(query);
    demand(begun.has_value());
    const OnPiece on_piece = [&served](const Piece& piece) { return served.take(piece); };
    for (;;) {
        const auto step = co_await reader.next(on_piece);
        demand(step.has_value());
        if (*step != LineReader::Step::read) co_return;
    }
}

Task<> follow(File& file, std::size_t growth, LineLimits limits, Served& served)
{
    LineReader reader{file, limits};
    file.shown = 0;
    const auto begun = co_await reader.start({});
    demand(begun.has_value());
    const OnPiece on_piece = [&served](const Piece& piece) { return served.take(piece); };
    Monotonic grown{0};
    for (Monotonic now{0};; now += std::chrono::seconds{1}) {
        const auto step = co_await reader.follow(now, on_piece);
        demand(step.has_value() && *step != LineReader::Step::rotated && *step != LineReader::Step::done);
        if (*step == LineReader::Step::read || file.shown < file.content.size()) grown = now;
        if (*step == LineReader::Step::read) continue;
        // A last line without newline is told when it did not grow for a while.
        if (now - grown > limits.partial_after) co_return;
        file.shown = std::min(file.content.size(), file.shown + growth);
    }
}

void run(Task<> task)
{
    asio::io_context io{1};
    std::exception_ptr thrown;
    asio::co_spawn(io, std::move(task), [&thrown](std::exception_ptr e) { thrown = e; });
    io.run();
    demand(!thrown);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    constexpr std::size_t settings = 8;
    if (size < settings) return 0;
    File file;
    file.content.assign(reinterpret_cast<const char*>(data) + settings, size - settings);
    file.shown = file.content.size();
    file.most = 1U + data[0];
    LineLimits limits;
    limits.block = 1U + data[1] * 4U;
    limits.longest = 1U + data[2];
    LineQuery query;
    query.from = static_cast<LineQuery::From>(data[3] % 3);
    query.offset = data[4] + (data[3] & 0x40U) * 4U;
    query.resumed = query.from == LineQuery::From::offset && (data[3] & 0x80U) != 0;
    query.skip = query.resumed ? 0 : static_cast<std::int8_t>(data[5]);
    query.limit = query.resumed ? 0 : data[6];

    Served served{.longest = limits.longest};
    run(once(file, query, limits, served));
    demand(served.lines == expected(file.content, query));

    Served followed{.longest = limits.longest};
    run(follow(file, 1U + data[7], limits, followed));
    demand(followed.lines == lines_of(file.content));
    return 0;
}
