#include "modules/cluster/core.hpp"

#include "core/first_of.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace opsd::cluster {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t own_mailbox = 10'000;
constexpr Duration quiet_interval = 5s;  // a picture of which only the times moved is published this often

Reach reach_of(const ClusterOptions& options)
{
    const auto& tls = options.tls;
    return {.port = static_cast<std::uint16_t>(options.port),
            .tls = tls.enabled || !tls.ca.empty() || !tls.certificate.empty(),
            .token = {}};
}

Followers::Parts follow_parts(Core& core, Outside& outside)
{
    const auto& options = core.options;
    auto kept = [&core](const std::string& address) -> std::optional<std::int64_t> {
        if (!core.archive.room()) return std::nullopt;
        const auto member = core.table.find(address);
        return member ? core.archive.position(address, member->node_id) : 0;
    };
    return {.executor = core.services.executor,
            .clock = core.services.clock,
            .table = core.table,
            .options = options.pull,
            .reach = core.reach,
            .backlog = options.history.max_rows_per_member,
            .send = core.send,
            .changed = [&core](TableChanges changes) { core.heard(std::move(changes)); },
            .kept = std::move(kept),
            .learned = [&core](const std::string& address,
                               TransitionPage page) { core.learned(address, std::move(page)); },
            .log = core.services.log,
            .seed = outside.seed,
            .own_instance = outside.instance};
}

template <class T>
Task<> next_of(Latest<T>& cell, std::uint64_t seen)
{
    [[maybe_unused]] auto newest = co_await cell.next(seen);
}

}  // namespace

Core::Core(ClusterOptions settings, Services& all, bool watch, Outside outside)
  : options{std::move(settings)}
  , services{all}
  , watching{watch}
  , table{TableOptions{.max_members = static_cast<std::size_t>(options.max_members),
                       .forget_after = options.forget_after}}
  , own{std::make_shared<OwnDocument>(all.board, all.clock, outside.instance, outside.node_id,
                                      options.max_wait)}
  , archive{all.executor,
            all.clock,
            all.store,
            options.history,
            [this](const std::string& part, const std::string& sentence) {
                trouble("archive's " + part, sentence);
            },
            all.log}
  , readers{options.history.concurrent, "cluster.history.concurrent"}
  , past{"opsd-past", 64}
  , send{std::move(outside.send)}
  , open{std::move(outside.open)}
  , reach{reach_of(options)}
  , followers{follow_parts(*this, outside)}
  , machine_id{std::move(outside.node_id)}
  , picture{outside.instance, table.pool()}
  , news_{all.executor, never}
{
    // From the first moment: what happens until run() begins waits here.
    if (watching) own_transitions = all.feeds.transitions.subscribe(own_mailbox);
}

void Core::take(TableChanges changes)
{
    for (const auto& address : changes.unfollow)
        followers.unfollow(address);
    for (const auto& address : changes.follow)
        followers.follow(address);
    for (const auto& address : changes.gone)
        archive.forget(address);
    for (const auto& address : changes.changed)
        archive.keep(table.find(address));
    for (auto& event : changes.events) {
        note(event);
        auto told = archive.add(std::move(event), {});
        services.feeds.cluster.publish(std::move(told));
    }
    touched_ |= changes.touched;
    if (!changes.any()) return;
    changed_ = true;
    news_.cancel();
}

void Core::restored(std::vector<Member> kept)
{
    std::map<std::string, std::string> answered;
    for (const auto& member : kept) {
        const auto known = table.find(member.address);
        const bool heard = known && known->answered_at != WallTime{};  // before the store could be read
        if (!heard && member.freshness == Freshness::fresh)
            answered.emplace(member.address, own_state(member));
    }
    take(table.restore(std::move(kept), services.clock.now()));
    returning_ = std::move(answered);
    changed_ = true;
    news_.cancel();
}

