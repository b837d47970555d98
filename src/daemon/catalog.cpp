#include "daemon/catalog.hpp"

#include "modules/cluster/module.hpp"
#include "modules/forward/module.hpp"
#include "modules/health/module.hpp"
#include "modules/logs/module.hpp"
#include "modules/pki/module.hpp"

namespace opsd::daemon {

std::vector<CatalogEntry> catalog()
{
    return {
        health::catalog_entry(), cluster::catalog_entry(), pki::catalog_entry(),
        logs::catalog_entry(),   forward::catalog_entry(),
    };
}

}  // namespace opsd::daemon
