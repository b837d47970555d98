#pragma once
// From a question to its answer: a whole body when the journal gives it in one slice, else a stream of slices
// (answer), and what follows the journal (stream).

#include "modules/logs/core.hpp"
#include "modules/logs/render.hpp"

#include <memory>
#include <string>

namespace opsd::logs {

/// How long a node that looks for entries says nothing to the one that asked it: a document may have empty
/// lines between its entries, and whoever sees none of them either may give the node up.
inline constexpr Duration sign_of_life{1'500};

/// Whose headers and errors an answer has.
enum class Style { v1, v2, own };

/// An answer under way: what it reads and the place it takes.
struct Flow {
    Flow(std::shared_ptr<Core> all, ReadSlots::Slot place, LogQuery asked)
      : core{std::move(all)}
      , slot{std::move(place)}
      , query{std::move(asked)}
    {}
    std::shared_ptr<Core> core;
    ReadSlots::Slot slot;
    LogQuery query;
    NextSlice next;
    WallTime asked{};                            ///< when the last slice was
    std::optional<systemd::JournalSlice> first;  ///< read before the answer began
    std::uint64_t bytes = 0;                     ///< given
};

/// Answers a question or says what is wrong with it.
Task<http::Response> answer(std::shared_ptr<Core> core, const http::Request& request, Result<LogQuery> query,
                            Style style);
/// Tells the audit log what is read, beside the path's parameters.
void tell_audit(const http::Request& request);
/// What is wrong: text for dcos-log's clients, problem+json for ours.
[[nodiscard]] http::Response refusal(const Error& error, Style style);

/// Follows the journal for one client, from the flow's first slice on: whole and in order, however slow the
/// client and whatever the follower does. Ends when the client left, or torn when the module or opsd ends:
/// then the client comes again with the last id.
Task<> follow(std::shared_ptr<Flow> flow, http::StreamWriter& writer);

/// How much is read at a time for it.
[[nodiscard]] systemd::SliceLimits slice_limits(const LogQuery& query);
/// Whether the format has a word for a gap.
[[nodiscard]] constexpr bool tells_loss(Format format) noexcept
{
    return format != Format::dcos_text && format != Format::dcos_json && format != Format::export_;
}
/// How a gap is told within a stream; "" where the format has no word for it.
[[nodiscard]] std::string loss_text(const systemd::JournalLoss& loss, Format format, WallTime now);
/// Puts that before the slice's text. False: it cannot be told, so that the answer must not end as if whole.
[[nodiscard]] bool tell_loss(const Core& core, systemd::JournalSlice& slice, Format format);

}  // namespace opsd::logs
