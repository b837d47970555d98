#pragma once
// The parts of an answer of several nodes: asking them (many.cpp), reading what they answer (many_read.cpp),
// writing what the client gets (many_write.cpp).

#include "modules/logs/core.hpp"
#include "modules/logs/node_lines.hpp"
#include "modules/logs/nodes.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace opsd::logs {

inline constexpr Duration endless{365LL * 24 * 3'600'000};

/// What is asked of a node at a time.
enum class Stage {
    past,    ///< a document, which ends
    follow,  ///< lines without end
};

/// A node and its answer.
struct NodeAnswer {
    enum class State { waiting, coming, ended, failed };
    MemberPtr member;
    State state = State::waiting;
    std::unique_ptr<net::Incoming> incoming;  ///< of another node
    std::optional<http::Response> own;        ///< of this one
    NodeLineCutter cutter;
    std::deque<NodeLine> lines;
    std::string position;  ///< of what was taken; "" before anything was
    std::string reason;    ///< why it failed
    std::string torn;      ///< why its document broke off; "": it did not
    bool told = false;     ///< that it is missing
};

/// One answer under way. Loop thread only.
class Many : public std::enable_shared_from_this<Many> {
public:
    Many(std::shared_ptr<Core> core, ReadSlots::Slot slot, const http::Request& request, LogQuery query)
      : core_{std::move(core)}
      , slot_{std::move(slot)}
      , request_{request}
      , query_{std::move(query)}
      , writer_{query_.format, query_.follow, query_.max_entry}
      , news_{core_->services.executor, never}
    {
        const auto& range = query_.range;
        if (range.skip < 0) newest_ = static_cast<std::uint64_t>(-range.skip);
    }

    void add(MemberPtr member, std::optional<std::string> position);
    /// Why more nodes may belong to those that were asked for.
    void incomplete(std::string why) { incomplete_ = std::move(why); }
    /// It goes on from places that an earlier answer gave: `newest` is the time of the newest of them. With
    /// all that was missed, or with the first so many lines.
    void resume(std::int64_t newest, std::optional<std::uint64_t> first)
    {
        resumed_ = true;
        begun_at_ = newest;
        newest_.reset();
        first_ = first;
    }

    /// Asks all of them; an answer when none of them answers.
    Task<std::optional<http::Response>> begin();
    [[nodiscard]] http::Response response();
    Task<> run(http::StreamWriter& client);

private:
    [[nodiscard]] Stage first_stage() const
    {
        return query_.follow && resumed_ ? Stage::follow : Stage::past;
    }
    Task<> open(NodeAnswer& node, Stage stage);
    Task<> open_here(NodeAnswer& node, http::Request question);
    Task<> open_there(NodeAnswer& node, const http::Request& question);
    [[nodiscard]] http::Request question(const NodeAnswer& node, Stage stage) const;
    Task<> read(NodeAnswer& node, Stage stage);
    Task<> read_past(NodeAnswer& node);
    Task<> read_there(NodeAnswer& node, Stage stage);
    Task<> read_here(NodeAnswer& node);
    Task<> reader(NodeAnswer& node);
    Task<bool> take(NodeAnswer& node, std::string_view bytes);
    void broke_off(NodeAnswer& node, Stage stage, std::string reason);
    void fail_node(NodeAnswer& node, std::string reason);

    Task<> write_all();
    Task<bool> write_past();
    Task<bool> write_kept();
    Task<> write_news();
    Task<bool> write(std::string text);
    [[nodiscard]] NodeAnswer* next(bool past) const;
    [[nodiscard]] Duration wait_time(const NodeAnswer* next) const;
    bool emit(NodeAnswer& node, std::string& text);
    void tell_missing(std::string& text);

    void touch()
    {
        ++version_;
        news_.cancel();
    }
    Task<> changed(std::uint64_t seen)
    {
        while (version_ == seen)
            co_await wait_event(news_);
    }
    [[nodiscard]] Monotonic now() const { return core_->services.clock.monotonic(); }
    [[nodiscard]] Duration patience() const { return core_->options.nodes.answer_timeout; }
    class FeedWriter;

    std::shared_ptr<Core> core_;
    ReadSlots::Slot slot_;
    http::Request request_;
    LogQuery query_;
    ManyWriter writer_;
    std::vector<std::unique_ptr<NodeAnswer>> nodes_;
    std::string incomplete_;
    bool resumed_ = false;
    std::int64_t begun_at_ = 0;            // microseconds: what a node without a position is asked from
    std::optional<std::uint64_t> newest_;  // lines: the last so many
    std::optional<std::uint64_t> first_;   // lines: the first so many
    std::uint64_t given_ = 0;              // entries
    std::uint64_t bytes_ = 0;              // written
    std::deque<std::pair<NodeAnswer*, NodeLine>> kept_;  // the newest lines
    std::size_t kept_bytes_ = 0;
    Places places_;
    bool following_ = false;
    bool whole_ = false;  // all was given
    http::StreamWriter* client_ = nullptr;
    Monotonic written_{};
    std::uint64_t version_ = 0;
    asio::steady_timer news_;
};

}  // namespace opsd::logs