/// A member that answered until an earlier run ended and answers now did not change; one that does not, did.
void Core::heard(TableChanges changes)
{
    for (const auto& address : changes.changed) {
        const auto returned = returning_.extract(address);
        if (returned.empty()) continue;
        const auto& was = returned.mapped();
        const auto member = table.find(address);
        if (!member) continue;
        if (member->freshness == Freshness::fresh) {
            std::erase_if(changes.events, [&](const ClusterTransition& event) {
                return event.address == address && event.transition.to == was;
            });
            for (auto& event : changes.events)
                if (event.address == address && event.transition.from == "stale") event.transition.from = was;
            continue;
        }
        ClusterTransition event;
        event.address = address;
        event.hostname = member->identity.hostname;
        event.seen_at = event.transition.at = event.transition.last_at = services.clock.now();
        event.transition.from = was;
        event.transition.to = to_string(Freshness::stale);
        event.transition.reason = member->why;
        changes.events.push_back(std::move(event));
    }
    take(std::move(changes));
}

void Core::note(const ClusterTransition& event)
{
    const auto& change = event.transition;
    const bool stale = change.to == "stale";
    if (!stale && change.to != "fresh") {
        services.log.info("{} {} is {}: {}", event.address, event.hostname, change.to, change.reason);
        return;
    }
    auto& first = stale ? log_.first_stale : log_.first_fresh;
    if (first.empty()) first = fmt::format("{} {} ({})", event.address, event.hostname, change.reason);
    ++(stale ? log_.stale : log_.fresh);
}

void Core::log_news()
{
    const auto news = std::exchange(log_, {});
    const auto more = [](std::size_t all) { return all > 1 ? fmt::format(" and {} more", all - 1) : ""; };
    if (news.stale > 0) services.log.warning("no answer from {}{}", news.first_stale, more(news.stale));
    if (news.fresh > 0) services.log.info("fresh: {}{}", news.first_fresh, more(news.fresh));
}

void Core::tell(const std::string& address, Transition transition, const std::string& node_id)
{
    const auto member = table.find(address);
    ClusterTransition event;
    event.address = address;
    if (member) {
        event.hostname = member->identity.hostname;
        event.clock_offset = member->clock_offset;
    }
    event.seen_at = services.clock.now();
    event.transition = std::move(transition);
    auto told = archive.add(std::move(event), node_id);
    services.feeds.cluster.publish(std::move(told));
}

void Core::learned(const std::string& address, TransitionPage page)
{
    const auto member = table.find(address);
    if (!member) return;
    const auto kept = archive.position(address, member->node_id);
    for (auto& row : page.rows)
        if (row.id > kept) tell(address, std::move(row), member->node_id);
}

void Core::learned(Transition transition)
{
    transition.id = 0;  // its place in our own list is no position of a member
    tell(self_address, std::move(transition), {});
}

void Core::take_self()
{
    const auto& health = services.board.health.get();
    if (!health) return;
    const auto& cell = services.board.identity.get();
    const auto identity = cell ? cell->value : NodeIdentity{};
    self_address = identity.ip.empty() ? "127.0.0.1" : identity.ip;
    auto document = picture.take(health->value, identity, machine_id());
    take(table.self(self_address, std::move(document), services.clock.now()));
}

void Core::found(const std::string& source, std::vector<FoundMember> members)
{
    const auto port = static_cast<std::uint16_t>(options.port);
    const auto missing = incomplete();
    const auto refused = table.refused();
    take(table.named(source, members, port, services.clock.now()));
    trouble("source " + source, "");
    if (table.refused() > refused)
        crowded_.insert(source);
    else
        crowded_.erase(source);
    trouble("members", crowded());
    if (incomplete() == missing) return;
    changed_ = true;
    news_.cancel();
}

std::string Core::crowded() const
{
    if (crowded_.empty()) return {};
    return fmt::format("not all members that {} named are watched, since there are more than {}; raise "
                       "cluster.max_members",
                       fmt::join(crowded_, ", "), options.max_members);
}

/// Why members may be missing.
std::string Core::incomplete() const
{
    if (!watching) return {};
    if (!any_source(options.sources)) return "no source of members is configured";
    std::string why;
    if (const auto unheard = table.unheard(); !unheard.empty())
        why = fmt::format("{} {} not named any member yet", fmt::join(unheard, ", "),
                          unheard.size() == 1 ? "has" : "have");
    if (!crowded_.empty()) why += (why.empty() ? "" : "; ") + crowded();
    return why;
}

