// What the nodes answer: read piece by piece, and again after a node failed while the others are followed.

#include "core/first_of.hpp"

#include "modules/logs/answer.hpp"
#include "modules/logs/many_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::logs {
namespace {

constexpr Duration retry_interval{5'000};  // a node that failed is asked again

Task<> take_piece(net::Incoming& from, std::optional<Result<std::string>>& piece)
{
    piece = co_await from.next();
}

}  // namespace

/// Where this node's own answer goes.
class Many::FeedWriter final : public http::StreamWriter {
public:
    FeedWriter(Many& many, NodeAnswer& node)
      : many_{many}
      , node_{node}
      , end_{many.core_->services.executor, never}
    {}
    Task<Result<>> write(std::string_view chunk) override
    {
        const bool good = co_await many_.take(node_, chunk);
        if (!good) co_return fail(Errc::cancelled, "cannot write: it is not read");
        co_return Result<>{};
    }
    /// Whoever reads cancels the writing when he leaves.
    Task<> closed() override { co_await wait_event(end_); }

private:
    Many& many_;
    NodeAnswer& node_;
    asio::steady_timer end_;
};

/// Keeps the bytes and waits until their entries are taken. False: they cannot be understood.
Task<bool> Many::take(NodeAnswer& node, std::string_view bytes)
{
    const auto cut = node.cutter.feed(bytes, now(), node.lines);
    if (!cut) {
        fail_node(node, cut.error().message);
        co_return false;
    }
    touch();
    while (!node.lines.empty())
        co_await changed(version_);
    co_return true;
}

Task<> Many::read_there(NodeAnswer& node, Stage stage)
{
    const auto limit = stage == Stage::follow ? endless : std::max(patience(), 3 * sign_of_life);
    for (;;) {
        std::optional<Result<std::string>> piece;
        co_await first_of(take_piece(*node.incoming, piece), core_->services.clock.sleep_for(limit));
        if (!piece)
            co_return fail_node(node, fmt::format("cannot read on: nothing came for {} ms "
                                                  "(logs.nodes.answer_timeout)",
                                                  limit.count()));
        if (!*piece) co_return broke_off(node, stage, piece->error().message);
        if ((*piece)->empty()) break;
        const bool good = co_await take(node, **piece);
        if (!good) co_return;
    }
    const bool good = stage == Stage::past && node.cutter.complete();
    if (good)
        node.state = NodeAnswer::State::ended;
    else
        broke_off(node, stage, "cannot read on: its answer ended");
}

void Many::broke_off(NodeAnswer& node, Stage stage, std::string reason)
{
    if (stage == Stage::past)
        node.torn = std::move(reason);
    else
        fail_node(node, std::move(reason));
}

/// A node that the merge holds up for long is cut off by its own server: it is asked again from its place,
/// for as long as it gets on.
Task<> Many::read_past(NodeAnswer& node)
{
    std::optional<std::string> again_from;
    while (node.state == NodeAnswer::State::coming) {
        co_await read(node, Stage::past);
        if (node.torn.empty()) co_return;
        while (!node.lines.empty())
            co_await changed(version_);
        auto reason = std::exchange(node.torn, {});
        if (again_from == node.position) co_return fail_node(node, std::move(reason));
        ++core_->counters.unreached;
        again_from = node.position;
        co_await open(node, Stage::past);
    }
}

Task<> Many::read_here(NodeAnswer& node)
{
    bool good = true;
    if (node.own->producer) {
        FeedWriter feed{*this, node};
        co_await node.own->producer(feed);
    } else {
        good = co_await take(node, node.own->body);
    }
    if (!good || node.state == NodeAnswer::State::failed) co_return;
    if (node.cutter.complete())
        node.state = NodeAnswer::State::ended;
    else
        fail_node(node, "cannot read on: its answer ended");
}

Task<> Many::read(NodeAnswer& node, Stage stage)
{
    if (node.own)
        co_await read_here(node);
    else
        co_await read_there(node, stage);
    // Where a document ends there may be entries that were looked at and not wanted.
    if (stage == Stage::past && node.state == NodeAnswer::State::ended)
        node.position = node.cutter.position();
    touch();
}

/// One node's answers. Ends with the whole.
Task<> Many::reader(NodeAnswer& node)
{
    const auto stage = first_stage();
    if (stage == Stage::past)
        co_await read_past(node);
    else if (node.state == NodeAnswer::State::coming)
        co_await read(node, stage);
    while (!following_)
        co_await changed(version_);
    for (;;) {
        while (!node.lines.empty())
            co_await changed(version_);
        const bool again = node.state == NodeAnswer::State::failed;
        if (again) co_await core_->services.clock.sleep_for(retry_interval);
        co_await open(node, Stage::follow);
        if (node.state == NodeAnswer::State::coming) co_await read(node, Stage::follow);
    }
}

}  // namespace opsd::logs
