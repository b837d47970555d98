#include "pipeline/sinks/elasticsearch.hpp"

#include "core/json_text.hpp"
#include "pipeline/frames.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace opsd::pipeline {
namespace {

using nlohmann::json;

/// Elasticsearch quotes the value that it could not take. Reasons are shown to who may not read the entry.
std::string_view without_preview(std::string_view reason)
{
    return reason.substr(0, reason.find(" Preview of field's value"));
}

/// Reads the items of an answer as they come, however many: nothing is built of what does not matter.
class BulkReply final : public nlohmann::json_sax<json> {
public:
    explicit BulkReply(std::size_t sent) : sent_{sent} { verdict_.fates.reserve(sent); }

    [[nodiscard]] bool whole() const noexcept { return items_ == 1 && verdict_.fates.size() == sent_; }
    [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }
    [[nodiscard]] std::size_t items() const noexcept { return verdict_.fates.size(); }
    [[nodiscard]] Verdict take() { return std::move(verdict_); }

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool binary(binary_t&) override { return true; }
    bool number_unsigned(number_unsigned_t value) override
    {
        if (in_items_ && depth_ == 4 && key_ == "status")
            status_ = value < 1000 ? static_cast<int>(value) : 0;
        return true;
    }
    bool string(string_t& value) override
    {
        if (!in_items_) return true;
        if (depth_ == 4 && key_ == "error") type_ = excerpt(value);
        if (depth_ == 5 && in_error_ && key_ == "type") type_ = excerpt(value);
        if (depth_ == 5 && in_error_ && key_ == "reason") why_ = excerpt(without_preview(value));
        return true;
    }
    bool key(string_t& value) override
    {
        key_ = value;
        return true;
    }
    bool start_object(std::size_t) override
    {
        if (in_items_ && depth_ == 4) in_error_ = key_ == "error";
        ++depth_;
        if (in_items_ && depth_ == 3) begin_item();
        if (in_items_ && depth_ == 4) ++actions_;
        return true;
    }
    bool end_object() override
    {
        if (in_items_ && depth_ == 5) in_error_ = false;
        if (in_items_ && depth_ == 3 && !end_item()) return false;
        --depth_;
        return true;
    }
    bool start_array(std::size_t) override
    {
        if (depth_ == 1 && key_ == "items") {
            in_items_ = true;
            ++items_;
        } else if (depth_ == 0 || (in_items_ && depth_ == 2)) {
            trouble_ = "its answer is no answer to _bulk";
            return false;
        }
        ++depth_;
        return true;
    }
    bool end_array() override
    {
        --depth_;
        if (depth_ == 1) in_items_ = false;
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override
    {
        trouble_ = "its answer is cut or no JSON";
        return false;
    }

private:
    void begin_item()
    {
        status_ = 0;
        actions_ = 0;
        type_.clear();
        why_.clear();
    }
    bool end_item()
    {
        if (verdict_.fates.size() == sent_ || actions_ != 1) {
            trouble_ = "its answer has other items than were sent";
            return false;
        }
        verdict_.fates.push_back(fate());
        return true;
    }
    Fate fate()
    {
        if (status_ == 200 || status_ == 201 || status_ == 409) return Fate::accepted;
        const auto reason = fmt::format("{} {}{}{}", status_, type_, why_.empty() ? "" : ": ", why_);
        if (status_ == 401 || status_ == 403) verdict_.alert = true;
        const bool later = status_ < 400 || status_ == 401 || status_ == 403 || status_ == 408
                           || status_ == 429 || status_ >= 500;
        if (later && verdict_.reason.empty()) verdict_.reason = "an item was answered " + reason;
        if (later) return Fate::retry;
        verdict_.reasons.emplace(verdict_.fates.size(), reason);
        return Fate::refused;
    }

    std::size_t sent_ = 0;
    Verdict verdict_{.kind = Verdict::Kind::records};
    std::string trouble_;
    std::string key_;
    std::size_t depth_ = 0;
    std::size_t items_ = 0;  ///< lists of that name
    bool in_items_ = false;
    bool in_error_ = false;
    int status_ = 0;
    int actions_ = 0;
    std::string type_;
    std::string why_;
};

/// Is it word for word what Elasticsearch and OpenSearch answer when they have created each record? Most
/// answers are; all others are read with care.
bool all_created(std::string_view body, std::size_t sent)
{
    constexpr std::string_view begin = R"({"errors":false,"items":[)";
    constexpr std::string_view item = R"({"create":{"status":201}},)";
    constexpr std::string_view end = "]}";
    if (sent == 0 || body.size() != begin.size() + sent * item.size() - 1 + end.size()) return false;
    if (!body.starts_with(begin) || !body.ends_with(end)) return false;
    auto rest = body.substr(begin.size());
    for (std::size_t i = 1; i < sent; ++i, rest.remove_prefix(item.size())) {
        if (!rest.starts_with(item)) return false;
    }
    return rest.starts_with(item.substr(0, item.size() - 1));
}

}  // namespace

BulkWriter::BulkWriter(BulkOptions options) : pattern_{std::move(options.index)}, document_{options.document}
{}

void BulkWriter::name_index(std::string_view day)
{
    day_ = day;
    std::string name;
    for (std::size_t i = 0; i < pattern_.size(); ++i) {
        const char what = pattern_[i] == '%' && i + 1 < pattern_.size() ? pattern_[i + 1] : '\0';
        const auto part = what == 'Y'   ? day.substr(0, 4)
                          : what == 'm' ? day.substr(5, 2)
                          : what == 'd' ? day.substr(8, 2)
                                        : std::string_view{};
        if (part.empty()) {
            name += pattern_[i];
            continue;
        }
        name += part;
        ++i;
    }
    action_ = "{\"create\":{\"_index\":";
    append_quoted(action_, name);
    action_ += ",\"_id\":";
}

bool BulkWriter::write(const systemd::JournalEntry& entry, std::string& out)
{
    const auto parts = parts_of(entry);
    const auto day = stamp_.day(parts.time);
    if (day != day_) name_index(day);
    id_.clear();
    append_entry_id(id_, entry.cursor);
    out += action_;
    append_quoted(out, id_);
    out += "}}\n";
    document_.append(out, entry, parts);
    out += '\n';
    return true;
}

Verdict read_bulk_reply(int status, std::string_view body, std::size_t sent,
                        std::optional<std::chrono::milliseconds> after)
{
    auto whole = verdict_of_status(status, body, after);
    if (whole.kind != Verdict::Kind::accepted) return whole;
    if (all_created(body, sent)) return accepted();
    if (body.size() > largest_bulk_reply)
        return too_large(fmt::format("its answer of {} bytes is too large to be read", body.size()));
    BulkReply reply{sent};
    if (!json::sax_parse(body, &reply)) return retry(reply.trouble(), after);
    if (!reply.whole())
        return retry(fmt::format("its answer has {} items for {} records", reply.items(), sent), after);
    auto verdict = reply.take();
    if (std::ranges::all_of(verdict.fates, [](Fate fate) { return fate == Fate::accepted; }))
        return accepted();
    verdict.after = after;
    return verdict;
}

}  // namespace opsd::pipeline
