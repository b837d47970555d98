#include "modules/forward/output.hpp"

#include "core/at.hpp"
#include "core/first_of.hpp"
#include "io/files/files.hpp"
#include "modules/forward/place.hpp"
#include "pipeline/frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace opsd::forward {
namespace {

using namespace std::chrono_literals;
using pipeline::Verdict;

constexpr std::chrono::milliseconds patience = 10s;       // of a replay with what is in flight
constexpr std::chrono::milliseconds probe_deadline = 8s;  // less than a command waits for its answer
constexpr std::chrono::milliseconds trouble_pause = 5s;
constexpr std::size_t largest_state = 4096;
constexpr std::size_t longest_preview = 1'000;  // of a dead letter
constexpr std::string_view state_paused = "paused\n";
constexpr std::string_view state_running = "running\n";

pipeline::DeliveryOptions delivery_options(const OutputOptions& options, std::uint32_t seed)
{
    pipeline::DeliveryOptions out;
    out.outbox.batch.records = static_cast<std::size_t>(options.batch.records);
    out.outbox.batch.bytes = static_cast<std::size_t>(options.batch.bytes.count);
    out.outbox.batch.age = options.batch.age;
    out.outbox.in_flight = static_cast<std::size_t>(options.batch.in_flight);
    out.outbox.memory = static_cast<std::size_t>(options.memory.count);
    out.deadline = find_kind(options.type)->deadline(options);
    out.rate = static_cast<std::size_t>(options.rate.count);
    out.burst = std::max(out.rate, out.outbox.batch.bytes);
    out.seed = seed;
    return out;
}

/// What validate() has found good.
template <class T>
T good(Result<T> result)
{
    if (!result) throw std::logic_error{result.error().message};
    return std::move(*result);
}

Result<> write_state(const std::string& path, bool paused)
{
    return files::write_atomic(path, paused ? state_paused : state_running, 0600);
}

/// False when it was never paused.
Result<bool> read_state(const std::string& directory, const std::string& path)
{
    const auto made = files::make_directories(directory, 0700);
    if (!made) return fail(made.error());
    const auto text = files::read_file(path, largest_state);
    if (!text && text.error().code == Errc::not_found) return false;
    if (!text) return fail(text.error());
    return *text == state_paused;
}

std::unexpected<Error> unavailable(std::string message)
{
    return fail(Errc::unavailable, std::move(message));
}

}  // namespace

Output::Output(const OutputOptions& options, const Surroundings& around)
  : options_{options}
  , around_{around}
  , kind_{*find_kind(options.type)}
  , filter_{good(make_filter(options, around.own_unit))}
  , redaction_{good(pipeline::Redaction::make(options.redact.patterns, options.redact.known))}
  , source_{make_input()}
  , sink_{around.make_sink(options)}
  , positions_{make_positions()}
  , letters_{std::make_shared<pipeline::DeadLetterFile>(path("letters"),
                                                        static_cast<std::size_t>(options.dead_letters.count))}
  , box_{pipeline::make_letter_box(letters_, around.disk)}
  , delivery_{delivery_options(options, around.seed),
              {*source_, *sink_, *positions_, *box_, around.services.clock,
               around.services.log.named(fmt::format("{} {}", logger, options.name))}}
  , news_{around.services.executor, never}
{}

std::string Output::path(std::string_view what) const
{
    return fmt::format("{}/{}.{}", around_.directory, options_.name, what);
}

std::unique_ptr<Input> Output::make_input()
{
    if (!of_tasks(options_))
        return std::make_unique<JournalSource>(
            JournalSourceOptions{filter_->matches(), options_.name, good(parse_start(options_.start))},
            around_.journal, [this] { return make_writer(true); }, around_.labels, around_.services.clock);
    return std::make_unique<TaskSource>(
        around_.tasks, TaskWanted{options_.start == "beginning", filter_->needs_names()}, around_.world,
        [this](std::shared_ptr<const RecordNumber> number) { return make_task_writer(std::move(number)); },
        around_.labels, around_.services.clock, around_.services.executor,
        around_.services.log.named(fmt::format("{} {}", logger, options_.name)));
}

/// Another file for each input: a place in one is none in the other.
std::unique_ptr<pipeline::PositionStore> Output::make_positions()
{
    const auto file = path(of_tasks(options_) ? "tasks" : "position");
    return source_->positions(
        pipeline::make_position_store(file, pipeline::make_position_disk(), around_.disk));
}

/// Redacted before anything is rendered.
std::unique_ptr<systemd::EntryWriter> Output::clean_writer() const
{
    return std::make_unique<pipeline::RedactingWriter>(kind_.writer(options_, around_.labels()), redaction_);
}

/// What the filter leaves out is not looked at.
std::unique_ptr<systemd::EntryWriter> Output::make_writer(bool filtered) const
{
    auto framed = std::make_unique<pipeline::FrameWriter>(clean_writer());
    if (!filtered) return framed;
    return std::make_unique<FilterWriter>(filter_, std::move(framed));
}

std::unique_ptr<systemd::EntryWriter>
Output::make_task_writer(std::shared_ptr<const RecordNumber> number) const
{
    auto framed = std::make_unique<NumberedFrames>(clean_writer(), std::move(number));
    return std::make_unique<FilterWriter>(filter_, std::move(framed));
}

Task<> Output::run()
{
    struct Running {
        explicit Running(Output& of) : output{of} { output.running_ = true; }
        ~Running()
        {
            output.running_ = false;
            output.settle_replay(unavailable(
                fmt::format("cannot replay {}: it is stopping; ask again", output.options_.name)));
        }
        Running(const Running&) = delete;
        Running& operator=(const Running&) = delete;
        Output& output;
    };
    const Running running{*this};
    co_await remember();
    while (!stopping_) {
        // One that was asked for while it began needs nothing to end.
        if (!replay_) co_await first_of(delivery_.run(), first_of(impatience(), source_->attend()));
        if (replay_) co_await go_back();
    }
}

