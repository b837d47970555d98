#include "modules/cluster/answers.hpp"

#include <fmt/format.h>

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

bool Answers::is_good(const Entry& entry, const WantedAnswer& wanted, bool crowded) const
{
    if (!entry.content || (wanted.gzip && !entry.packed && !crowded)) return false;
    if (entry.version >= wanted.snapshot->version) return true;
    if (wanted.no_older || entry.content->body.size() <= large) return false;
    const Monotonic max_age{crowded ? limits_.crowded_max_age : limits_.large_max_age};
    return clock_.monotonic() - entry.made_at < max_age;
}

Task<Result<KeptAnswer>> Answers::get(WantedAnswer wanted)
{
    auto& place = entries_[wanted.key];
    if (!place) place = std::make_shared<Entry>(executor_);
    const auto entry = place;
    entry->used_at = clock_.monotonic();
    // A large answer may go out when its snapshot is outdated. Unless the second of the change was over, the
    // next change may have the same date and would be hidden by it: such an answer has none.
    const bool over = clock_.now() > wanted.modified;
    const Dates dates{wanted.modified, over ? std::optional{wanted.modified} : std::nullopt};
    while (!is_good(*entry, wanted, false)) {
        if (entry->making) {
            co_await wait_event(entry->changed);
            continue;
        }
        const auto size = std::max(wanted.size, size_of(entry->content));
        if (make_room(*entry, size)) {
            co_await make(*entry, wanted, dates, size);
        } else if (is_good(*entry, wanted, true)) {
            break;
        } else {
            co_return fail(Errc::unavailable,
                           fmt::format("cannot make the answer: slow clients still read {} MiB of earlier "
                                       "ones, and cluster.max_answers leaves no room for one more; ask again "
                                       "in some seconds",
                                       bytes_in_use() >> 20U));
        }
    }
    trim(entry.get());
    co_return KeptAnswer{entry->content, entry->confirmed};
}

bool Answers::make_room(const Entry& entry, std::size_t size)
{
    // The last quarter is for small ones: whoever reads a report slowly does not keep others from the lists.
    const auto limit = size > limits_.bytes / 8 ? limits_.bytes / 4 * 3 : limits_.bytes;
    const bool replaced = entry.content.use_count() == 1;  // nobody reads it: it ends with its successor
    for (;;) {
        const auto others = bytes_in_use() - (replaced ? size_of(entry.content) : 0);
        if (others == 0 || others + size <= limit) return true;
        if (!drop_longest_unused(&entry)) return false;
    }
}

Task<> Answers::make(Entry& entry, const WantedAnswer& wanted, Dates dates, std::size_t size)
{
    // Whoever makes it may go away meanwhile: the next one who waits then makes it himself.
    struct Making {
        Entry& entry;
        std::size_t& being_made;
        std::size_t size;
        Making(Entry& e, std::size_t& all, std::size_t its) : entry{e}, being_made{all}, size{its}
        {
            entry.making = true;
            being_made += size;
        }
        Making(const Making&) = delete;
        Making& operator=(const Making&) = delete;
        ~Making()
        {
            being_made -= size;
            entry.making = false;
            entry.changed.cancel();
        }
    };
    const Making making{entry, being_made_, size};
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
    std::erase_if(made_, [](const auto& one) { return one.expired(); });
    made_.push_back(made);
    entry.packed = wanted.gzip;
    entry.content = std::move(made);
    entry.version = wanted.snapshot->version;
    entry.confirmed = wanted.confirmed;
    entry.made_at = clock_.monotonic();
}

std::size_t Answers::bytes() const noexcept
{
    std::size_t all = 0;
    for (const auto& [key, entry] : entries_)
        all += size_of(entry->content);
    return all;
}

std::size_t Answers::bytes_in_use() const noexcept
{
    auto all = being_made_;
    for (const auto& one : made_)
        all += size_of(one.lock());
    return all;
}

/// What somebody reads would not be gone.
bool Answers::drop_longest_unused(const Entry* keep)
{
    auto oldest = entries_.end();
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
        const auto& entry = *at->second;
        if (&entry == keep || entry.making || entry.content.use_count() > 1) continue;
        if (oldest == entries_.end() || entry.used_at < oldest->second->used_at) oldest = at;
    }
    if (oldest == entries_.end()) return false;
    entries_.erase(oldest);
    return true;
}

void Answers::trim(const Entry* keep)
{
    const auto now = clock_.monotonic();
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto& entry = *at->second;
        const bool unused = !entry.making && now - entry.used_at > Monotonic{limits_.unused_for};
        at = unused && &entry != keep ? entries_.erase(at) : std::next(at);
    }
    while (bytes() > limits_.bytes && drop_longest_unused(keep)) {
    }
}

}  // namespace opsd::cluster
