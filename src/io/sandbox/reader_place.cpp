#include "io/sandbox/reader_place.hpp"

#include "io/sandbox/capabilities.hpp"
#include "io/sandbox/checkpoints.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

namespace opsd::sandbox {
namespace {

using namespace std::chrono_literals;

/// A disk that is busy answers later than one would think; a file system that hangs never does.
constexpr auto answer_limit = 10'000ms;

/// What is wrong, at each call.
class FailingOpener final : public Opener {
public:
    explicit FailingOpener(Error error) : error_{std::move(error)} {}
    Result<OpenFile> open(std::string_view) override { return fail(error_); }
    Result<std::vector<FolderEntry>> list(std::string_view, std::size_t) override { return fail(error_); }

private:
    Error error_;
};

/// The settings of posix_spawn, freed at the end: the socket and stderr, nothing else of ours.
struct SpawnSettings {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};

    explicit SpawnSettings(int socket)
    {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        posix_spawn_file_actions_adddup2(&actions, socket, 0);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        sigset_t none;
        sigset_t all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~SpawnSettings()
    {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
};

std::unexpected<Error> cannot_start(int number)
{
    return fail(Errc::unavailable, fmt::format("cannot start the reader of task files: {}; restart opsd",
                                               std::generic_category().message(number)));
}

Result<std::shared_ptr<ReaderLink>> spawn(std::vector<std::string> argv)
{
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return cannot_start(errno);
    UniqueFd ours{ends[0]};
    const UniqueFd its{ends[1]};
    const SpawnSettings settings{its.get()};
    std::vector<char*> words;
    for (auto& word : argv)
        words.push_back(word.data());
    words.push_back(nullptr);
    char* nothing[] = {nullptr};  // it needs nothing of our environment, which may hold secrets
    pid_t pid = 0;
    const int number =
        ::posix_spawn(&pid, words[0], &settings.actions, &settings.attributes, words.data(), nothing);
    if (number != 0) return cannot_start(number);
    return std::make_shared<ReaderLink>(std::move(ours), pid, answer_limit);
}

}  // namespace

std::unique_ptr<Opener> ReaderPlace::opener(std::string folder)
{
    if (why_) return std::make_unique<FailingOpener>(*why_);
    if (!link_) return make_own_opener(std::move(folder));
    if (folder_.empty()) {
        const auto fixed = link_->fix(folder);
        if (!fixed) return std::make_unique<FailingOpener>(fixed.error());
        folder_ = folder;
    }
    if (folder == folder_) return make_reader_opener(link_, std::move(folder));
    if (folder == checkpoints_beside(folder_)) return make_checkpoint_opener(link_, std::move(folder));
    return std::make_unique<FailingOpener>(
        Error{Errc::denied, fmt::format("cannot read files of tasks in {}: their reader was started for {}, "
                                        "and has no other folder; restart opsd",
                                        folder, folder_)});
}

void ReaderPlace::seal()
{
    if (!link_ || !folder_.empty()) return;
    link_.reset();
    why_ =
        Error{Errc::denied, "cannot read files of tasks: none were configured when opsd started, and their "
                            "reader has ended; restart opsd"};
}

Result<std::shared_ptr<ReaderPlace>> start_reader(std::vector<std::string> argv)
{
    const bool given = reading_is_inherited();
    const auto started = given ? spawn(std::move(argv)) : std::shared_ptr<ReaderLink>{};
    if (given || ::geteuid() != 0) {
        const auto given_up = give_up_reading();
        if (!given_up) return fail(given_up.error());
    }
    if (!started) return std::make_shared<ReaderPlace>(started.error());
    return *started ? std::make_shared<ReaderPlace>(*started) : std::make_shared<ReaderPlace>();
}

}  // namespace opsd::sandbox
