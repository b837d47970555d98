#include "io/zookeeper/watches.hpp"

#include <algorithm>

namespace opsd::zookeeper {

Inbox::Inbox(const Executor& executor, std::size_t capacity)
  : capacity_{std::max<std::size_t>(capacity, 1)}
  , arrived_{executor, never}
{}

Task<std::optional<WatchEvent>> Inbox::next()
{
    while (events_.empty()) {
        if (ended_) co_return std::nullopt;
        co_await wait_event(arrived_);
    }
    std::optional<WatchEvent> event{std::move(events_.front())};
    events_.pop_front();
    co_return event;
}

void Inbox::push(WatchEvent event)
{
    if (events_.size() >= capacity_) return look_again();
    events_.push_back(std::move(event));
    arrived_.cancel();
}

void Inbox::look_again()
{
    events_.clear();  // it says all that they say
    events_.emplace_back();
    arrived_.cancel();
}

void Inbox::end()
{
    ended_ = true;
    arrived_.cancel();
}

void WatchTable::add(Kind kind, const std::string& path, const std::shared_ptr<Inbox>& inbox)
{
    auto& inboxes = watches_[static_cast<std::size_t>(kind)][path];
    std::erase_if(inboxes, [](const auto& one) { return one.expired(); });
    const bool there = std::ranges::any_of(inboxes, [&](const auto& one) { return one.lock() == inbox; });
    if (!there) inboxes.push_back(inbox);
}

std::string WatchTable::from_server(const std::string& path) const
{
    if (chroot_.empty() || !path.starts_with(chroot_)) return path;
    return path.size() == chroot_.size() ? "/" : path.substr(chroot_.size());
}

void WatchTable::fire(Kind kind, const std::string& path, std::vector<std::shared_ptr<Inbox>>& to)
{
    auto& paths = watches_[static_cast<std::size_t>(kind)];
    const auto found = paths.find(path);
    if (found == paths.end()) return;
    for (const auto& weak : found->second) {
        auto inbox = weak.lock();
        if (inbox && std::ranges::find(to, inbox) == to.end()) to.push_back(std::move(inbox));
    }
    paths.erase(found);
}

void WatchTable::fire(const RawEvent& event)
{
    std::vector<std::shared_ptr<Inbox>> to;
    WatchEvent told{.kind = {}, .path = from_server(event.path)};
    switch (static_cast<EventType>(event.type)) {
    case EventType::created:
    case EventType::data_changed:
        told.kind = event.type == static_cast<std::int32_t>(EventType::created)
                        ? WatchEvent::Kind::created
                        : WatchEvent::Kind::data_changed;
        fire(Kind::data, event.path, to);
        fire(Kind::missing, event.path, to);
        break;
    case EventType::children_changed:
        told.kind = WatchEvent::Kind::children_changed;
        fire(Kind::children, event.path, to);
        break;
    case EventType::deleted:
        told.kind = WatchEvent::Kind::deleted;
        fire(Kind::data, event.path, to);
        fire(Kind::missing, event.path, to);
        fire(Kind::children, event.path, to);
        break;
    default:
        return;
    }
    if (!to.empty()) ++fired_;
    for (const auto& inbox : to)
        inbox->push(told);
}

void WatchTable::lose()
{
    std::vector<std::shared_ptr<Inbox>> to;
    for (auto& paths : watches_) {
        while (!paths.empty()) {
            const auto first = paths.begin()->first;
            fire(static_cast<Kind>(&paths - watches_.data()), first, to);
        }
    }
    for (const auto& inbox : to)
        inbox->look_again();
}

void WatchTable::forget_abandoned()
{
    const auto nobody_waits = [](const auto& row) {
        return std::ranges::all_of(row.second, [](const auto& one) { return one.expired(); });
    };
    for (auto& paths : watches_)
        std::erase_if(paths, nobody_waits);
}

std::vector<std::string> WatchTable::rearm(std::int64_t zxid)
{
    constexpr std::size_t most = 128 * 1024;
    forget_abandoned();
    std::vector<std::string> records;
    std::array<std::vector<std::string>, 3> batch;
    std::size_t size = 0;
    const auto close_batch = [&] {
        if (size > 0) records.push_back(set_watches_record(zxid, batch[0], batch[1], batch[2]));
        batch = {};
        size = 0;
    };
    for (std::size_t kind = 0; kind < watches_.size(); ++kind) {
        for (const auto& [path, inboxes] : watches_[kind]) {
            if (size + path.size() + 4 > most) close_batch();
            batch[kind].push_back(path);
            size += path.size() + 4;
        }
    }
    close_batch();
    return records;
}

std::size_t WatchTable::size() const noexcept
{
    std::size_t all = 0;
    for (const auto& paths : watches_)
        all += paths.size();
    return all;
}

}  // namespace opsd::zookeeper
