// What the client of several nodes gets: their entries by time, and which nodes are missing.

#include "core/together.hpp"

#include "modules/logs/many_parts.hpp"

#include <algorithm>

namespace opsd::logs {
namespace {

constexpr Duration ping_interval{15'000};
constexpr std::size_t enough_text = 64U * 1024;  // written at a time

}  // namespace

/// The earliest line, if no earlier one can come: of the past when every node has one or has ended.
NodeAnswer* Many::next(bool past) const
{
    NodeAnswer* best = nullptr;
    for (const auto& node : nodes_) {
        if (node->lines.empty()) {
            if (past && node->state == NodeAnswer::State::coming) return nullptr;
            continue;
        }
        if (best == nullptr || node->lines.front().time < best->lines.front().time) best = node.get();
    }
    return best;
}

/// How long it waits for an earlier one of a node that has none now.
Duration Many::wait_time(const NodeAnswer* next) const
{
    const auto silent = [](const auto& node) {
        return node->lines.empty() && node->state == NodeAnswer::State::coming;
    };
    if (next == nullptr) return endless;
    if (std::ranges::none_of(nodes_, silent)) return Duration{0};
    const auto until = next->lines.front().arrived + core_->options.nodes.settle;
    return std::max(std::chrono::ceil<Duration>(until - now()), Duration{0});
}

/// Takes the node's first line. False: it was the last that is wanted.
bool Many::emit(NodeAnswer& node, std::string& text)
{
    auto line = std::move(node.lines.front());
    node.lines.pop_front();
    const auto& address = node.member->address;
    if (!line.cursor.empty()) {
        node.position = line.cursor;
        places_[address] = line.cursor;
        ++given_;
    }
    writer_.entry(text, address, line, places_);
    return !first_ || given_ < *first_;
}

void Many::tell_missing(std::string& text)
{
    if (!incomplete_.empty()) writer_.missing(text, "others", std::exchange(incomplete_, {}));
    for (const auto& node : nodes_) {
        const bool failed = node->state == NodeAnswer::State::failed;
        if (failed && !node->told) writer_.missing(text, node->member->address, node->reason);
        if (!failed && node->told && (node->incoming || node->own)) {
            writer_.back(text, node->member->address);
            node->told = false;
        }
        node->told = node->told || failed;
    }
}

Task<bool> Many::write(std::string text)
{
    if (text.empty()) co_return true;
    bytes_ += text.size();
    if (!query_.follow && bytes_ > core_->options.max_answer.count) {
        ++core_->counters.cut;
        core_->services.log.warning("cut off an answer of {} bytes (logs.max_answer)", bytes_);
        co_return false;
    }
    written_ = now();
    const auto written = co_await client_->write(text);
    co_return written.has_value();
}

/// All that was there when it was asked. False: the client has got all, or goes away.
Task<bool> Many::write_past()
{
    for (bool more = true; more;) {
        std::string text;
        auto* node = next(true);
        const bool any = node != nullptr;
        for (; node != nullptr && more && text.size() < enough_text; node = next(true)) {
            if (!newest_) {
                more = emit(*node, text);
                continue;
            }
            kept_bytes_ += node->lines.front().json.size();
            if (!node->lines.front().cursor.empty()) node->position = node->lines.front().cursor;
            kept_.emplace_back(node, std::move(node->lines.front()));
            node->lines.pop_front();
            while (kept_.size() > *newest_) {
                kept_bytes_ -= kept_.front().second.json.size();
                kept_.pop_front();
            }
            if (kept_bytes_ > core_->options.nodes.buffer.count) {
                core_->services.log.warning("cut off an answer of several nodes: its newest lines are longer "
                                            "than logs.nodes.buffer");
                co_return false;
            }
        }
        if (any) touch();
        tell_missing(text);
        const bool waited = !text.empty();
        const bool on = co_await write(std::move(text));
        if (!on) co_return false;
        const auto coming = [](const auto& one) { return one->state == NodeAnswer::State::coming; };
        const auto waiting = [](const auto& one) { return !one->lines.empty(); };
        if (!more || any || waited) continue;
        if (std::ranges::none_of(nodes_, coming) && std::ranges::none_of(nodes_, waiting)) break;
        co_await changed(version_);
    }
    co_return co_await write_kept();
}

Task<bool> Many::write_kept()
{
    std::string text;
    for (auto& [node, line] : kept_) {
        if (!line.cursor.empty()) places_[node->member->address] = line.cursor;
        writer_.entry(text, node->member->address, line, places_);
        if (text.size() < enough_text) continue;
        auto full = std::exchange(text, {});
        const bool on = co_await write(std::move(full));
        if (!on) co_return false;
    }
    kept_.clear();
    for (const auto& node : nodes_)
        if (!node->position.empty()) places_[node->member->address] = node->position;
    writer_.end(text, places_);
    const bool on = co_await write(std::move(text));
    whole_ = on && !query_.follow;
    co_return on&& query_.follow;
}

/// What comes, until the client leaves.
Task<> Many::write_news()
{
    following_ = true;
    touch();
    for (;;) {
        std::string text;
        tell_missing(text);
        auto* node = next(false);
        auto wait = wait_time(node);
        const bool any = wait.count() == 0;
        for (; wait.count() == 0 && text.size() < enough_text; wait = wait_time(node)) {
            emit(*node, text);
            node = next(false);
        }
        if (any) touch();
        const bool silent = text.empty() && is_sse(query_.format) && now() - written_ >= ping_interval;
        if (silent) text = ": ping\n\n";
        const bool waited = !text.empty();
        const bool on = co_await write(std::move(text));
        if (!on) co_return;
        if (any || waited) continue;
        co_await first_of(changed(version_), core_->services.clock.sleep_for(std::min(wait, ping_interval)));
    }
}

Task<> Many::write_all()
{
    bool on = true;
    if (!resumed_ || !query_.follow) on = co_await write_past();
    if (on) co_await write_news();
}

Task<> Many::run(http::StreamWriter& client)
{
    const auto slot = std::move(slot_);
    client.set_whole(false);
    client_ = &client;
    written_ = now();
    bool over = false;
    std::vector<Task<>> tasks;
    tasks.reserve(nodes_.size() + 2);
    tasks.push_back(write_all());
    tasks.push_back(core_->until_over(client, over));
    for (const auto& node : nodes_)
        tasks.push_back(reader(*node));
    co_await first_of(std::span{tasks});
    for (const auto& node : nodes_)
        node->incoming.reset();
    client.set_whole(whole_);
}

}  // namespace opsd::logs
