#include "modules/dcos/relay.hpp"

#include "core/first_of.hpp"
#include "modules/dcos/secrets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::dcos {

using http::Response;
using http::StreamWriter;

namespace {

constexpr std::size_t most_direct = 256U * 1024;  // what is larger is passed on as it comes

/// One answer on its way.
struct Passing {
    Passing(std::shared_ptr<Core> whose, RelayedAnswer what) : core{std::move(whose)}, answer{std::move(what)}
    {}

    /// The next piece, fit to be passed on; "" at the end, once.
    Task<Result<std::string>> next()
    {
        while (!ended) {
            auto piece = co_await answer.incoming->next();
            if (!piece) co_return piece;
            ended = piece->empty();
            if (answer.redact) *piece = ended ? secrets.end() : secrets.pass(*piece);
            core->counters.bytes += piece->size();
            if (!piece->empty()) co_return piece;
        }
        core->counters.secrets += secrets.taken_out();
        co_return std::string{};
    }

    std::shared_ptr<Core> core;
    RelayedAnswer answer;
    AddressSecrets secrets;
    std::string begin;  ///< read already
    bool ended = false;
};

Task<> read_next(Passing& passing, Result<std::string>& piece) { piece = co_await passing.next(); }

Task<> until_closed(StreamWriter& writer, bool& closed)
{
    co_await writer.closed();
    closed = true;
}

Task<> stream(std::shared_ptr<Passing> passing, StreamWriter& writer)
{
    writer.set_whole(false);
    std::string piece = std::exchange(passing->begin, {});
    for (bool closed = false;;) {
        const auto written = co_await writer.write(piece);
        if (!written) co_return;
        Result<std::string> next;
        co_await first_of(read_next(*passing, next), until_closed(writer, closed));
        if (closed) co_return;
        if (!next) {
            auto& core = *passing->core;
            ++core.counters.torn;
            core.services.log.warning("an answer of {} was torn off: {}", passing->answer.who,
                                      next.error().message);
            co_return;
        }
        if (next->empty()) break;
        piece = std::move(*next);
    }
    writer.set_whole(true);
}

std::string_view header_name(std::string_view name)
{
    if (name == "content-disposition") return "Content-Disposition";
    if (name == "www-authenticate") return "WWW-Authenticate";
    return {};
}

/// Status, type and those headers that are the answer's own.
Response envelope(const net::ClientResponse& head)
{
    Response response;
    response.status = head.status;
    response.type = head.header("content-type");
    if (response.type.empty()) response.type = "application/octet-stream";
    for (const auto& [name, value] : head.headers) {
        const auto ours = header_name(name);
        if (!ours.empty()) response.with(std::string{ours}, value);
    }
    return response;
}

/// An answer that must not reach the caller as it is; nothing when it may.
std::optional<Error> unfit(const Core& core, const RelayedAnswer& answer)
{
    const auto status = answer.incoming->head().status;
    if (status / 100 == 3 && status != 304)
        return Error{Errc::protocol, fmt::format("cannot pass the answer of {} on: it is a redirect ({})",
                                                 answer.who, status)};
    if ((status == 401 || status == 403) && !answer.for_caller)
        return Error{Errc::protocol, fmt::format("cannot ask {}: it answers {} to what opsd shows it; set "
                                                 "cluster.sources.mesos.user and password, or token, or "
                                                 "dcos.mesos.authorization: caller",
                                                 answer.who, status)};
    const auto most = core.options.mesos.max_answer.count;
    const auto length = answer.incoming->length().value_or(0);
    if (length > most)
        return Error{
            Errc::protocol,
            fmt::format("cannot pass the answer of {} on: it has {} bytes, dcos.mesos.max_answer is {}",
                        answer.who, length, most)};
    return std::nullopt;
}

}  // namespace

Response unanswered(Core& core, const Error& error)
{
    ++core.counters.failed;
    // That we were refused, or told of no such path, is no word about the caller or what he asked for.
    const bool ours = error.code == Errc::denied || error.code == Errc::not_found;
    return ours ? Response::problem(502, error.message) : Response::problem(error);
}

Task<Response> relay(std::shared_ptr<Core> core, RelayedAnswer answer)
{
    const auto refusal = unfit(*core, answer);
    if (refusal) co_return unanswered(*core, *refusal);
    auto response = envelope(answer.incoming->head());
    if (response.status == 204 || response.status == 304) co_return response;
    auto passing = std::make_shared<Passing>(core, std::move(answer));
    while (passing->begin.size() <= most_direct) {
        auto piece = co_await passing->next();
        if (!piece) co_return unanswered(*core, piece.error());
        if (piece->empty()) {
            response.body = std::move(passing->begin);
            co_return response;
        }
        passing->begin += *piece;
    }
    response.producer = [passing](StreamWriter& writer) { return stream(passing, writer); };
    co_return response;
}

}  // namespace opsd::dcos
