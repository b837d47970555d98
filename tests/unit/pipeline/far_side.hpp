#pragma once
// The far side and the two ends of a delivery for the proof of no loss: a journal of numbered entries, a
// strict server that speaks _bulk and misbehaves as it is told, a disk that a kill may tear. All of it lives
// through the kills; only the delivery dies.

#include "opsd/task_group.hpp"
#include "pipeline/sinks/elasticsearch.hpp"
#include "pipeline_support.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <random>
#include <set>
#include <sstream>
#include <vector>

namespace opsd::test {

using Random = std::mt19937_64;

inline bool chance(Random& random, double probability)
{
    return std::uniform_real_distribution<>{0, 1}(random) < probability;
}

inline std::uint64_t between(Random& random, std::uint64_t low, std::uint64_t high)
{
    return std::uniform_int_distribution<std::uint64_t>{low, high}(random);
}

/// The journal: `entries` numbered entries, those of every 10th number left out by a filter.
class NumberedSource final : public Source {
public:
    NumberedSource(std::uint64_t entries, Clock& clock, Random& random)
      : entries_{entries}
      , clock_{clock}
      , random_{random}
    {}
    static bool wanted(std::uint64_t n) { return n % 10 != 0; }

    void begin(const Start& start) override
    {
        // Before the first entry when nothing is known.
        next_ = start.position.empty() ? 1 : std::stoull(start.position.substr(1)) + 1;
        EXPECT_LE(next_, entries_ + 1);
    }
    Task<Result<Slice>> next() override
    {
        if (chance(random_, 0.3))
            co_await clock_.sleep_for(std::chrono::milliseconds{between(random_, 1, 5)});
        while (next_ > entries_)  // the end: until it is cancelled
            co_await clock_.sleep_for(std::chrono::hours{1});
        if (chance(random_, 0.01))
            co_return fail(Errc::unavailable, "cannot read the journal: it is rotated");
        Slice slice;
        const auto first = next_;
        next_ = std::min(entries_ + 1, first + between(random_, 1, 120));
        auto text = std::make_shared<Text>();
        for (auto n = first; n < next_; ++n) {
            if (!wanted(n)) continue;
            const auto name = std::to_string(n);
            const auto frame =
                begin_frame(text->bytes, "e" + name, "p" + name, clock_.now().time_since_epoch().count());
            text->bytes += R"({"create":{"_index":"x","_id":"e)" + name + "\"}}\n{\"n\":" + name + "}\n";
            end_frame(text->bytes, frame);
        }
        slice.records = *read_frames(*text);
        slice.text = text;
        slice.position = "p" + std::to_string(next_ - 1);
        co_return slice;
    }

private:
    std::uint64_t entries_;
    Clock& clock_;
    Random& random_;
    std::uint64_t next_ = 1;
};

/// What goes wrong.
struct Faults {
    double item_429 = 0;             ///< of items
    double request_429 = 0;          ///< of requests
    double dropped = 0;              ///< of requests: some or all are taken, then the answer breaks off
    double silent = 0;               ///< of requests: all are taken, nothing is answered
    bool busy = false;               ///< 503 for 12 s, then 12 s well, and so on
    std::size_t largest = SIZE_MAX;  ///< bytes of a request; beyond: 413
    bool poisoned_items = false;     ///< every 997th entry is refused
    bool poisoned_requests = false;  ///< and takes the whole request with it
    bool disk_full = false;          ///< for 12 s, then 12 s not
    bool torn = false;               ///< a kill tears the position file
    bool unauthorised = false;       ///< for the first 90 s

    static bool poison(std::uint64_t n) { return n % 997 == 0; }
};

/// A server with an index, and its answers. Strict: a malformed request fails the test.
class BulkServer final : public Sink {
public:
    BulkServer(Faults faults, Clock& clock, Random& random) : faults_{faults}, clock_{clock}, random_{random}
    {}

    Task<Verdict> send(const Batch& batch) override
    {
        const auto body = joined(batch);
        const auto sent = batch.size();
        co_await clock_.sleep_for(std::chrono::milliseconds{between(random_, 1, 30)});
        auto [status, reply, taken] = take(body);
        co_await clock_.sleep_for(std::chrono::milliseconds{between(random_, 1, 30)});
        if (chance(random_, faults_.silent)) {
            untold_ += taken;
            co_await clock_.sleep_for(std::chrono::hours{24});
        }
        std::optional<std::chrono::milliseconds> after;
        if (status == 429) after = parse_retry_after("2", clock_.now());
        if (chance(random_, faults_.dropped)) {
            untold_ += taken;
            if (!reply.empty()) reply.resize(between(random_, 0, reply.size() - 1));
            if (chance(random_, 0.5)) co_return retry("the connection was reset");
        }
        co_return read_bulk_reply(status, reply, sent, after);
    }

