// The daemon in a process of its own, with files on a disk that hangs: opening and syncing one waits while a
// marker is there.

#include "daemon/daemon.hpp"

#include "io/net/client.hpp"
#include "support.hpp"
#include "temp_dir.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace opsd;
using namespace std::chrono_literals;
using opsd::test::TempDir;

namespace {

/// In the child only: what hangs, while `marker` is there; `noted` tells the test that something does.
struct Hanging {
    std::string below;
    std::string marker;
    std::string noted;
};
Hanging hanging;

int open_at_once(const char* path, int flags, mode_t mode)
{
    return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

void hang_with(std::string_view path)
{
    if (hanging.below.empty() || !path.starts_with(hanging.below)) return;
    while (::access(hanging.marker.c_str(), F_OK) == 0) {
        ::close(open_at_once(hanging.noted.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        ::usleep(2'000);
    }
}

int open_slowly(const char* path, int flags, mode_t mode)
{
    hang_with(path);
    return open_at_once(path, flags, mode);
}

int sync_slowly(long call, int file)
{
    std::error_code ignored;
    hang_with(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file), ignored).string());
    return static_cast<int>(::syscall(call, file));
}

mode_t mode_of(int flags, va_list rest)
{
    return (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(rest, unsigned)) : 0;
}

}  // namespace

// In the place of libc's, for the daemon and for SQLite. By their labels: fcntl.h may have inline ones.
extern "C" int opsd_test_open(const char* path, int flags, ...) __asm__("open");
extern "C" int opsd_test_open64(const char* path, int flags, ...) __asm__("open64");

extern "C" int opsd_test_open(const char* path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    const auto mode = mode_of(flags, rest);
    va_end(rest);
    return open_slowly(path, flags, mode);
}

extern "C" int opsd_test_open64(const char* path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    const auto mode = mode_of(flags, rest);
    va_end(rest);
    return open_slowly(path, flags, mode);
}

extern "C" int fsync(int file) { return sync_slowly(SYS_fsync, file); }
extern "C" int fdatasync(int file) { return sync_slowly(SYS_fdatasync, file); }

namespace {

class Process {
public:
    /// What is below `slow` in its directory hangs while hang() is in force.
    explicit Process(const std::string& slow, bool from_the_start = true,
                     std::chrono::milliseconds last_wait = 5s)
      : last_wait_{last_wait}
    {
        std::ofstream{dir_ / "opsd.yaml"}
            << "http: {listen: [], stop_grace: 50ms, socket: " + socket() + "}\n";
        if (from_the_start) hang();
        child_ = ::fork();
        if (child_ == 0) ::_exit(run(dir_ / slow));
    }
    ~Process()
    {
        if (child_ <= 0) return;
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    void hang() { std::ofstream{dir_ / "hangs"} << "yes"; }
    void answer() { std::filesystem::remove(dir_ / "hangs"); }
    void signal(int number) const { ::kill(child_, number); }
    /// Has the store something that is only in its write-ahead log?
    [[nodiscard]] bool wrote() const
    {
        std::error_code none;
        const auto bytes = std::filesystem::file_size(dir_ / "state/state.db-wal", none);
        return !none && bytes > 0;
    }
    [[nodiscard]] bool hangs() const { return std::filesystem::exists(dir_ / "noted"); }
    /// The body of an answer of its API; "" while there is none.
    [[nodiscard]] std::string get(const std::string& path) const
    {
        std::string body;
        test::run([this, &path, &body]() -> Task<> {
            net::HttpClient client{co_await asio::this_coro::executor};
            net::ClientRequest request;
            request.url = "unix:" + socket() + ":" + path;
            const auto answer = co_await client.send(std::move(request));
            if (answer) body = answer->body;
        });
        return body;
    }
    /// What /-/ready says is degraded, of the store and the tokens.
    [[nodiscard]] std::string degraded() const
    {
        const auto body = nlohmann::json::parse(get("/-/ready"), nullptr, false);
        std::string all;
        if (!body.is_object()) return "no answer";
        for (const auto& line : body.at("degraded")) {
            const auto text = line.get<std::string>();
            if (text.starts_with("store: ") || text.starts_with("auth: ")) all += text + "\n";
        }
        return all;
    }
    /// Its exit status; -1 when it does not end.
    int wait(std::chrono::seconds limit)
    {
        int status = 0;
        const auto ended = [this, &status] { return ::waitpid(child_, &status, WNOHANG) == child_; };
        if (!eventually(ended, limit)) return -1;
        child_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    [[nodiscard]] std::string log() const
    {
        std::ifstream file{dir_ / "log"};
        return {std::istreambuf_iterator<char>{file}, {}};
    }

    template <class Condition>
    static bool eventually(Condition condition, std::chrono::seconds limit = 30s)
    {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            ::usleep(5'000);
        }
        return true;
    }

private:
    [[nodiscard]] std::string socket() const { return dir_ / "opsd.sock"; }
    [[nodiscard]] int run(const std::string& slow) const
    {
        const int log = open_slowly((dir_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(log, STDERR_FILENO);
        hanging = {slow, dir_ / "hangs", dir_ / "noted"};
        daemon::DaemonOptions options;
        options.sources.file = dir_ / "opsd.yaml";
        options.sources.directory = dir_ / "conf.d";
        options.last_wait = last_wait_;
        options.paths.state = dir_ / "state";
        options.paths.system_bus = "unix:path=" + (dir_ / "no-bus");
        return daemon::run_daemon(std::move(options));
    }

    TempDir dir_;
    std::chrono::milliseconds last_wait_;
    pid_t child_ = -1;
};

/// Does the last line of the log say that this did not end?
bool left_behind(const std::string& log, const std::string& name)
{
    const auto said = log.rfind("cannot stop in order: ");
    if (said == std::string::npos) return false;
    const auto line = log.substr(said);
    return line.find(name) != std::string::npos
           && line.find(" do not end; leaving without them") != std::string::npos;
}

constexpr auto stop_limit = 30s;      // 5 s by itself, and a slow machine
constexpr auto short_wait = 2'000ms;  // of those that are to leave something behind

}  // namespace

TEST(Daemon, ServesWithAStateDirectoryThatHangsAndHealsWhenItAnswers)
{
    Process daemon{"state"};
    EXPECT_TRUE(Process::eventually([&] { return daemon.get("/-/healthy") == "ok\n"; })) << daemon.log();
    const auto said = daemon.degraded();
    EXPECT_NE(said.find("state.db: it is still being opened"), std::string::npos) << said;
    EXPECT_NE(said.find("auth: "), std::string::npos) << said;
    EXPECT_TRUE(daemon.hangs());
    daemon.answer();
    EXPECT_TRUE(Process::eventually([&] { return daemon.degraded().empty(); })) << daemon.degraded();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait(stop_limit), 0) << daemon.log();
}

TEST(Daemon, ASignalEndsItWhateverHangs)
{
    Process state{"state", true, short_wait};
    Process start{"opsd.yaml", true, short_wait};
    Process reload{"opsd.yaml", false, short_wait};
    EXPECT_TRUE(Process::eventually([&] { return state.get("/-/healthy") == "ok\n"; })) << state.log();
    EXPECT_TRUE(Process::eventually([&] { return reload.get("/-/healthy") == "ok\n"; })) << reload.log();
    EXPECT_TRUE(Process::eventually([&] { return start.hangs(); })) << start.log();
    reload.hang();
    reload.signal(SIGHUP);
    EXPECT_TRUE(Process::eventually([&] { return reload.hangs(); })) << reload.log();
    for (auto* process : {&state, &start, &reload})
        process->signal(SIGTERM);
    for (auto* process : {&state, &start, &reload}) {
        EXPECT_EQ(process->wait(stop_limit), 1) << process->log();
        const auto name = process == &state ? "opsd-store" : "opsd-files";
        EXPECT_TRUE(left_behind(process->log(), name)) << process->log();
    }
}

TEST(Daemon, ASignalEndsItAlsoWhenTheDiskHangsAfterTheStoreWasOpened)
{
    Process daemon{"state", false, short_wait};
    EXPECT_TRUE(Process::eventually([&] { return daemon.wrote() && daemon.degraded().empty(); }))
        << daemon.log();
    daemon.hang();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait(stop_limit), 1) << daemon.log();
    EXPECT_TRUE(daemon.hangs());
    EXPECT_TRUE(left_behind(daemon.log(), "opsd-store")) << daemon.log();
}

TEST(Daemon, AReloadThatIsAskedForDuringTheStartFollowsIt)
{
    Process daemon{"opsd.yaml"};
    EXPECT_TRUE(Process::eventually([&] { return daemon.hangs(); })) << daemon.log();
    daemon.signal(SIGHUP);
    daemon.answer();
    const auto reloaded = [&] {
        return daemon.log().find("reloading the configuration") != std::string::npos;
    };
    EXPECT_TRUE(Process::eventually(reloaded)) << daemon.log();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait(stop_limit), 0) << daemon.log();
}
