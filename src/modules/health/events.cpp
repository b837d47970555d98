// Transitions as server-sent events (http/event_stream.hpp).

#include "http/event_stream.hpp"

#include "modules/health/routes.hpp"

namespace opsd::health {

using http::Request;
using http::Response;

namespace {

class Events final : public http::EventSource<Transition> {
public:
    explicit Events(std::shared_ptr<Core> core) : core_{std::move(core)} {}
    Feed<Transition>& feed() override { return core_->services.feeds.transitions; }
    Clock& clock() override { return core_->services.clock; }
    std::string text_of(const Transition& transition) override
    {
        std::string text;
        append_transition(text, transition);
        return text;
    }
    Task<Result<Page>> missed(std::int64_t after, std::size_t limit) override
    {
        HistoryQuery query;
        query.after = after;
        query.limit = limit;
        query.newest_first = false;
        auto page = co_await read_history(core_, std::move(query));
        if (!page) co_return fail(std::move(page).error());
        co_return Page{std::move(page->rows), page->last_id, page->more};
    }
    Task<Result<std::int64_t>> lost_through() override { return core_->history.lost_through(); }
    std::int64_t last_id() override { return core_->history.last_id(); }
    std::uint64_t& streams() override { return core_->streams; }

private:
    std::shared_ptr<Core> core_;
};

}  // namespace

Task<Response> events(std::shared_ptr<Core> core, const Request& request)
{
    std::shared_ptr<http::EventSource<Transition>> source = std::make_shared<Events>(std::move(core));
    co_return http::event_response(std::move(source), request);
}

}  // namespace opsd::health
