#include "io/process/process.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <system_error>

namespace opsd {
namespace {

using std::chrono::steady_clock;
using Descriptor = asio::posix::stream_descriptor;

/// How long a killed process may take to be gone; longer means that it hangs in the kernel.
constexpr std::chrono::seconds kill_grace{2};
/// What is read from the pipe after the command ended: more than a pipe can hold.
constexpr std::size_t max_rest = 1 << 20;

/// Killed children that were not gone in time. Each call looks whether they are; at most as many as hang.
class Laggards {
public:
    void add(pid_t pid)
    {
        const std::lock_guard lock{mutex_};
        pids_.push_back(pid);
    }
    void reap()
    {
        const std::lock_guard lock{mutex_};
        std::erase_if(pids_, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
    }

private:
    std::mutex mutex_;
    std::vector<pid_t> pids_;
};

Laggards& laggards()
{
    static Laggards all;
    return all;
}

/// A running child. Whatever way the call ends, its group is killed and the child collected.
class Child {
public:
    explicit Child(pid_t pid) : pid_{pid} {}
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child()
    {
        if (pid_ < 0) return;
        kill_group();
        if (::waitpid(pid_, nullptr, WNOHANG) == 0) laggards().add(pid_);
    }
    void kill_group() const { ::kill(-pid_, SIGKILL); }

    /// Collects the ended child. Its group is killed first: while it is a zombie nobody else has its number.
    bool collect(int& status)
    {
        kill_group();
        if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
        pid_ = -1;
        return true;
    }

private:
    pid_t pid_;
};

std::vector<char*> pointers(const std::vector<std::string>& texts)
{
    std::vector<char*> all;
    all.reserve(texts.size() + 1);
    for (const auto& text : texts)
        all.push_back(const_cast<char*>(text.c_str()));
    all.push_back(nullptr);
    return all;
}

/// The settings of posix_spawn, freed at the end.
struct SpawnSettings {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};

