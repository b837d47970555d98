#include "io/sandbox/reader_link.hpp"

#include "io/sandbox/beneath.hpp"
#include "io/sandbox/checkpoints.hpp"
#include "io/sandbox/passing.hpp"
#include "io/sandbox/reader_protocol.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace opsd::sandbox {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

/// A killed process that does nothing is gone in less than a millisecond.
constexpr auto last_wait = 100ms;

}  // namespace

ReaderLink::ReaderLink(UniqueFd socket, pid_t pid, std::chrono::milliseconds limit)
  : socket_{std::move(socket)}
  , pid_{pid}
  , limit_{limit}
{
    // A reader that hangs takes no more requests: we must not hang with it.
    ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
}

ReaderLink::~ReaderLink()
{
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    collect(last_wait);
}

/// One that hangs in the kernel is not waited for: it goes to init with our end.
void ReaderLink::collect(std::chrono::milliseconds limit)
{
    if (pid_ <= 0) return;
    const UniqueFd ended{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
    pollfd ready{ended.get(), POLLIN, 0};
    if (limit > 0ms) ::poll(&ready, 1, static_cast<int>(limit.count()));
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
}

Result<> ReaderLink::fix(const std::string& folder)
{
    const std::lock_guard lock{mutex_};
    const Request request{Request::Kind::folder, ++last_id_, folder};
    const auto packet = to_packet(request);
    if (!parse_request(packet))
        return fail(Errc::invalid_argument,
                    fmt::format("cannot read files of tasks in {}: it is no absolute path", folder));
    if (!send(socket_.get(), packet)) return gone(std::generic_category().message(errno));
    return {};
}

Result<UniqueFd> ReaderLink::open(std::string_view path)
{
    return ask({Request::Kind::open, 0, std::string{path}});
}

Result<UniqueFd> ReaderLink::open_checkpoint(std::string_view path)
{
    return ask({Request::Kind::checkpoint, 0, std::string{path}});
}

Result<UniqueFd> ReaderLink::ask(Request request)
{
    const std::lock_guard lock{mutex_};
    if (!socket_) return gone(why_gone_);
    const auto end = steady_clock::now() + limit_;
    request.id = ++last_id_;
    if (!send(socket_.get(), to_packet(request)))
        return errno == EAGAIN ? late() : gone(std::generic_category().message(errno));
    return answer(request.id, end);
}

/// Answers to requests that nobody waits for any more are thrown away, with their descriptors.
Result<UniqueFd> ReaderLink::answer(std::uint64_t id, steady_clock::time_point end)
{
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady_clock::now());
        pollfd ready{socket_.get(), POLLIN, 0};
        const int count = ::poll(&ready, 1, static_cast<int>(std::max(left, 0ms).count()));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return late();
        Packet packet;
        const auto received = receive(socket_.get(), packet, max_packet);
        if (received == Received::closed) return gone("it has ended");
        if (received == Received::failed && errno == EAGAIN) continue;
        if (received == Received::failed) return gone(std::generic_category().message(errno));
        const auto reply = received == Received::packet ? parse_reply(packet.bytes) : std::optional<Reply>{};
        const bool whole = reply && reply->id <= id && reply->error.has_value() != bool{packet.descriptor};
        if (!whole) return gone("its answer is malformed");
        if (reply->id < id) continue;
        if (reply->error) return fail(*reply->error);
        return std::move(packet.descriptor);
    }
}

std::unexpected<Error> ReaderLink::gone(std::string why)
{
    why_gone_ = std::move(why);
    socket_ = UniqueFd{};
    collect(0ms);
    return fail(Errc::unavailable,
                fmt::format("cannot ask the reader of task files: {}; restart opsd, which starts it anew "
                            "(its last line is in the journal of opsd.service)",
                            why_gone_));
}

std::unexpected<Error> ReaderLink::late() const
{
    return fail(Errc::unavailable,
                fmt::format("cannot ask the reader of task files: it has not answered within {} ms; the "
                            "file system with the sandboxes may hang",
                            limit_.count()));
}

namespace {

/// The reader ends at a request that is malformed: none is sent.
class ReaderOpener final : public Opener {
public:
    ReaderOpener(std::shared_ptr<ReaderLink> link, std::string folder, bool checkpoints)
      : link_{std::move(link)}
      , folder_{std::move(folder)}
      , checkpoints_{checkpoints}
    {}

    Result<OpenFile> open(std::string_view path) override
    {
        if (!well_formed(path)) return fail(malformed(folder_));
        auto opened = ask(path);
        if (!opened) return fail(std::move(opened).error());
        return examine(std::move(*opened), name_of(folder_, path));
    }

    Result<std::vector<FolderEntry>> list(std::string_view path, std::size_t most) override
    {
        if (!path.empty() && !well_formed(path)) return fail(malformed(folder_));
        auto opened = ask(path);
        if (!opened) return fail(std::move(opened).error());
        // An open folder can be listed by anybody; its files can be looked at by the reader only.
        const auto kind_of = [this, path](int, const std::string& name) -> std::optional<bool> {
            auto entry = ask(path.empty() ? name : fmt::format("{}/{}", path, name));
            if (!entry) return {};
            struct stat now{};
            if (::fstat(entry->get(), &now) != 0) return {};
            return S_ISDIR(now.st_mode);
        };
        return entries_of(std::move(*opened), name_of(folder_, path), most, kind_of);
    }

private:
    Result<UniqueFd> ask(std::string_view path)
    {
        if (!checkpoints_) return link_->open(path);
        if (is_checkpoint(path)) return link_->open_checkpoint(path);
        return fail(Errc::denied,
                    fmt::format("cannot open {}: of an agent's checkpoints only its tasks are read",
                                name_of(folder_, path)));
    }

    std::shared_ptr<ReaderLink> link_;
    std::string folder_;
    bool checkpoints_;
};

}  // namespace

std::unique_ptr<Opener> make_reader_opener(std::shared_ptr<ReaderLink> link, std::string folder)
{
    return std::make_unique<ReaderOpener>(std::move(link), std::move(folder), false);
}

std::unique_ptr<Opener> make_checkpoint_opener(std::shared_ptr<ReaderLink> link, std::string folder)
{
    return std::make_unique<ReaderOpener>(std::move(link), std::move(folder), true);
}

}  // namespace opsd::sandbox
