#include "modules/logs/answer.hpp"

#include "core/gzip.hpp"
#include "modules/logs/backwards.hpp"
#include "modules/logs/caller.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::logs {
namespace {

using http::Request;
using http::Response;
using systemd::JournalSlice;

/// How long the status waits for a first entry: 204 cannot be said later.
constexpr Duration longest_first{2'000};

std::string lost_word(const systemd::JournalLoss& loss)
{
    return loss.entries ? std::to_string(*loss.entries) : std::string{"unknown"};
}

/// What says that the answer goes on, and is no part of it; "" where the format has no such thing.
std::string_view alive_sign(Format format)
{
    if (format == Format::json) return "\n";
    return is_sse(format) ? ": ping\n\n" : "";
}

/// Document around entries that each begin with ",\n".
std::string document(std::string_view entries)
{
    if (!entries.empty()) entries.remove_prefix(1);
    return fmt::format("{{\"entries\":[{}", entries);
}

/// A cursor is letters, digits and punctuation that JSON takes as it is.
std::string document_end(const std::string& position)
{
    return fmt::format("\n],\"cursor\":\"{}\"}}\n", position);
}

void add_headers(Response& response, const Request& request, const LogQuery& query, Style style)
{
    if (style != Style::own) {
        response.with("Cache-Control", "no-cache");
        // A page may not read logs by the mere fact that its reader's browser runs on this node.
        if (request.caller.via != "loopback") response.with("Access-Control-Allow-Origin", "*");
    } else {
        response.with("Cache-Control", "no-store");
    }
    if (query.download)
        response.with("Content-Disposition", fmt::format("attachment; filename={}", query.file));
}

void add_findings(Response& response, const JournalSlice& first, Style style)
{
    if (first.loss) response.with("X-Journal-Lost", lost_word(*first.loss));
    if (style == Style::v1) {
        response.with("X-Journal-Skip-Next", std::to_string(std::max<std::int64_t>(first.skipped, 0)));
        response.with("X-Journal-Skip-Prev", std::to_string(std::max<std::int64_t>(-first.skipped, 0)));
    }
}

/// A piece of a gzip file, whose pieces are such files.
Task<Result<std::string>> packed(Core& core, std::string text)
{
    auto job = [text = std::move(text)]() -> Result<std::string> { return gzip(text); };
    auto result = co_await core.packer.run(std::move(job));
    co_return result;
}

/// Joins slices until there is something to say, or nothing more will come; a follower has to wait for none,
/// but for where he begins.
Task<Result<JournalSlice>> first_slice(Flow& flow)
{
    auto& core = *flow.core;
    const auto deadline = core.services.clock.monotonic() + longest_first;
    std::optional<systemd::JournalLoss> loss;
    std::int64_t skipped = 0;
    for (;;) {
        flow.asked = core.services.clock.now();
        auto slice = co_await flow.next(slice_limits(flow.query));
        core.count(slice);
        if (!slice) co_return slice;
        skipped += slice->skipped;
        if (slice->loss && !loss) loss = slice->loss;
        slice->loss = loss;
        slice->skipped = skipped;
        const bool begun = flow.query.follow && !slice->position.empty();
        const bool enough =
            slice->entries > 0 || slice->ended || begun || core.services.clock.monotonic() >= deadline;
        if (enough) co_return slice;
    }
}

/// The slices of a range that did not fit into one.
class RangeStream {
public:
    RangeStream(std::shared_ptr<Flow> flow, http::StreamWriter& writer)
      : flow_{std::move(flow)}
      , writer_{writer}
      , written_{flow_->core->services.clock.monotonic()}
    {}

    Task<> run()
    {
        writer_.set_whole(false);
        auto slice = std::move(*flow_->first);
        slice.loss.reset();  // the head said it
        for (;;) {
            const bool given = co_await give(slice);
            if (!given) co_return;
            if (slice.ended) break;
            auto next = co_await flow_->next(slice_limits(flow_->query));
            flow_->core->count(next);
            if (!next) {
                flow_->core->services.log.warning("cut off an answer: {}", next.error().message);
                co_return;
            }
            slice = std::move(*next);
        }
        if (flow_->query.format == Format::json) {
            const auto end = (begun_ ? "" : document({})) + document_end(slice.position);
            const auto written = co_await writer_.write(end);
            if (!written) co_return;
        }
        writer_.set_whole(true);
    }

private:
    Task<bool> give(JournalSlice& slice)
    {
        auto& core = *flow_->core;
        if (core.finished() || !tell_loss(core, slice, flow_->query.format)) co_return false;
        auto text = std::move(slice.text);
        const auto now = core.services.clock.monotonic();
        if (text.empty()) {
            const auto sign = flow_->query.download ? std::string_view{} : alive_sign(flow_->query.format);
            if (sign.empty() || now - written_ < sign_of_life) co_return true;
            written_ = now;
            const auto alive = co_await writer_.write(sign);
            co_return alive.has_value();
        }
        written_ = now;
        core.count(slice.entries, text.size());
        flow_->bytes += text.size();
        if (flow_->bytes > core.options.max_answer.count) {
            ++core.counters.cut;
            core.services.log.warning("cut off an answer of {} bytes (logs.max_answer)", flow_->bytes);
            co_return false;
        }
        if (flow_->query.format == Format::json && !begun_) text = document(text);
        begun_ = true;
        if (flow_->query.download) {
            auto small = co_await packed(core, std::move(text));
            if (!small) co_return false;
            text = std::move(*small);
        }
        const auto written = co_await writer_.write(text);
        co_return written.has_value();
    }

    std::shared_ptr<Flow> flow_;
    http::StreamWriter& writer_;
    bool begun_ = false;
    Monotonic written_;
};

Task<> stream_range(std::shared_ptr<Flow> flow, http::StreamWriter& writer)
{
    RangeStream stream{std::move(flow), writer};
    co_await stream.run();
}

/// All in one body.
Task<Response> whole(std::shared_ptr<Flow> flow)
{
    auto& slice = *flow->first;
    const auto& query = flow->query;
    const bool json = query.format == Format::json;
    if (slice.entries == 0 && !json) co_return Response::no_content();
    flow->core->count(slice.entries, slice.text.size());
    Response response;
    response.type = content_type(query.format);
    response.body = json ? document(slice.text) + document_end(slice.position) : std::move(slice.text);
    if (query.download) {
        auto small = co_await packed(*flow->core, std::move(response.body));
        if (!small) co_return Response::problem(small.error());
        response.type = "application/gzip";
        response.body = std::move(*small);
    }
    co_return response;
}

Response streamed(std::shared_ptr<Flow> flow)
{
    const auto& query = flow->query;
    const std::string type{query.download ? "application/gzip" : content_type(query.format)};
    const bool follows = query.follow;
    return Response::stream(type, [flow = std::move(flow), follows](http::StreamWriter& writer) {
        return follows ? follow(flow, writer) : stream_range(flow, writer);
    });
}

/// What the journal cannot give now: a failure of this node, whatever the reason.
Response broken(const Error& error, Style style)
{
    return refusal(Error{Errc::unavailable, error.message}, style);
}

}  // namespace

// All of a name's values, since the audit keeps one a name.
void tell_audit(const Request& request)
{
    for (const auto* name : {"unit", "filter", "grep", "since", "until", "boot", "follow", "node"}) {
        const auto values = request.query.every(name);
        if (values.empty() || request.path_params.has(name)) continue;
        request.object.add(name, fmt::format("{}", fmt::join(values, " ")));
    }
}

systemd::SliceLimits slice_limits(const LogQuery& query)
{
    // A field that was cut while it was read makes its entry too long, so that it is marked.
    systemd::SliceLimits limits;
    limits.field_bytes = query.max_entry + 1;
    return limits;
}

std::string loss_text(const systemd::JournalLoss& loss, Format format, WallTime now)
{
    const auto number = loss.entries ? std::to_string(*loss.entries) : std::string{"null"};
    const auto sentence =
        fmt::format("-- {} entries were deleted before they could be read --", lost_word(loss));
    switch (format) {
    case Format::sse:
        return http::sse({}, "lost", fmt::format("{{\"entries\":{}}}", number));
    // The DC/OS command line takes every event's data for an entry, and reads neither types nor comments.
    // Without an id: who comes again goes on after the last true entry.
    case Format::dcos_sse:
        return http::sse({}, {},
                         fmt::format("{{\"fields\":{{\"MESSAGE\":\"{}\",\"PRIORITY\":\"4\","
                                     "\"SYSLOG_IDENTIFIER\":\"opsd\"}},\"realtime_timestamp\":{}}}",
                                     sentence, now.time_since_epoch().count()));
    case Format::json:
        return fmt::format(",\n{{\"lost\":{}}}", number);
    case Format::ndjson:
        return fmt::format("{{\"lost\":{}}}\n", number);
    case Format::text:
        return sentence + "\n";
    default:
        return {};
    }
}

bool tell_loss(const Core& core, JournalSlice& slice, Format format)
{
    if (!slice.loss) return true;
    if (!tells_loss(format)) {
        core.services.log.warning("cut off an answer: {} entries were deleted before they could be read, and "
                                  "its format ({}) has no word for that",
                                  lost_word(*slice.loss), to_string(format));
        return false;
    }
    slice.text.insert(0, loss_text(*slice.loss, format, core.services.clock.now()));
    return true;
}

Response refusal(const Error& error, Style style)
{
    if (style == Style::own) return Response::problem(error);
    auto response = Response::problem(error);
    response.type = "text/plain; charset=utf-8";
    response.body = error.message + "\n";
    return response;
}

Task<Response> answer(std::shared_ptr<Core> core, const Request& request, Result<LogQuery> query, Style style)
{
    tell_audit(request);
    if (!query) co_return refusal(query.error(), style);
    const auto permitted = restrict_to(*query, allowed_for(core->options, role_of(request)));
    if (!permitted) {
        ++core->counters.forbidden;
        co_return refusal(permitted.error(), style);
    }
    auto slot = query->follow ? core->followers.take() : core->readings.take();
    if (!slot) co_return refusal(slot.error(), style);
    auto flow = std::make_shared<Flow>(core, std::move(*slot), std::move(*query));
    auto& asked = flow->query;
    // Where the journal does not know the filter, the newest N are the newest N that pass it.
    asked.range.skip_taken = asked.filtered() && !asked.reverse;
    flow->next = asked.reverse ? read_backwards(core, asked)
                               : core->outside.read(asked.range, make_writer(spec_of(asked)));
    auto first = co_await first_slice(*flow);
    if (!first) co_return broken(first.error(), style);
    flow->first = std::move(*first);
    const JournalSlice& found = *flow->first;
    Response findings;
    add_headers(findings, request, asked, style);
    add_findings(findings, found, style);
    Response response;
    if (!asked.follow && found.ended)
        response = co_await whole(flow);
    else
        response = streamed(flow);
    for (auto& [name, value] : findings.headers)
        response.with(std::move(name), std::move(value));
    co_return response;
}

}  // namespace opsd::logs