    [[nodiscard]] std::size_t distinct() const { return copies.size(); }

    std::map<std::uint64_t, std::uint64_t> copies;  ///< how often each entry was accepted
    std::uint64_t repeated = 0;                     ///< accepted more than once, in all
    /// Accepted in requests whose answer went astray: they must be sent again.
    std::uint64_t untold() const noexcept { return untold_; }

private:
    struct Reply {
        int status = 200;
        std::string body;
        std::uint64_t taken = 0;  ///< items accepted, known before or not
    };

    bool phase() const { return clock_.monotonic() / std::chrono::seconds{12} % 2 == 0; }

    Reply take(const std::string& body)
    {
        if (faults_.unauthorised && clock_.monotonic() < std::chrono::hours{1} + std::chrono::seconds{90})
            return {401, R"({"error":"missing authentication credentials"})", 0};
        if (faults_.busy && phase()) return {503, chance(random_, 0.5) ? "" : "<html>busy</html>", 0};
        if (chance(random_, faults_.request_429)) return {429, R"({"status":429})", 0};
        if (body.size() > faults_.largest) return {413, "", 0};
        const auto numbers = parse(body);
        if (faults_.poisoned_requests && std::ranges::any_of(numbers, Faults::poison))
            return {400, R"({"error":{"type":"illegal_argument_exception"}})", 0};
        Reply reply;
        bool errors = false;
        for (const auto n : numbers) {
            int status = copies.contains(n) ? 409 : 201;
            if (faults_.poisoned_items && Faults::poison(n))
                status = 400;
            else if (chance(random_, faults_.item_429))
                status = 429;
            if (status == 201 || status == 409) {
                repeated += ++copies[n] > 1 ? 1U : 0U;
                ++reply.taken;
            }
            errors = errors || status > 201;
            reply.body +=
                fmt::format(R"({}{{"create":{{"status":{}{}}}}})", reply.body.empty() ? "" : ",", status,
                            status > 201 ? R"(,"error":{"type":"some_exception","reason":"r"})" : "");
        }
        reply.body = fmt::format(R"({{"errors":{},"items":[{}]}})", errors, reply.body);
        return reply;
    }

    static std::vector<std::uint64_t> parse(const std::string& body)
    {
        std::vector<std::uint64_t> numbers;
        EXPECT_TRUE(body.ends_with('\n'));
        std::istringstream lines{body};
        for (std::string action, document; std::getline(lines, action) && std::getline(lines, document);) {
            const auto a = nlohmann::json::parse(action, nullptr, false);
            const auto d = nlohmann::json::parse(document, nullptr, false);
            EXPECT_TRUE(a.is_object() && d.is_object()) << action << document;
            numbers.push_back(d["n"].get<std::uint64_t>());
            EXPECT_EQ(a["create"]["_id"], "e" + std::to_string(numbers.back()));
        }
        EXPECT_FALSE(numbers.empty());
        return numbers;
    }

    Faults faults_;
    Clock& clock_;
    Random& random_;
    std::uint64_t untold_ = 0;
};

/// The disk behind a slow thread: a kill may come before, within or after a write.
class SlowPositions final : public PositionStore {
public:
    SlowPositions(std::shared_ptr<MemoryDisk> disk, Clock& clock)
      : file_{"elk.position", std::move(disk)}
      , clock_{clock}
    {}
    Task<Result<Start>> load() override { co_return file_.load(); }
    Task<Result<>> save(std::string position) override
    {
        co_await clock_.sleep_for(std::chrono::milliseconds{2});
        auto saved = file_.save(position);
        co_await clock_.sleep_for(std::chrono::milliseconds{2});
        co_return saved;
    }

private:
    PositionFile file_;
    Clock& clock_;
};

class SlowLetters final : public LetterBox {
public:
    SlowLetters(std::map<std::string, DeadLetter>& all, MemoryDisk& disk, Clock& clock)
      : all_{all}
      , disk_{disk}
      , clock_{clock}
    {}
    Task<Result<std::uint64_t>> bury(std::vector<DeadLetter> letters) override
    {
        co_await clock_.sleep_for(std::chrono::milliseconds{2});
        if (disk_.full)
            co_return fail(Errc::unavailable, "cannot keep refused records: No space left on device");
        for (auto& letter : letters)
            all_[letter.id] = letter;
        co_await clock_.sleep_for(std::chrono::milliseconds{2});
        co_return std::uint64_t{0};
    }

private:
    std::map<std::string, DeadLetter>& all_;
    MemoryDisk& disk_;
    Clock& clock_;
};

}  // namespace opsd::test
