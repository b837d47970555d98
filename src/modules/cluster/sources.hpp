#pragma once
// Who says which members there are. A source is a task that lives until it is cancelled and reports complete
// lists; what it cannot find out removes nobody.

#include "modules/cluster/found_member.hpp"
#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace opsd::cluster {

/// Where a source reports to. Loop thread only.
struct SourceCallbacks {
    /// The complete list as of now.
    std::function<void(const std::string& source, std::vector<FoundMember> found)> found;
    /// The list could not be had; the last one stands.
    std::function<void(const std::string& source, const Error& why)> failed;
};

class Source {
public:
    virtual ~Source() = default;
    [[nodiscard]] virtual std::string name() const = 0;
    virtual Task<> run(SourceCallbacks report) = 0;
};

using Sources = std::vector<std::unique_ptr<Source>>;

}  // namespace opsd::cluster
