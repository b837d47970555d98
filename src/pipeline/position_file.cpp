#include "pipeline/position_file.hpp"

#include "io/files/files.hpp"
#include "pipeline/checksum.hpp"

#include <fmt/format.h>

#include <charconv>

namespace opsd::pipeline {
namespace {

constexpr std::string_view first_line = "opsd position 1\n";
constexpr std::size_t largest_position = std::size_t{8}
                                         << 20;  // a cursor has 130 bytes, the list of tasks' files more
constexpr std::size_t largest_file = largest_position + 256;

/// Takes "NAME NUMBER\n" off the front.
template <class Number>
bool take_number(std::string_view& text, std::string_view name, int base, Number& number)
{
    if (!text.starts_with(name)) return false;
    text.remove_prefix(name.size());
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return false;
    const auto [last, ec] = std::from_chars(text.data(), text.data() + end, number, base);
    if (ec != std::errc{} || last != text.data() + end) return false;
    text.remove_prefix(end + 1);
    return true;
}

class RealDisk final : public PositionDisk {
public:
    Result<std::string> read(const std::string& path) override
    {
        return files::read_file(path, largest_file);
    }
    Result<> write(const std::string& path, std::string_view content) override
    {
        return files::write_atomic(path, content, 0600);
    }
};

class WorkerPositions final : public PositionStore {
public:
    WorkerPositions(std::shared_ptr<PositionFile> file, WorkerThread& worker)
      : file_{std::move(file)}
      , worker_{worker}
    {}
    Task<Result<Start>> load() override
    {
        auto job = [file = file_] { return file->load(); };
        auto start = co_await worker_.run(std::move(job));
        co_return start;
    }
    Task<Result<>> save(std::string position) override
    {
        auto job = [file = file_, position = std::move(position)] { return file->save(position); };
        auto saved = co_await worker_.run(std::move(job));
        co_return saved;
    }

private:
    std::shared_ptr<PositionFile> file_;
    WorkerThread& worker_;
};

}  // namespace

std::string position_text(const SavedPosition& saved)
{
    auto text = fmt::format("{}generation {}\nbytes {}\n{}\n", first_line, saved.generation,
                            saved.position.size(), saved.position);
    text += fmt::format("sum {:016x}\n", checksum(text));
    return text;
}

Result<SavedPosition> parse_position(std::string_view text)
{
    const auto torn = [] {
        return fail(Errc::invalid_argument, "cannot use the saved position: the file is torn or damaged");
    };
    SavedPosition saved;
    std::size_t size = 0;
    std::uint64_t sum = 0;
    auto rest = text;
    if (!rest.starts_with(first_line)) return torn();
    rest.remove_prefix(first_line.size());
    if (!take_number(rest, "generation ", 10, saved.generation)) return torn();
    if (!take_number(rest, "bytes ", 10, size)) return torn();
    if (size > largest_position || rest.size() <= size || rest[size] != '\n') return torn();
    saved.position = rest.substr(0, size);
    rest.remove_prefix(size + 1);
    const auto summed = text.substr(0, text.size() - rest.size());
    if (!take_number(rest, "sum ", 16, sum) || !rest.empty() || sum != checksum(summed)) return torn();
    return saved;
}

std::shared_ptr<PositionDisk> make_position_disk() { return std::make_shared<RealDisk>(); }

PositionFile::PositionFile(std::string path, std::shared_ptr<PositionDisk> disk)
  : path_{std::move(path)}
  , disk_{std::move(disk)}
{}

Result<Start> PositionFile::load()
{
    std::optional<SavedPosition> newest;
    std::size_t damaged = 0;
    for (const bool b : {false, true}) {
        const auto text = disk_->read(path_ + (b ? ".b" : ".a"));
        if (!text && text.error().code == Errc::not_found) continue;
        // A file that is too large or no file is as good as a torn one.
        if (!text && text.error().code != Errc::invalid_argument) return fail(text.error());
        auto saved = text ? parse_position(*text) : fail(text.error());
        if (!saved) {
            ++damaged;
            continue;
        }
        if (newest && newest->generation >= saved->generation) continue;
        newest = std::move(*saved);
        into_b_ = !b;
    }
    generation_ = newest ? newest->generation : 0;
    saved_.reset();
    Start start;
    if (newest) {
        start.kind = damaged > 0 ? Start::Kind::previous : Start::Kind::saved;
        start.position = newest->position;
        // After damage the other file is written anew with the first save, also of the same position.
        if (damaged == 0) saved_ = std::move(newest->position);
    } else if (damaged > 0) {
        start.kind = Start::Kind::unknown;
    }
    if (damaged > 0) {
        start.sentence =
            fmt::format("cannot use {} of the position files {}.a and .b: damaged; {}", damaged, path_,
                        newest ? "goes on from the position before, some records are sent again"
                               : "begins where the configuration says");
    }
    return start;
}

Result<> PositionFile::save(const std::string& position)
{
    if (saved_ == position) return {};
    if (position.size() > largest_position) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot save a position of {} bytes in {}: at most {}", position.size(),
                                path_, largest_position));
    }
    SavedPosition next;
    next.generation = generation_ + 1;
    next.position = position;
    auto written = disk_->write(path_ + (into_b_ ? ".b" : ".a"), position_text(next));
    if (!written) return fail(std::move(written).error().wrap("save the position"));
    ++writes_;
    generation_ = next.generation;
    into_b_ = !into_b_;
    saved_ = position;
    return {};
}

std::unique_ptr<PositionStore> make_position_store(std::string path, std::shared_ptr<PositionDisk> disk,
                                                   WorkerThread& worker)
{
    auto file = std::make_shared<PositionFile>(std::move(path), std::move(disk));
    return std::make_unique<WorkerPositions>(std::move(file), worker);
}

}  // namespace opsd::pipeline
