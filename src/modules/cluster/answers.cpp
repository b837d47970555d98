#include "modules/cluster/answers.hpp"

#include <algorithm>

namespace opsd::cluster {
namespace {

constexpr std::size_t large = 256 * 1024;  // beyond, hashing and compressing would hold up the loop

std::size_t size_of(const std::shared_ptr<const http::Content>& content)
{
    return content ? content->body.size() + content->gzip.size() : 0;
}

}  // namespace

Answers::Answers(const Executor& executor, Clock& clock, AnswerLimits limits)
  : executor_{executor}
  , clock_{clock}
  , limits_{limits}
{}

bool Answers::is_good(const Entry& entry, const WantedAnswer& wanted) const
{
    if (!entry.content || (wanted.gzip && !entry.packed)) return false;
    if (entry.version >= wanted.snapshot->version) return true;
    return !wanted.no_older && entry.content->body.size() > large
           && clock_.monotonic() - entry.made_at < Monotonic{limits_.large_max_age};
}

Task<std::shared_ptr<const http::Content>> Answers::get(WantedAnswer wanted)
{
    auto& place = entries_[wanted.key];
    if (!place) place = std::make_shared<Entry>(executor_);
    const auto entry = place;
    entry->used_at = clock_.monotonic();
    // A large answer may go out when its snapshot is outdated. Unless the second of the change was over, the
    // next change may have the same date and would be hidden by it: such an answer has none.
    const bool over = clock_.now() > wanted.modified;
    const Dates dates{wanted.modified, over ? std::optional{wanted.modified} : std::nullopt};
    while (!is_good(*entry, wanted)) {
        if (entry->making) {
            co_await wait_event(entry->changed);
            continue;
        }
        co_await make(*entry, wanted, dates);
    }
    trim(entry.get());
    co_return entry->content;
}

Task<> Answers::make(Entry& entry, const WantedAnswer& wanted, Dates dates)
{
    // Whoever makes it may go away meanwhile: the next one who waits then makes it himself.
    struct Making {
        Entry& entry;
        explicit Making(Entry& e) : entry{e} { entry.making = true; }
        Making(const Making&) = delete;
        Making& operator=(const Making&) = delete;
        ~Making()
        {
            entry.making = false;
            entry.changed.cancel();
        }
    };
    const Making making{entry};
    std::shared_ptr<http::Content> made;
    auto body = co_await wanted.render(wanted.snapshot->value);
    ++rendered_;
    const bool is_large = body.size() > large;
    if (!is_large) {
        made = http::make_content(std::move(body), "application/json", wanted.gzip);
    } else {
        auto pack = [body = std::move(body),
                     gzip = wanted.gzip]() mutable -> Result<std::shared_ptr<http::Content>> {
            return http::make_content(std::move(body), "application/json", gzip);
        };
        if (!packer_) packer_.emplace("opsd-answers", 16);
        auto packed = co_await packer_->run(std::move(pack));
        if (!packed) throw std::runtime_error{packed.error().message};
        made = std::move(*packed);
    }
    made->last_modified = is_large ? dates.of_large : dates.of_small;
    entry.packed = wanted.gzip;
    entry.content = std::move(made);
    entry.version = wanted.snapshot->version;
    entry.made_at = clock_.monotonic();
}

std::size_t Answers::bytes() const noexcept
{
    std::size_t all = 0;
    for (const auto& [key, entry] : entries_)
        all += size_of(entry->content);
    return all;
}

void Answers::trim(const Entry* keep)
{
    const auto now = clock_.monotonic();
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto& entry = *at->second;
        const bool unused = !entry.making && now - entry.used_at > Monotonic{limits_.unused_for};
        at = unused && &entry != keep ? entries_.erase(at) : std::next(at);
    }
    while (bytes() > limits_.bytes && entries_.size() > 1) {
        auto oldest = entries_.end();
        for (auto at = entries_.begin(); at != entries_.end(); ++at) {
            if (at->second.get() == keep || at->second->making) continue;
            if (oldest == entries_.end() || at->second->used_at < oldest->second->used_at) oldest = at;
        }
        if (oldest == entries_.end()) return;
        entries_.erase(oldest);
    }
}

}  // namespace opsd::cluster
