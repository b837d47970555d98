#include "io/process/process.hpp"

#include "support.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

using namespace opsd;
using namespace boost::asio::experimental::awaitable_operators;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

ProcessSpec shell(std::string script)
{
    std::vector<std::string> argv{"/bin/sh", "-c", std::move(script)};
    return ProcessSpec{std::move(argv)};
}

/// Gone, or dead and waiting for init to collect it.
bool dead(const std::string& pid)
{
    std::ifstream stat{"/proc/" + pid.substr(0, pid.find_last_not_of('\n') + 1) + "/stat"};
    std::string number, name, state;
    if (!(stat >> number >> name >> state)) return true;
    return state == "Z" || state == "X";
}

std::size_t open_descriptors()
{
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"})
        ++count;
    return count;
}

Task<> expect_dead_soon(std::string pid)
{
    for (int i = 0; i < 200 && !dead(pid); ++i)
        co_await test::sleep(milliseconds{5});
    EXPECT_TRUE(dead(pid)) << pid;
}

}  // namespace

TEST(Process, ExitCodeAndOutputInTheOrderWritten)
{
    test::run([]() -> Task<> {
        auto spec = shell("echo out; echo err >&2; echo again; exit 2");
        const auto result = co_await run_process(std::move(spec));
        EXPECT_TRUE(result.has_value());
        EXPECT_EQ(result->exit_code, 2);
        EXPECT_EQ(result->signal, 0);
        EXPECT_EQ(result->output, "out\nerr\nagain\n");
        EXPECT_FALSE(result->timed_out);
        EXPECT_FALSE(result->truncated);
    });
}

TEST(Process, ASignalIsToldApartFromAnExit)
{
    test::run([]() -> Task<> {
        auto spec = shell("kill -TERM $$");
        const auto result = co_await run_process(std::move(spec));
        EXPECT_EQ(result->signal, SIGTERM);
        EXPECT_EQ(result->exit_code, 128 + SIGTERM);
    });
}

TEST(Process, TimeoutKillsTheWholeGroup)
{
    test::run([]() -> Task<> {
        auto spec = shell("sleep 60 & echo $!; sleep 60");
        spec.timeout = milliseconds{200};
        const auto begin = steady_clock::now();
        const auto result = co_await run_process(std::move(spec));
        EXPECT_TRUE(result->timed_out);
        EXPECT_EQ(result->exit_code, 128 + SIGKILL);
        EXPECT_GE(result->took, milliseconds{200});
        EXPECT_LT(steady_clock::now() - begin, milliseconds{2000});
        co_await expect_dead_soon(result->output);
    });
}