/// Whether it was paused when an earlier run ended. Until that is known nothing is sent.
Task<> Output::remember()
{
    while (!paused_) {
        auto job = [directory = around_.directory, file = path("state"), letters = letters_] {
            auto state = read_state(directory, file);
            if (state) static_cast<void>(letters->list({0, 0}));  // to know how many there are
            return state;
        };
        auto was = co_await around_.disk.run(std::move(job));
        trouble_ = was ? std::string{} : was.error().message;
        if (was && !paused_) paused_ = *was;
        if (!paused_) co_await around_.services.clock.sleep_for(trouble_pause);
    }
    trouble_.clear();
    if (*paused_) delivery_.pause();
}

/// Ends when a replay was asked for, and what is in flight still is not settled after a while.
Task<> Output::impatience()
{
    while (!replay_)
        co_await wait_event(news_);
    co_await around_.services.clock.sleep_for(patience);
}

/// The delivery has ended: its next run begins at the place.
Task<> Output::go_back()
{
    auto place = replay_->place;
    Result<> saved;
    const auto loaded = co_await positions_->load();
    if (loaded)
        saved = co_await positions_->save(std::move(place));
    else
        saved = fail(loaded.error());
    settle_replay(std::move(saved));
}

void Output::settle_replay(Result<> result)
{
    if (!replay_) return;
    replay_->done = std::move(result);
    replay_.reset();
    news_.cancel();
}

void Output::stop()
{
    stopping_ = true;
    delivery_.stop();
}

Task<Kept> Output::pause(bool paused)
{
    paused_ = paused;
    if (paused)
        delivery_.pause();
    else
        delivery_.resume();
    auto job = [file = path("state"), paused] { return write_state(file, paused); };
    const auto written = co_await around_.disk.run(std::move(job));
    Kept kept;
    kept.durable = written.has_value();
    if (!written) kept.note = "in force now, but not after a restart: " + written.error().message;
    co_return kept;
}

Task<Result<>> Output::replay(std::string place)
{
    if (!running_ || stopping_ || !trouble_.empty())
        co_return unavailable(
            fmt::format("cannot replay {}: it does not run; opsd forward status says why", options_.name));
    if (replay_)
        co_return unavailable(
            fmt::format("cannot replay {}: another replay is under way; try again", options_.name));
    const auto mine = std::make_shared<Replay>();
    mine->place = std::move(place);
    replay_ = mine;
    delivery_.stop();
    news_.cancel();
    while (!mine->done)
        co_await wait_event(news_);
    co_return *mine->done;
}

Result<> Output::ask()
{
    if (asking_)
        return unavailable(
            fmt::format("cannot ask {}: a question to it is under way; try again", options_.name));
    return {};
}

Task<Result<Verdict>> Output::test()
{
    const auto free = ask();
    if (!free) co_return fail(free.error());
    const At asking{asking_};
    auto& services = around_.services;
    const auto now = services.clock.now().time_since_epoch().count();
    const auto& identity = services.board.identity.get();
    const auto host = identity ? identity->value.hostname : std::string{};
    // A cursor of another form is its own id, so that no entry has the same.
    const auto cursor = fmt::format("opsd-probe-{}-{}", host, now);
    const std::array<systemd::JournalField, 4> fields{{
        {"MESSAGE", "A probe by opsd forward test: this record comes from no program"},
        {"PRIORITY", "6"},
        {"SYSLOG_IDENTIFIER", "opsd"},
        {"_HOSTNAME", host},
    }};
    const auto text = std::make_shared<pipeline::Text>();
    make_writer(false)->write({cursor, now, 0, fields}, text->bytes);
    const auto records = pipeline::read_frames(*text);
    if (!records) co_return fail(records.error());
    pipeline::Batch batch;
    for (const auto& record : *records)
        batch.add(record, text);
    const auto sink = around_.make_sink(options_);
    auto verdict = co_await pipeline::send_within(*sink, batch, services.clock, probe_deadline);
    co_return verdict;
}

Task<Result<pipeline::LetterList>> Output::letters(std::size_t most)
{
    const auto free = ask();
    if (!free) co_return fail(free.error());
    const At asking{asking_};
    auto job = [file = letters_, most] { return file->list({most, longest_preview}); };
    auto list = co_await around_.disk.run(std::move(job));
    co_return list;
}

Task<Result<pipeline::Resent>> Output::resend(std::set<std::string> ids)
{
    const auto free = ask();
    if (!free) co_return fail(free.error());
    const At asking{asking_};
    const auto sink = around_.make_sink(options_);
    pipeline::ResendLimits limits;
    limits.deadline = kind_.deadline(options_);
    limits.rate = &delivery_.rate();
    auto resent = co_await pipeline::resend(letters_, around_.disk, *sink, around_.services.clock, limits,
                                            std::move(ids));
    if (resent) resent_ += resent->accepted;
    co_return resent;
}

OutputStatus Output::status() const
{
    OutputStatus status;
    status.delivery = delivery_.status();
    status.paused = paused_.value_or(false);
    status.replaying = replay_ != nullptr;
    status.at_end = status.delivery.at_end;
    status.redacted = redaction_->count();
    status.held_back = filter_->held_back();
    status.damaged = source_->damaged();
    if (const auto* tasks = source_->tasks()) status.tasks = *tasks;
    status.resent = resent_;
    status.acknowledged_means = sink_->acknowledged_means();
    status.letters = letters_->count();
    status.trouble = trouble_;
    return status;
}

}  // namespace opsd::forward
