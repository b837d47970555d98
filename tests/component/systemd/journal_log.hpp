#pragma once
// A node with a real journald, and what tests read of its journal.

#include "io/systemd/journal_follower.hpp"
#include "io/systemd/journal_readers.hpp"

#include "node.hpp"
#include "support.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::systemd::test {

/// One line a message; of those with a word, if one is given.
class Messages final : public EntryWriter {
public:
    explicit Messages(std::string word = "") : word_{std::move(word)} {}
    bool write(const JournalEntry& entry, std::string& out) override
    {
        const auto message = entry.find("MESSAGE").value_or("");
        if (!message.contains(word_)) return false;
        out.append(message).append("\n");
        return true;
    }

private:
    std::string word_;
};

inline std::vector<int> numbers(std::string_view text)
{
    std::vector<int> all;
    while (!text.empty()) {
        const auto end = text.find('\n');
        all.push_back(std::stoi(std::string{text.substr(0, end)}));
        text.remove_prefix(end + 1);
    }
    return all;
}

inline std::vector<int> from_to(int first, int last)
{
    std::vector<int> all(static_cast<std::size_t>(std::max(0, last - first + 1)));
    std::iota(all.begin(), all.end(), first);
    return all;
}

/// Each test has an identifier of its own, so that the others' entries are only company.
class JournalLog : public ::testing::Test {
public:
    static void SetUpTestSuite()
    {
        reason = opsd::test::no_nodes_because();
        if (!reason.empty()) return;
        node = std::make_unique<opsd::test::Node>("log", "--journald RateLimitIntervalSec=0");
    }
    static void TearDownTestSuite() { node.reset(); }
    void SetUp() override
    {
        if (!reason.empty()) GTEST_SKIP() << reason;
        tag = ::testing::UnitTest::GetInstance()->current_test_info()->name();
        directory = node->root() + "/var/log/journal";
    }

    void say(int first, int last, const std::string& as = "") const
    {
        const auto said = node->exec(fmt::format("sh -c 'seq {} {} | systemd-cat -t {} && journalctl --sync'",
                                                 first, last, as.empty() ? tag : as));
        ASSERT_EQ(said.exit_code, 0) << said.output;
    }
    static void rotate() { EXPECT_EQ(node->exec("journalctl --rotate").exit_code, 0); }
    static void vacuum()
    {
        const auto done = node->exec("journalctl --rotate --vacuum-files=1");
        EXPECT_EQ(done.exit_code, 0) << done.output;
    }
    [[nodiscard]] MatchGroups ours() const { return {{"SYSLOG_IDENTIFIER=" + tag}}; }

    /// Reads until it ended; the slices are joined.
    static Task<JournalSlice> drain(JournalReaders& readers, std::shared_ptr<JournalReading> reading,
                                    SliceLimits limits = {})
    {
        JournalSlice all;
        for (int turn = 0; turn < 100'000 && !all.ended; ++turn) {
            auto slice = co_await readers.next(reading, limits);
            EXPECT_TRUE(slice) << slice.error().message;
            if (!slice) co_return all;
            all.text += slice->text;
            all.entries += slice->entries;
            all.position = slice->position;
            all.ended = slice->ended;
            all.complete = slice->complete;
            all.skipped += slice->skipped;
            if (slice->loss) all.loss = slice->loss;
        }
        co_return all;
    }
    std::vector<int> read(JournalRange range, SliceLimits limits = {}, std::string word = "",
                          JournalSlice* told = nullptr) const
    {
        JournalSlice all;
        opsd::test::run([&]() -> Task<> {
            JournalReaders readers{directory, 2};
            range.matches = ours();
            all = co_await drain(readers, JournalReaders::open(range, std::make_unique<Messages>(word)),
                                 limits);
        });
        if (told != nullptr) *told = all;
        return numbers(all.text);
    }

    std::string tag;
    std::string directory;
    static inline std::unique_ptr<opsd::test::Node> node;
    static inline std::string reason;
};

}  // namespace opsd::systemd::test