TEST(Process, CancellationKillsTheWholeGroupBeforeItIsSeen)
{
    test::run([]() -> Task<> {
        const auto file =
            std::filesystem::temp_directory_path() / ("opsd-process-" + std::to_string(::getpid()));
        auto spec = shell("sleep 61 & echo $! $$ > " + file.string() + ".new; mv " + file.string() + ".new "
                          + file.string() + "; sleep 61");
        spec.timeout = milliseconds{60'000};
        const auto until_it_runs = [](std::filesystem::path path) -> Task<> {
            while (!std::filesystem::exists(path))
                co_await test::sleep(milliseconds{5});
        };
        const auto first = co_await (run_process(std::move(spec)) || until_it_runs(file));
        EXPECT_EQ(first.index(), 1U);
        std::string grandchild, child;
        std::ifstream{file} >> grandchild >> child;
        std::filesystem::remove(file);
        EXPECT_FALSE(child.empty());
        EXPECT_FALSE(std::filesystem::exists("/proc/" + child))
            << "the child must be collected when the call ends";
        co_await expect_dead_soon(grandchild);
    });
}

TEST(Process, TheCallerStaysCancelledAfterwards)
{
    test::run([]() -> Task<> {
        bool went_on = false;
        const auto caller = [](bool& on) -> Task<> {
            auto spec = shell("sleep 62");
            try {
                [[maybe_unused]] const auto result = co_await run_process(std::move(spec));
            } catch (const boost::system::system_error&) {
            }
            co_await test::sleep(milliseconds{1});  // must throw: the caller was cancelled
            on = true;
        };
        const auto first = co_await (caller(went_on) || test::sleep(milliseconds{50}));
        EXPECT_EQ(first.index(), 1U);
        EXPECT_FALSE(went_on);
    });
}

TEST(Process, OutputIsBoundedAndSaysSo)
{
    test::run([]() -> Task<> {
        auto spec = shell("head -c 10000000 /dev/zero; exit 3");
        spec.max_output = 1000;
        const auto result = co_await run_process(std::move(spec));
        EXPECT_EQ(result->exit_code, 3);
        EXPECT_EQ(result->output.size(), 1000U);
        EXPECT_TRUE(result->truncated);
    });
}

TEST(Process, OutputOfExactlyTheLimitIsNotTruncated)
{
    test::run([]() -> Task<> {
        auto spec = shell("head -c 1000 /dev/zero");
        spec.max_output = 1000;
        const auto result = co_await run_process(std::move(spec));
        EXPECT_EQ(result->output.size(), 1000U);
        EXPECT_FALSE(result->truncated);
    });
}

TEST(Process, AGrandchildHoldingThePipeDoesNotHangTheCall)
{
    test::run([]() -> Task<> {
        auto spec = shell("sleep 60 & echo $!");
        const auto begin = steady_clock::now();
        const auto result = co_await run_process(std::move(spec));
        EXPECT_EQ(result->exit_code, 0);
        EXPECT_LT(steady_clock::now() - begin, milliseconds{2000});
        co_await expect_dead_soon(result->output);
    });
}

TEST(Process, ACommandThatClosesItsOutputIsStillAwaited)
{
    test::run([]() -> Task<> {
        auto spec = shell("exec >&- 2>&-; sleep 0.2; exit 7");
        const auto result = co_await run_process(std::move(spec));
        EXPECT_EQ(result->exit_code, 7);
    });
}

TEST(Process, TheEnvironmentIsTheGivenOneOrInherited)
{
    test::run([]() -> Task<> {
        auto given = shell("echo \"$WORD-$HOME\"");
        given.environment = {"WORD=a b"};
        const auto own = co_await run_process(std::move(given));
        EXPECT_EQ(own->output, "a b-\n");
        ::setenv("OPSD_PROCESS_TEST", "inherited", 1);
        auto plain = shell("echo $OPSD_PROCESS_TEST");
        const auto inherited = co_await run_process(std::move(plain));
        EXPECT_EQ(inherited->output, "inherited\n");
    });
}

TEST(Process, NoDescriptorAndNoIgnoredSignalLeaksIntoTheChild)
{
    test::run([]() -> Task<> {
        const int leak = ::dup(2);  // without close-on-exec
        ::signal(SIGPIPE, SIG_IGN);
        auto spec = shell("ls /proc/$$/fd; grep SigIgn /proc/$$/status");
        const auto result = co_await run_process(std::move(spec));
        ::close(leak);
        EXPECT_TRUE(result->output.starts_with("0\n1\n2\nSigIgn:\t")) << result->output;
        const auto ignored = std::stoull(result->output.substr(result->output.find('\t')), nullptr, 16);
        EXPECT_EQ(ignored & (1ULL << (SIGPIPE - 1)), 0U) << result->output;
    });
}

TEST(Process, NothingLeaksHere)
{
    test::run([]() -> Task<> {
        auto warm = shell("true");
        [[maybe_unused]] const auto first = co_await run_process(std::move(warm));
        const auto before = open_descriptors();
        for (int i = 0; i < 20; ++i) {
            auto spec = shell("true");
            [[maybe_unused]] const auto good = co_await run_process(std::move(spec));
            ProcessSpec missing{{"/nonexistent/check"}};
            [[maybe_unused]] const auto bad = co_await run_process(std::move(missing));
        }
        EXPECT_EQ(open_descriptors(), before);
        EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was left behind";
    });
}

TEST(Process, FailuresToStartHaveTheirCodes)
{
    test::run([]() -> Task<> {
        ProcessSpec missing{{"/nonexistent/check"}};
        const auto not_there = co_await run_process(std::move(missing));
        EXPECT_EQ(not_there.error().code, Errc::not_found);
        EXPECT_TRUE(not_there.error().message.starts_with("cannot run /nonexistent/check: "));
        ProcessSpec directory{{"/etc"}};
        const auto no_program = co_await run_process(std::move(directory));
        EXPECT_EQ(no_program.error().code, Errc::denied);
        ProcessSpec nothing{{}};
        const auto empty = co_await run_process(std::move(nothing));
        EXPECT_EQ(empty.error().code, Errc::invalid_argument);
    });
}

TEST(Process, WithoutDescriptorsItIsAnErrorNotACrash)
{
    test::run([]() -> Task<> {
        co_await test::sleep(milliseconds{1});  // the loop has its descriptors
        rlimit old{};
        ::getrlimit(RLIMIT_NOFILE, &old);
        const rlimit none{3, old.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
        auto spec = shell("true");
        const auto result = co_await run_process(std::move(spec));
        ::setrlimit(RLIMIT_NOFILE, &old);
        EXPECT_EQ(result.error().code, Errc::internal);
    });
}
