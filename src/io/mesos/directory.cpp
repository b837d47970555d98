#include "io/mesos/directory.hpp"

#include <algorithm>
#include <utility>

namespace opsd::mesos {
namespace {

bool same(const Master& a, const Master& b)
{
    return a.id == b.id && a.hostname == b.hostname && a.address == b.address && a.port == b.port;
}

}  // namespace

asio::execution_context::id MasterDirectory::id;

MasterDirectory& MasterDirectory::of(const Executor& executor)
{
    auto& directory = asio::use_service<MasterDirectory>(executor.context());
    if (!directory.cell_) directory.cell_.emplace(executor);
    return directory;
}

void MasterDirectory::configure(MastersOptions how, std::string scheme, bool zookeeper, WallTime now)
{
    KnownMasters known;
    known.how = std::make_shared<const MastersOptions>(std::move(how));
    known.scheme = std::move(scheme);
    known.zookeeper = zookeeper;
    cell_->publish(std::move(known), now);
}

void MasterDirectory::name(const std::vector<Master>& masters, WallTime now)
{
    const auto before = cell_->get();
    if (!before || std::ranges::equal(before->value.named, masters, same)) return;
    auto known = before->value;
    known.named = masters;
    cell_->publish(std::move(known), now);
}

}  // namespace opsd::mesos