void Core::failed(const std::string& source, std::string sentence)
{
    trouble("source " + source, fmt::format("{}; the members that {} named last stay", sentence, source));
}

void Core::mesos_id(std::string id) { services.board.mesos_id.publish(std::move(id), services.clock.now()); }

Task<> Core::self_loop()
{
    auto& board = services.board;
    // Where nobody is watched the cluster's view of this node is not in a hurry, the less so the longer it
    // goes on changing.
    const auto least = watching ? options.publish_interval / 2 : Duration{1s};
    const auto most = watching ? least : Duration{4s};
    auto pause = least;
    for (;;) {
        const auto health = board.health.version();
        const auto identity = board.identity.version();
        take_self();
        const auto taken = services.clock.monotonic();
        co_await first_of(next_of(board.health, health), next_of(board.identity, identity));
        const bool goes_on = services.clock.monotonic() - taken < 2 * most;
        pause = goes_on ? std::min(2 * pause, most) : least;
        co_await services.clock.sleep_for(pause);
    }
}

Task<> Core::own_transitions_loop()
{
    // Until the board says who we are they wait in the mailbox, which is bounded and counts what it loses.
    while (self_address.empty()) {
        const auto seen = services.board.health.version();
        take_self();
        if (self_address.empty()) co_await next_of(services.board.health, seen);
    }
    for (;;) {
        auto item = co_await own_transitions->next();
        own_missed += item.missed;
        if (item.event) learned(*item.event);
    }
}

Task<> Core::tick_loop()
{
    // Alone there is but the end of planned work to see: a node that idles is not woken for it every second.
    const auto pause = watching ? Duration{1s} : Duration{30s};
    for (;;) {
        co_await services.clock.sleep_for(pause);
        take(table.tick(services.clock.now()));
        log_news();
    }
}

/// A change, or the time for one of which only the times moved: those of others, when there are others.
Task<> Core::publish_when_due()
{
    if (changed_) co_return;
    if (watching)
        co_await services.clock.wait_for(news_, quiet_interval);
    else
        co_await wait_event(news_);
}

void Core::publish()
{
    const auto now = services.clock.now();
    // Once a clock that was set back is where it was, who was told a date before must hear of what changed
    // meanwhile: a second later than any date that can have been told (whole seconds, rounded up).
    if (now < newest_) earliest_ = newest_ + std::chrono::seconds{1};
    newest_ = std::max(newest_, now);
    if (changed_) changed_at_ = std::max(now, earliest_);
    changed_ = touched_ = false;
    auto cluster = table.cluster(watching);
    cluster.changed_at = changed_at_;
    cluster.incomplete = incomplete();
    services.board.cluster.publish(std::move(cluster), now);
}

Task<> Core::publish_loop()
{
    Monotonic next{};
    for (;;) {
        co_await publish_when_due();
        if (!changed_ && !touched_) continue;
        const auto left = std::chrono::ceil<Duration>(next - services.clock.monotonic());
        if (left.count() > 0) co_await services.clock.sleep_for(left);
        publish();
        next = services.clock.monotonic() + options.publish_interval;
    }
}

void Core::trouble(const std::string& part, const std::string& sentence)
{
    const auto known = troubles_.find(part);
    if (sentence.empty()) {
        if (known == troubles_.end()) return;
        troubles_.erase(known);
    } else {
        if (known != troubles_.end() && known->second == sentence) return;
        troubles_.insert_or_assign(part, sentence);
    }
    report();
}

void Core::started()
{
    started_ = true;
    report();
}

void Core::report()
{
    if (!started_) return;
    std::string all;
    for (const auto& [part, sentence] : troubles_)
        all += (all.empty() ? "" : "; ") + sentence;
    if (all.empty())
        services.status.running();
    else
        services.status.degraded(std::move(all));
}

}  // namespace opsd::cluster