    explicit SpawnSettings(int output)
    {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, output, 1);
        posix_spawn_file_actions_adddup2(&actions, output, 2);
        posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        sigset_t none;
        sigset_t all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes,
                                 POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~SpawnSettings()
    {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
};

std::string reason(int number) { return std::generic_category().message(number); }

Result<pid_t> spawn(const ProcessSpec& spec, int output)
{
    const SpawnSettings settings{output};
    auto argv = pointers(spec.argv);
    auto environment = pointers(spec.environment);
    pid_t pid = -1;
    const int number = ::posix_spawnp(&pid, argv[0], &settings.actions, &settings.attributes, argv.data(),
                                      spec.environment.empty() ? environ : environment.data());
    if (number == 0) return pid;
    auto code = Errc::internal;
    if (number == ENOENT || number == ENOTDIR) code = Errc::not_found;
    if (number == EACCES || number == EPERM) code = Errc::denied;
    return fail(code,
                fmt::format("cannot run {}: {}; check the path and its mode", spec.argv[0], reason(number)));
}

/// Keeps the first bytes and remembers that there were more.
void keep(ProcessResult& result, std::string_view bytes, std::size_t limit)
{
    const auto room = limit - std::min(limit, result.output.size());
    result.output.append(bytes.substr(0, room));
    if (bytes.size() > room) result.truncated = true;
}

/// Reads until cancelled; ends only by throwing, for a branch of `||` that returned would count as the
/// winner.
Task<> read_output(Descriptor& pipe, ProcessResult& result, std::size_t limit)
{
    std::array<char, 4096> chunk{};
    for (;;) {
        auto [ec, size] = co_await pipe.async_read_some(asio::buffer(chunk), tuple);
        if (ec == asio::error::operation_aborted) throw boost::system::system_error{ec};
        if (ec) break;  // the command closed its output and may still run
        keep(result, {chunk.data(), size}, limit);
    }
    asio::steady_timer forever{pipe.get_executor(), never};
    co_await forever.async_wait(asio::use_awaitable);
}

void read_rest(Descriptor& pipe, ProcessResult& result, std::size_t limit)
{
    std::array<char, 4096> chunk{};
    for (std::size_t total = 0; total < max_rest;) {
        const auto size = ::read(pipe.native_handle(), chunk.data(), chunk.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return;
        total += static_cast<std::size_t>(size);
        keep(result, {chunk.data(), static_cast<std::size_t>(size)}, limit);
    }
}

/// Waits until the process ended or `limit` passed; true when it ended.
Task<bool> wait_for_exit(Descriptor& exited, std::chrono::milliseconds limit)
{
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer{exited.get_executor(), limit};
    const auto first = co_await (exited.async_wait(Descriptor::wait_read, asio::use_awaitable)
                                 || timer.async_wait(asio::use_awaitable));
    co_return first.index() == 0;
}

/// Lets the command run to its end or its deadline, then kills and collects it. A cancellation of the caller
/// is thrown on only when the child is gone.
Task<bool> supervise(Child& child, Descriptor& exited, Descriptor& pipe, const ProcessSpec& spec,
                     ProcessResult& result, int& status)
{
    using namespace asio::experimental::awaitable_operators;
    std::exception_ptr cancelled;
    try {
        const auto first =
            co_await (wait_for_exit(exited, spec.timeout) || read_output(pipe, result, spec.max_output));
        result.timed_out = !std::get<0>(first);
    } catch (...) {
        cancelled = std::current_exception();
    }
    child.kill_group();
    const bool throwing = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    try {
        co_await wait_for_exit(exited, kill_grace);
    } catch (const std::exception&) {
        // cancelled once more, harder: the child goes to the laggards
    }
    co_await asio::this_coro::throw_if_cancelled(throwing);
    const bool gone = child.collect(status);
    if (cancelled) std::rethrow_exception(cancelled);
    co_return gone;
}

Result<> check(const ProcessSpec& spec)
{
    if (spec.argv.empty() || spec.argv[0].empty()) {
        return fail(Errc::invalid_argument, "cannot run a command: none is given");
    }
    const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
    if (std::ranges::any_of(spec.argv, has_nul) || std::ranges::any_of(spec.environment, has_nul)) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot run {}: a NUL byte is in its arguments", spec.argv[0].c_str()));
    }
    return {};
}

/// Gives a descriptor to the loop, or closes it.
bool adopt(Descriptor& to, int fd)
{
    error_code ec;
    to.assign(fd, ec);
    if (ec) ::close(fd);
    return !ec;
}

}  // namespace

Task<Result<ProcessResult>> run_process(ProcessSpec spec)
{
    const auto executor = co_await asio::this_coro::executor;
    laggards().reap();
    const auto usable = check(spec);
    if (!usable) co_return fail(usable.error());

    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        co_return fail(Errc::internal,
                       fmt::format("cannot run {}: no pipe: {}", spec.argv[0], reason(errno)));
    }
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);  // ours only; the child expects blocking output
    Descriptor pipe{executor};
    const bool piped = adopt(pipe, ends[0]);
    const auto begin = steady_clock::now();
    auto pid =
        piped ? spawn(spec, ends[1]) : fail(Errc::internal, "cannot watch a pipe: too many descriptors");
    ::close(ends[1]);
    if (!pid) co_return fail(std::move(pid).error());

    Child child{*pid};
    Descriptor exited{executor};
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0));
    if (pidfd < 0 || !adopt(exited, pidfd)) {
        co_return fail(Errc::internal, fmt::format("cannot watch {}: {}", spec.argv[0], reason(errno)));
    }
    ProcessResult result;
    int status = 0;
    const bool gone = co_await supervise(child, exited, pipe, spec, result, status);
    read_rest(pipe, result, spec.max_output);
    result.took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begin);
    result.signal = !gone ? SIGKILL : WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    result.exit_code = result.signal != 0 ? 128 + result.signal : WEXITSTATUS(status);
    co_return result;
}

}  // namespace opsd
