#include "modules/dcos/mesos_view.hpp"

#include "io/mesos/address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::dcos {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr Duration look_again = 1s;  // for an agent that is not in the list

}  // namespace

MesosView::MesosView(const Executor& executor, const Clock& clock, WorkerThread& worker,
                     const MesosOptions& options)
  : executor_{executor}
  , clock_{clock}
  , worker_{worker}
  , options_{options}
  , fetched_{executor, never}
{}

void MesosView::use(const mesos::KnownMasters& known)
{
    const bool other = !known_ || known_->how != known.how;
    known_ = known;
    if (other) {
        masters_ = std::make_shared<mesos::MesosMasters>(executor_, *known.how, worker_);
        client_ = std::make_shared<net::HttpClient>(executor_, known.how->tls);
        agents_.reset();
    }
    masters_->named(known.named, known.scheme);
    leader_.reset();
}

Result<std::shared_ptr<mesos::MesosMasters>> MesosView::masters() const
{
    if (!configured())
        return fail(Errc::unavailable, "cannot ask Mesos: no master of it is known here; set "
                                       "cluster.sources.mesos.masters or cluster.sources.zookeeper.address");
    return masters_;
}

std::vector<std::string> MesosView::named_masters() const
{
    std::vector<std::string> all;
    if (!known_) return all;
    for (const auto& master : known_->named) {
        const auto& at = master.address.empty() ? master.hostname : master.address;
        if (mesos::is_ip(at)) all.push_back(at);
    }
    return all;
}

Task<Result<mesos::Master>> MesosView::leader(Duration max_age)
{
    const auto asked = masters();
    if (!asked) co_return fail(asked.error());
    if (leader_ && clock_.monotonic() - leader_at_ <= max_age) co_return *leader_;
    const auto masters = *asked;
    const auto end = steady_clock::now() + options_.timeout;
    auto leader = co_await masters->leader(end);
    if (!leader && leader.error().code == Errc::not_found) {
        auto state = co_await masters->state(end);
        if (!state) co_return fail(std::move(state).error());
        leader = std::move(state->leader);
    }
    if (!leader) co_return leader;
    leader_ = *leader;
    leader_at_ = clock_.monotonic();
    co_return leader;
}

bool MesosView::fresh(Duration max_age) const
{
    return agents_ && clock_.monotonic() - agents_at_ <= max_age;
}

Task<Result<std::shared_ptr<const AgentMap>>> MesosView::agents(Duration max_age)
{
    for (;;) {
        const auto asked = masters();
        if (!asked) co_return fail(asked.error());
        if (fresh(max_age)) co_return agents_;
        if (fetching_) {
            const auto before = agents_;
            co_await wait_event(fetched_);
            if (agents_ != before && agents_) co_return agents_;
            if (failure_) co_return fail(*failure_);
            continue;  // who fetched it was cancelled
        }
        auto done = co_await fetch(*asked);
        if (!done) co_return fail(std::move(done).error());
        if (agents_) co_return agents_;
    }
}

Task<Result<>> MesosView::fetch(Masters masters)
{
    struct Fetching {
        explicit Fetching(MesosView& whose) : view{whose} { view.fetching_ = true; }
        ~Fetching()
        {
            view.fetching_ = false;
            view.fetched_.cancel();
        }
        Fetching(const Fetching&) = delete;
        Fetching& operator=(const Fetching&) = delete;
        MesosView& view;
    };
    failure_.reset();
    const Fetching fetching{*this};
    const auto end = steady_clock::now() + options_.timeout;
    auto list = co_await masters->agents(end);
    if (!list && list.error().code == Errc::not_found) {
        auto state = co_await masters->state(end);
        if (state)
            list = std::move(state->agents);
        else
            list = fail(std::move(state).error());
    }
    if (!list) {
        failure_ = list.error();
        co_return fail(std::move(list).error());
    }
    auto map = std::make_shared<AgentMap>();
    map->trusted = masters->answered_by_trusted();
    for (auto& agent : list->agents) {
        if (agent.address.empty()) continue;
        auto id = agent.id;
        map->by_id.insert_or_assign(std::move(id), std::move(agent));
    }
    agents_ = std::move(map);
    agents_at_ = clock_.monotonic();
    co_return Result<>{};
}

Task<Result<AgentPlace>> MesosView::agent(std::string id)
{
    for (const auto age : {options_.agents_age, std::min(options_.agents_age, look_again)}) {
        auto map = co_await agents(age);
        if (!map) co_return fail(std::move(map).error());
        const auto found = (*map)->by_id.find(id);
        if (found != (*map)->by_id.end()) co_return place_of(found->second, (*map)->trusted);
    }
    co_return fail(Errc::not_found, fmt::format("404 Not Found: agent `{}` unknown.", mesos::printable(id)));
}

Result<AgentPlace> MesosView::place_of(const mesos::Agent& agent, bool trusted) const
{
    const auto& urls = known_->how->urls;
    const bool secure =
        urls.empty()
            ? known_->scheme == "https"
            : std::ranges::all_of(urls, [](const std::string& url) { return url.starts_with("https:"); });
    // A certificate names the host.
    const bool by_name = secure && mesos::usable_host(agent.hostname);
    const auto port = agent.port == 0 ? std::uint16_t{5051} : agent.port;
    const auto at = mesos::join_host_port(by_name ? agent.hostname : agent.address, port);
    return AgentPlace{fmt::format("{}://{}", secure ? "https" : "http", at), trusted};
}

}  // namespace opsd::dcos
