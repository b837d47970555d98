#include "pipeline_support.hpp"
#include "support.hpp"
#include "temp_dir.hpp"

#include <filesystem>
#include <fstream>

using namespace opsd;
using namespace opsd::test;
using namespace std::string_literals;

namespace {

const std::string path = "/x/elk.position";

/// What a daemon that starts now finds.
Start found(const std::shared_ptr<MemoryDisk>& disk)
{
    auto start = PositionFile{path, disk}.load();
    EXPECT_TRUE(start);
    return std::move(start).value_or(Start{});
}

std::shared_ptr<MemoryDisk> disk_with(std::initializer_list<std::string> positions)
{
    auto disk = std::make_shared<MemoryDisk>();
    PositionFile file{path, disk};
    EXPECT_TRUE(file.load());
    for (const auto& position : positions)
        EXPECT_TRUE(file.save(position));
    return disk;
}

}  // namespace

TEST(PositionFile, AnOutputThatNeverRanBeginsAsItIsConfigured)
{
    const auto start = found(std::make_shared<MemoryDisk>());
    EXPECT_EQ(start.kind, Start::Kind::first);
    EXPECT_EQ(start.sentence, "");
}

TEST(PositionFile, GoesOnAfterTheLastPositionSaved)
{
    const std::vector<std::vector<std::string>> all{{"a"}, {"a", "b", "c", "d"}, {"a", "b", "c"}};
    for (const auto& positions : all) {
        auto disk = std::make_shared<MemoryDisk>();
        PositionFile file{path, disk};
        EXPECT_TRUE(file.load());
        for (const auto& position : positions)
            EXPECT_TRUE(file.save(position));
        const auto start = found(disk);
        EXPECT_EQ(start.kind, Start::Kind::saved);
        EXPECT_EQ(start.position, positions.back());
    }
}

TEST(PositionFile, APositionIsAnyBytes)
{
    for (const auto& position : {""s, "a\nb"s, "\0\xff sum 1\n"s, std::string(60'000, 'x')})
        EXPECT_EQ(found(disk_with({position})).position, position);
    PositionFile file{path, std::make_shared<MemoryDisk>()};
    EXPECT_EQ(file.save(std::string((8U << 20U) + 1, 'x')).error().code, Errc::invalid_argument);
}

TEST(PositionFile, WritesNothingThatIsThereAlready)
{
    auto disk = disk_with({"a"});
    PositionFile file{path, disk};
    EXPECT_TRUE(file.load());
    EXPECT_TRUE(file.save("a"));
    EXPECT_EQ(disk->writes, 1U);
    EXPECT_TRUE(file.save("b"));
    EXPECT_TRUE(file.save("b"));
    EXPECT_EQ(disk->writes, 2U);
    EXPECT_EQ(file.writes(), 1U);
}

TEST(PositionFile, TornAtAnyByteItIsThePositionBefore)
{
    const auto whole = disk_with({"first", "s=6e;i=3f2;b=0a\nx", "third"});
    const auto size = whole->files.at(whole->newest).size();
    for (std::size_t kept = 0; kept < size; ++kept) {
        auto disk = std::make_shared<MemoryDisk>(*whole);
        disk->tear(kept);
        const auto start = found(disk);
        ASSERT_EQ(start.kind, Start::Kind::previous) << kept;
        ASSERT_EQ(start.position, "s=6e;i=3f2;b=0a\nx") << kept;
        ASSERT_NE(start.sentence.find("cannot use 1 of the position files /x/elk.position"),
                  std::string::npos);
    }
}

TEST(PositionFile, AFlippedBitAnywhereIsNoticed)
{
    const auto whole = disk_with({"first", "second"});
    const auto size = whole->files.at(whole->newest).size();
    for (std::size_t at = 0; at < size; ++at) {
        auto disk = std::make_shared<MemoryDisk>(*whole);
        disk->files.at(disk->newest)[at] ^= 4;
        ASSERT_EQ(found(disk).position, "first") << at;
    }
}

TEST(PositionFile, AfterATornFileTheNextSaveIsWholeAgain)
{
    auto disk = disk_with({"a", "b"});
    disk->tear(10);
    PositionFile file{path, disk};
    EXPECT_EQ(file.load()->position, "a");
    EXPECT_TRUE(file.save("a")) << "the same, but in the torn file's place";
    EXPECT_EQ(found(disk).kind, Start::Kind::saved);
    EXPECT_EQ(found(disk).position, "a");
    EXPECT_TRUE(file.save("c"));
    EXPECT_EQ(found(disk).position, "c");
}

TEST(PositionFile, WithBothFilesTornItIsUnknownAndSaysSo)
{
    auto disk = disk_with({"a", "b"});
    for (auto& [name, text] : disk->files)
        text.resize(5);
    const auto start = found(disk);
    EXPECT_EQ(start.kind, Start::Kind::unknown);
    EXPECT_NE(start.sentence.find("begins where the configuration says"), std::string::npos)
        << start.sentence;
    PositionFile file{path, disk};
    EXPECT_TRUE(file.load());
    EXPECT_TRUE(file.save("c"));
    EXPECT_EQ(found(disk).position, "c");
}

TEST(PositionFile, AnEmptyOnlyFileIsNoReasonToBeginAnywhereSilently)
{
    auto disk = disk_with({"a"});
    disk->tear(0);
    EXPECT_EQ(found(disk).kind, Start::Kind::unknown);
}

TEST(PositionFile, FilesThatCannotBeReadAreAnErrorNotABeginning)
{
    auto disk = disk_with({"a"});
    disk->unreadable = true;
    EXPECT_EQ((PositionFile{path, disk}.load().error().code), Errc::denied);
}

TEST(PositionFile, AFullDiskChangesNothingAndItIsTriedAgain)
{
    auto disk = disk_with({"a"});
    PositionFile file{path, disk};
    EXPECT_TRUE(file.load());
    disk->full = true;
    const auto refused = file.save("b");
    EXPECT_EQ(refused.error().code, Errc::unavailable);
    EXPECT_NE(refused.error().message.find("No space left"), std::string::npos);
    EXPECT_EQ(found(disk).position, "a");
    disk->full = false;
    EXPECT_TRUE(file.save("b"));
    EXPECT_EQ(found(disk).position, "b");
}

TEST(PositionFile, IsOnTheRealDiskWhatItIsInMemory)
{
    const TempDir dir;
    const auto file = dir / "elk.position";
    test::run([&]() -> Task<> {
        WorkerThread worker{"positions"};
        {
            auto store = make_position_store(file, make_position_disk(), worker);
            const auto first = co_await store->load();
            EXPECT_EQ(first->kind, Start::Kind::first);
            for (const auto* position : {"a", "b", "c"}) {
                const auto saved = co_await store->save(position);
                EXPECT_TRUE(saved);
            }
        }
        std::ofstream{file + ".a", std::ios::trunc} << "opsd position 1\n";  // the newest: a, b, a
        auto store = make_position_store(file, make_position_disk(), worker);
        const auto start = co_await store->load();
        EXPECT_EQ(start->kind, Start::Kind::previous);
        EXPECT_EQ(start->position, "b");
    });
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator{dir.path()}, {}), 2)
        << "no temporary is left";
}

TEST(PositionFile, ADirectoryThatIsNotThereIsSaid)
{
    const TempDir dir;
    PositionFile file{dir / "gone/elk.position", make_position_disk()};
    EXPECT_EQ(file.load()->kind, Start::Kind::first);
    EXPECT_EQ(file.save("a").error().code, Errc::not_found);
}
