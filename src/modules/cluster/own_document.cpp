#include "modules/cluster/own_document.hpp"

#include "core/first_of.hpp"
#include "http/content.hpp"
#include "http/prefer.hpp"
#include "http/query.hpp"
#include "opsd/version.hpp"

#include <fmt/format.h>

namespace opsd::cluster {

using http::Request;
using http::Response;

namespace {

template <class T>
Task<> next_of(Latest<T>& cell, std::uint64_t seen)
{
    [[maybe_unused]] auto newest = co_await cell.next(seen);
}

Task<> until_closed(http::Holder& holder, bool& closed)
{
    co_await holder.closed();
    closed = true;
}

}  // namespace

OwnDocument::OwnDocument(Board& board, Clock& clock, std::string instance,
                         std::function<std::string()> node_id, std::chrono::milliseconds max_wait)
  : board_{board}
  , clock_{clock}
  , instance_{std::move(instance)}
  , node_id_{std::move(node_id)}
  , max_wait_{max_wait}
{}

bool OwnDocument::refresh()
{
    const auto& health = board_.health.get();
    if (!health) return false;
    if (!writer_) writer_.emplace(node_id_(), instance_, std::string{version});
    const auto& identity = board_.identity.get();
    if (health_version_ == board_.health.version() && identity_version_ == board_.identity.version())
        return true;
    health_version_ = board_.health.version();
    identity_version_ = board_.identity.version();
    last_transition_ = health->value.last_transition;
    writer_->update(health->value, identity ? identity->value : NodeIdentity{});
    return true;
}

bool OwnDocument::is_held(const Asked& asked) const
{
    return !asked.held.empty() && http::etag_matches(asked.held, writer_->etag());
}

Response OwnDocument::respond(const Asked& asked)
{
    Response response;
    if (is_held(asked)) {
        response.status = 304;
        response.type.clear();
    } else {
        const auto base = asked.partial ? writer_->base_of(asked.held) : 0;
        response = Response::json(writer_->render(base, asked.with_journal, clock_.now(), last_transition_));
    }
    response.with("ETag", writer_->etag()).with("Vary", "Authorization");
    if (asked.partial) response.with("Cache-Control", "no-store");  // it is a part for one asker
    return response;
}

Task<Response> OwnDocument::answer(const Request& request)
{
    if (!refresh()) {
        co_return Response::problem(
            503, "cannot answer yet: systemd has not been looked at; try again in a second")
            .with("Retry-After", "1");
    }
    Asked asked;
    asked.held = request.headers.get("if-none-match");
    asked.partial = http::is_set(request, "partial");
    asked.with_journal = board_.log_access.everything(request.caller);
    const auto wanted = http::wait_preference(request);
    if (wanted) asked.wait = std::min<std::chrono::milliseconds>(*wanted, max_wait_);
    auto response = respond(asked);
    if (asked.wait.count() <= 0) co_return response;
    if (!is_held(asked)) co_return std::move(response.with("Preference-Applied", "wait"));
    response.hold = [self = shared_from_this(), asked](http::Holder& holder) {
        return hold(self, asked, holder);
    };
    co_return response;
}

/// Returns when the document is another one, or at `until`.
Task<> OwnDocument::wait_for_change(const Asked& asked, Monotonic until)
{
    while (is_held(asked)) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock_.monotonic());
        if (left.count() <= 0) co_return;
        auto news =
            first_of(next_of(board_.health, health_version_), next_of(board_.identity, identity_version_));
        co_await first_of(std::move(news), clock_.sleep_for(left));
        refresh();
    }
}

Task<Response> OwnDocument::hold(std::shared_ptr<OwnDocument> self, Asked asked, http::Holder& holder)
{
    struct Counted {
        explicit Counted(std::size_t& n) : number{n} { ++number; }
        Counted(const Counted&) = delete;
        Counted& operator=(const Counted&) = delete;
        ~Counted() { --number; }
        std::size_t& number;
    };
    const Counted counted{self->waiting_};
    bool closed = false;
    const auto until = self->clock_.monotonic() + asked.wait;
    co_await first_of(self->wait_for_change(asked, until), until_closed(holder, closed));
    co_return std::move(self->respond(asked).with("Preference-Applied", "wait"));
}

}  // namespace opsd::cluster
