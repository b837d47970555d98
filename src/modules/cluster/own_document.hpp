#pragma once
// What this node tells others: GET /api/v1/node. In: the board. Out: the document, whole, or what changed
// since the version that the asker holds; held back until there is a change for those who ask to wait.
//
// Promises: a change wakes everybody who waits; a held answer ends with its client, with the daemon, and at
// most after max_wait; an answer with journal lines is for viewers only.

#include "modules/cluster/document.hpp"
#include "opsd/module.hpp"

#include <functional>

namespace opsd::cluster {

class OwnDocument : public std::enable_shared_from_this<OwnDocument> {
public:
    OwnDocument(Board& board, Clock& clock, std::string instance, std::function<std::string()> node_id,
                std::chrono::milliseconds max_wait);

    Task<http::Response> answer(const http::Request& request);

    [[nodiscard]] const std::string& instance() const noexcept { return instance_; }
    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }

private:
    struct Asked {
        std::string held;  // If-None-Match
        bool partial = false;
        bool with_journal = false;
        std::chrono::milliseconds wait{0};
    };
    /// Takes the newest of the board; false while there is nothing.
    bool refresh();
    [[nodiscard]] bool is_held(const Asked& asked) const;
    [[nodiscard]] http::Response respond(const Asked& asked);
    static Task<http::Response> hold(std::shared_ptr<OwnDocument> self, Asked asked, http::Holder& holder);
    Task<> wait_for_change(const Asked& asked, Monotonic until);

    Board& board_;
    Clock& clock_;
    std::string instance_;
    std::function<std::string()> node_id_;
    std::chrono::milliseconds max_wait_;
    std::optional<DocumentWriter> writer_;
    std::uint64_t health_version_ = 0;
    std::uint64_t identity_version_ = 0;
    std::int64_t last_transition_ = 0;
    std::size_t waiting_ = 0;
};

}  // namespace opsd::cluster
