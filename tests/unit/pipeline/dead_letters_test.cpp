#include "pipeline_support.hpp"
#include "support.hpp"
#include "temp_dir.hpp"

#include <filesystem>
#include <fstream>

using namespace opsd;
using namespace opsd::test;
using namespace std::string_literals;

namespace {

DeadLetter letter(const std::string& id, std::string bytes = "{}\n")
{
    return {id, "s=1;i=" + id, 5, 7, "400 mapper_parsing_exception: failed", std::move(bytes)};
}

std::string read_all(const std::string& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::vector<std::string> ids(const DeadLetterFile& file)
{
    std::vector<std::string> all;
    const auto list = file.list();
    EXPECT_TRUE(list);
    for (const auto& one : list->letters)
        all.push_back(one.id);
    return all;
}

using Ids = std::vector<std::string>;
constexpr std::size_t cap = 2 * 1024 * 1024;

}  // namespace

TEST(DeadLetters, KeepEverythingOfARecordWhateverItsBytes)
{
    const TempDir dir;
    DeadLetterFile file{dir / "elk.dead", cap};
    const auto odd = "a\tb\nc\\n\\\0\xff"s;
    EXPECT_TRUE(file.bury({letter("1", odd)}));
    const auto list = file.list();
    ASSERT_EQ(list->letters.size(), 1U);
    const auto& back = list->letters[0];
    EXPECT_EQ(back.bytes, odd);
    EXPECT_EQ(back.id, "1");
    EXPECT_EQ(back.position, "s=1;i=1");
    EXPECT_EQ(back.reason, "400 mapper_parsing_exception: failed");
    EXPECT_EQ(back.time, 5);
    EXPECT_EQ(back.died, 7);
}

TEST(DeadLetters, AFileThatIsNotThereHasNone)
{
    const TempDir dir;
    EXPECT_EQ(ids(DeadLetterFile{dir / "elk.dead", cap}), Ids{});
}

TEST(DeadLetters, ATornTailSpoilsNothingButItself)
{
    const TempDir dir;
    const auto path = dir / "elk.dead";
    DeadLetterFile file{path, cap};
    EXPECT_TRUE(file.bury({letter("1"), letter("2")}));
    const auto whole = read_all(path);
    const auto first = whole.find('\n') + 1;
    for (auto kept = first; kept + 1 < whole.size(); ++kept) {
        std::filesystem::resize_file(path, kept);
        ASSERT_EQ(ids(file), Ids{"1"}) << kept;
        ASSERT_TRUE(file.bury({letter("3")}));
        ASSERT_EQ(ids(file), (Ids{"1", "3"})) << kept;
        ASSERT_EQ(file.list()->torn, kept == first ? 0U : 1U);
        std::ofstream{path, std::ios::binary | std::ios::trunc} << whole;
    }
}

TEST(DeadLetters, TheSameRecordTwiceIsOneLetter)
{
    const TempDir dir;
    DeadLetterFile file{dir / "elk.dead", cap};
    EXPECT_TRUE(file.bury({letter("1", "old"), letter("2")}));
    EXPECT_TRUE(file.bury({letter("1", "new")}));
    EXPECT_EQ(ids(file), (Ids{"2", "1"})) << "by its last refusal";
    EXPECT_EQ(file.list()->letters[1].bytes, "new");
}

TEST(DeadLetters, AreCappedAndCountTheOldestThatGo)
{
    const TempDir dir;
    DeadLetterFile file{dir / "elk.dead", cap};
    std::uint64_t dropped = 0;
    for (int i = 0; i < 40; ++i) {
        const auto buried = file.bury({letter(std::to_string(i), std::string(100'000, 'x'))});
        ASSERT_TRUE(buried);
        dropped += *buried;
    }
    const auto left = ids(file);
    EXPECT_GT(dropped, 15U);
    EXPECT_EQ(left.size() + dropped, 40U);
    EXPECT_EQ(left.back(), "39");
    std::uintmax_t size = 0;
    for (const auto& entry : std::filesystem::directory_iterator{dir.path()})
        size += entry.file_size();
    EXPECT_LE(size, cap);
}

TEST(DeadLetters, ARecordLargerThanItsShareKeepsItsPosition)
{
    const TempDir dir;
    DeadLetterFile file{dir / "elk.dead", cap};
    EXPECT_TRUE(file.bury({letter("1", std::string(5'000'000, 'x'))}));
    const auto list = file.list();
    ASSERT_EQ(list->letters.size(), 1U);
    EXPECT_EQ(list->letters[0].position, "s=1;i=1");
    EXPECT_EQ(list->letters[0].bytes, "");
    EXPECT_NE(list->letters[0].reason.find("5000000 bytes were too many"), std::string::npos);
}

TEST(DeadLetters, AreGoneOnceTheyAreRemoved)
{
    const TempDir dir;
    DeadLetterFile file{dir / "elk.dead", cap};
    EXPECT_TRUE(file.bury({letter("1"), letter("2"), letter("3")}));
    EXPECT_EQ(file.remove({"1", "3", "9"}), 2U);
    EXPECT_EQ(ids(file), Ids{"2"});
    EXPECT_EQ(file.remove({"1"}), 0U);
}

TEST(DeadLetters, ALowerCapIsNoReasonToKeepNoMore)
{
    const TempDir dir;
    const auto path = dir / "elk.dead";
    std::uint64_t buried = 0;
    {
        DeadLetterFile large{path, 3 * cap};
        for (; !std::filesystem::exists(path + ".1"); ++buried)
            ASSERT_EQ(large.bury({letter(std::to_string(buried), std::string(400'000, 'x'))}), 0U);
    }
    DeadLetterFile file{path, cap};
    ASSERT_TRUE(file.list()) << "larger than all that is allowed now";
    EXPECT_EQ(file.count(), buried);
    std::uint64_t dropped = 0;
    for (int i = 0; i < 5; ++i, ++buried) {
        const auto more = file.bury({letter(std::to_string(buried), std::string(400'000, 'x'))});
        ASSERT_TRUE(more) << more.error().message;
        dropped += *more;
    }
    EXPECT_GT(dropped, 6U) << "counted, however large the file was";
    EXPECT_EQ(file.count(), buried - dropped);
    EXPECT_EQ(file.list()->count, buried - dropped);
}

TEST(DeadLetters, TheOldOnesGoOnlyWhenTheNewOnesAreKept)
{
    const TempDir dir;
    const auto path = dir / "elk.dead";
    DeadLetterFile file{path, cap};
    std::uint64_t dropped = 0;
    int n = 0;
    while (dropped == 0) {
        const auto more = file.bury({letter(std::to_string(n++), std::string(400'000, 'x'))});
        ASSERT_TRUE(more);
        dropped += *more;
    }
    // Nothing can be written where the next file begins, as on a full disk.
    std::filesystem::create_directories(path + ".next/in-the-way");
    while (file.bury({letter(std::to_string(n), std::string(400'000, 'x'))}))
        ++n;
    const auto before = ids(file);
    EXPECT_FALSE(file.bury({letter(std::to_string(n), std::string(400'000, 'x'))}));
    EXPECT_EQ(ids(file), before) << "nothing is gone";
    std::filesystem::remove_all(path + ".next");
    const auto at_last = file.bury({letter(std::to_string(n), std::string(400'000, 'x'))});
    ASSERT_TRUE(at_last);
    EXPECT_EQ(ids(file).size() + *at_last, before.size() + 1);
}

TEST(DeadLetters, AListIsTheNewestAndShortHoweverManyThereAre)
{
    const TempDir dir;
    DeadLetterFile file{dir / "elk.dead", cap};
    EXPECT_EQ(file.count(), std::nullopt) << "nobody has looked";
    for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(file.bury({letter(std::to_string(i), std::string(5'000, 'x'))}));
    EXPECT_TRUE(file.bury({letter("3", "again")}));
    const auto list = file.list({2, 100});
    EXPECT_EQ(list->count, 10U);
    ASSERT_EQ(list->letters.size(), 2U);
    EXPECT_EQ(list->letters[0].id, "9");
    EXPECT_EQ(list->letters[0].bytes.size(), 100U);
    EXPECT_EQ(list->letters[0].size, 5'000U);
    EXPECT_EQ(list->letters[1].bytes, "again");
    EXPECT_EQ(file.remove({"3", "4"}), 2U);
    EXPECT_EQ(file.count(), 8U);
    EXPECT_EQ(DeadLetterFile(dir / "elk.dead", cap).list({0, 0})->count, 8U) << "also after a restart";
}

TEST(DeadLetters, AreTakenPageByPage)
{
    const TempDir dir;
    DeadLetterFile file{dir / "elk.dead", cap};
    for (int i = 0; i < 5; ++i)
        EXPECT_TRUE(file.bury({letter(std::to_string(i), std::string(1'000, 'x'))}));
    EXPECT_TRUE(file.bury({letter("none", "")}));
    auto page = file.page({}, {}, 2'500);
    ASSERT_EQ(page->letters.size(), 2U);
    EXPECT_EQ(page->letters[0].id, "0");
    EXPECT_EQ(page->more, 3U);
    EXPECT_EQ(page->without, 1U);
    page = file.page({"0", "1", "4"}, {"0"}, 1);
    ASSERT_EQ(page->letters.size(), 1U) << "one at least";
    EXPECT_EQ(page->letters[0].id, "1");
    EXPECT_EQ(page->more, 1U);
}

TEST(DeadLetters, AreBuriedOnTheWorkersThread)
{
    const TempDir dir;
    test::run([&]() -> Task<> {
        WorkerThread worker{"letters"};
        auto file = std::make_shared<DeadLetterFile>(dir / "elk.dead", cap);
        auto box = make_letter_box(file, worker);
        std::vector<DeadLetter> one{letter("1")};
        const auto buried = co_await box->bury(std::move(one));
        EXPECT_EQ(buried.value_or(9), 0U);
        EXPECT_EQ(ids(*file), Ids{"1"});
        auto nowhere = make_letter_box(std::make_shared<DeadLetterFile>(dir / "gone/elk.dead", cap), worker);
        std::vector<DeadLetter> two{letter("2")};
        const auto failed = co_await nowhere->bury(std::move(two));
        EXPECT_NE(failed.error().message.find("keep refused records"), std::string::npos);
    });
}
