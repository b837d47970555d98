#include "pipeline/sinks/lumberjack.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::pipeline {
namespace {

constexpr std::size_t ack_size = 6;  // '2' 'A' and a number

void append_number(std::string& out, std::size_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>((number >> shift) & 0xffU);
}

std::uint32_t number_at(std::string_view bytes)
{
    std::uint32_t number = 0;
    for (const char c : bytes.substr(0, 4))
        number = number << 8U | static_cast<unsigned char>(c);
    return number;
}

}  // namespace

std::string lumberjack_window(const Batch& batch)
{
    std::string out;
    out.reserve(6 + batch.bytes() + batch.size() * 10);
    out += "2W";
    append_number(out, batch.size());
    std::size_t number = 0;
    for (const auto& record : batch.records()) {
        out += "2J";
        append_number(out, ++number);
        append_number(out, record.bytes.size());
        out += record.bytes;
    }
    return out;
}

Result<bool> LumberjackAcks::feed(std::string_view bytes)
{
    const auto bad = [this](std::string why) {
        broken_ = true;
        return fail(Errc::protocol, fmt::format("cannot read an acknowledgement: {}; the far side may be no "
                                                "beats input",
                                                why));
    };
    if (broken_) return bad("the one before was none");
    while (!bytes.empty()) {
        rest_ += bytes.front();
        bytes.remove_prefix(1);
        if (rest_.size() == 1 && rest_[0] != '2') return bad("it is not of version 2");
        if (rest_.size() == 2 && rest_[1] != 'A') return bad("the frame is of another kind");
        if (rest_.size() < ack_size) continue;
        const auto number = number_at(std::string_view{rest_}.substr(2));
        rest_.clear();
        if (number == 0) {
            ++keep_alives_;
            continue;
        }
        if (number > sent_) return bad(fmt::format("it names record {} of {}", number, sent_));
        if (number < acknowledged_)
            return bad(fmt::format("it names record {} after {}", number, acknowledged_));
        acknowledged_ = number;
    }
    return acknowledged_ == sent_;
}

Verdict LumberjackAcks::verdict(std::string reason) const
{
    if (acknowledged_ == sent_) return accepted();
    if (acknowledged_ == 0) return retry(std::move(reason));
    Verdict verdict{.kind = Verdict::Kind::records};
    verdict.fates.assign(sent_, Fate::retry);
    std::fill_n(verdict.fates.begin(), acknowledged_, Fate::accepted);
    verdict.reason = std::move(reason);
    return verdict;
}

}  // namespace opsd::pipeline
