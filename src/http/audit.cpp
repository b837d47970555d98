#include "http/audit.hpp"

#include "io/files/files.hpp"

#include <nlohmann/json.hpp>

namespace opsd::http {
namespace {

using nlohmann::json;

constexpr Monotonic fold_window = std::chrono::seconds{10};
constexpr std::size_t max_batch = 256;
constexpr std::size_t max_text = 1024;  ///< of a path or a name

std::string line_of(const json& entry) { return entry.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string cut(std::string_view text) { return std::string{text.substr(0, max_text)}; }

/// What was acted on: the path's parameters, then what the handler knows better.
json object_of(const Request& request)
{
    auto object = json::object();
    for (const auto& [name, value] : request.path_params)
        object[name] = cut(value);
    for (const auto& [name, value] : request.object)
        object[name] = cut(value);
    return object;
}

}  // namespace

AuditLog::AuditLog(Executor executor, AuditOptions options, Clock& clock, telemetry::Registry& metrics,
                   Log log)
  : options_{std::move(options)}
  , clock_{clock}
  , log_{std::move(log)}
  , waiting_{executor, options_.queue, WhenFull::drop_newest}
  , written_{metrics.counter("opsd_audit_written_total", "Lines written to the audit log")}
  , dropped_{metrics.counter("opsd_audit_dropped_total", "Entries of the audit log that were lost")}
  , folded_{metrics.counter("opsd_audit_folded_total",
                            "Refusals that were counted in the audit log, not listed")}
  , thread_{"opsd-audit", 4}
{}

bool AuditLog::fold(const Caller& caller, unsigned status)
{
    const auto now = clock_.monotonic();
    if (now - window_begin_ >= fold_window) {
        if (folded_in_window_ > 0) {
            push(line_of({{"time", rfc3339(clock_.now())},
                          {"refusals_not_listed", std::exchange(folded_in_window_, 0)}}));
        }
        window_begin_ = now;
        anonymous_in_window_ = 0;
        known_in_window_ = 0;
    }
    const bool refused = status == 401 || status == 403;
    if (!refused && (status < 400 || caller.role >= Role::operator_)) return false;
    // Strangers must not use up what shows the tries of those we know.
    const bool anonymous = caller.via.empty() || caller.via == "loopback" || caller.role < Role::viewer;
    auto& listed = anonymous ? anonymous_in_window_ : known_in_window_;
    if (listed < options_.refusals) {
        ++listed;
        return false;
    }
    ++folded_in_window_;
    folded_.add();
    return true;
}

void AuditLog::record(const Request& request, unsigned status, std::string_view outcome)
{
    const auto& caller = request.caller;
    if (fold(caller, status)) return;
    json entry{{"time", rfc3339(clock_.now())},
               {"id", cut(request.id)},
               {"caller",
                {{"name", cut(caller.name)},
                 {"role", to_string(caller.role)},
                 {"via", caller.via},
                 {"address", caller.address}}},
               {"method", to_string(request.method)},
               {"path", cut(request.path)}};
    if (auto object = object_of(request); !object.empty()) entry["object"] = std::move(object);
    if (status != 0) entry["status"] = status;
    if (!outcome.empty()) entry["outcome"] = outcome;
    push(line_of(entry));
}

void AuditLog::push(std::string line)
{
    if (waiting_.try_push(std::move(line))) return;
    dropped_.add();
    if (dropped_since_++ == 0) {
        log_.error(
            "cannot keep the audit log complete: {} entries wait to be written to {}; look at its disk",
            options_.queue, options_.path);
    }
}

void AuditLog::note_dropped()
{
    if (dropped_since_ == 0) return;
    log_.error("the audit log lost {} entries; it goes on now", dropped_since_);
    const auto lost = std::exchange(dropped_since_, 0);
    push(line_of({{"time", rfc3339(clock_.now())}, {"entries_lost", lost}}));
}

Task<> AuditLog::write(std::vector<std::string> batch)
{
    bool failed = false;
    const auto count = batch.size();
    const auto shared = std::make_shared<const std::vector<std::string>>(std::move(batch));
    for (;;) {
        auto job = [shared, options = options_] {
            return files::append_lines(options.path, *shared, options.max_bytes, 0600);
        };
        const auto done = co_await thread_.run(std::move(job));
        if (done) break;
        if (!failed) log_.error("{}; {} entries wait", done.error().message, count + waiting_.size());
        failed = true;
        // No retry makes room for a batch that is larger than the limit.
        if (closing_ || done.error().code == Errc::invalid_argument) {
            dropped_.add(static_cast<double>(count));
            log_.error("the audit log lost {} entries", count);
            co_return;
        }
        co_await clock_.sleep_for(options_.retry);
    }
    written_.add(static_cast<double>(count));
    if (failed) log_.info("the audit log is written again");
    note_dropped();
}

Task<> AuditLog::run()
{
    for (;;) {
        auto batch = co_await waiting_.pop_batch(max_batch);
        if (batch.empty()) co_return;
        co_await write(std::move(batch));
    }
}

void AuditLog::close()
{
    closing_ = true;
    if (folded_in_window_ > 0) {
        push(line_of(
            {{"time", rfc3339(clock_.now())}, {"refusals_not_listed", std::exchange(folded_in_window_, 0)}}));
    }
    waiting_.close();
}

}  // namespace opsd::http
