#include "pipeline/batch.hpp"

namespace opsd::pipeline {

std::pair<Sequence, Sequence> halves(const Sequence& all)
{
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>((all.size() + 1) / 2);
    return {Sequence(all.begin(), middle), Sequence(middle, all.end())};
}

void Batch::add(const Record& record, const std::shared_ptr<const Text>& text)
{
    if (texts_.empty() || texts_.back() != text) texts_.push_back(text);
    records_.push_back(record);
    bytes_ += record.bytes.size();
}

std::string joined(const Batch& batch)
{
    std::string body;
    body.reserve(batch.bytes());
    for (const auto& record : batch.records())
        body.append(record.bytes);
    return body;
}

bool Cutter::take(std::size_t bytes)
{
    if (cut_.full) return false;
    if (cut_.records > 0 && cut_.bytes + bytes > bytes_) {
        cut_.full = true;
        return false;
    }
    ++cut_.records;
    cut_.bytes += bytes;
    cut_.full = cut_.records >= records_ || cut_.bytes >= bytes_;
    return true;
}

}  // namespace opsd::pipeline
