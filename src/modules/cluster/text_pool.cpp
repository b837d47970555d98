#include "modules/cluster/text_pool.hpp"

#include <functional>

namespace opsd::cluster {
namespace {

std::size_t hash_of(const std::string& text) { return std::hash<std::string>{}(text); }

std::size_t mix(std::size_t a, std::size_t b)
{
    return a ^ (b + 0x9e3779b97f4a7c15ULL + (a << 6U) + (a >> 2U));
}

}  // namespace

template <class T>
std::shared_ptr<const T> TextPool::intern(Pool<T>& pool, T value, std::size_t hash)
{
    const auto [begin, end] = pool.equal_range(hash);
    for (auto at = begin; at != end; ++at) {
        auto known = at->second.lock();
        if (known && *known == value) return known;
    }
    if (size() >= sweep_at_) sweep();
    auto made = std::make_shared<const T>(std::move(value));
    pool.emplace(hash, made);
    return made;
}

std::shared_ptr<const UnitLabel> TextPool::label(UnitLabel label)
{
    const auto hash = mix(mix(hash_of(label.id), hash_of(label.name)), hash_of(label.description));
    return intern(labels_, std::move(label), hash);
}

std::shared_ptr<const UnitVerdict> TextPool::verdict(UnitVerdict verdict)
{
    const auto hash =
        mix(mix(static_cast<std::size_t>(verdict.health), hash_of(verdict.state)), hash_of(verdict.reason));
    return intern(verdicts_, std::move(verdict), hash);
}

void TextPool::sweep()
{
    std::erase_if(labels_, [](const auto& entry) { return entry.second.expired(); });
    std::erase_if(verdicts_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<std::size_t>(1024, 2 * size());
}

}  // namespace opsd::cluster
