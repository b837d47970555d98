#include "daemon/plan.hpp"

#include <fmt/format.h>

namespace opsd::daemon {

std::expected<Plan, config::Mistakes> make_plan(config::Value root)
{
    config::Mistakes mistakes;
    Plan plan;
    plan.node = node_schema().parse(root.find("node"), "node", mistakes);
    plan.log = log_schema().parse(root.find("log"), "log", mistakes);
    plan.http = http_schema().parse(root.find("http"), "http", mistakes);
    plan.auth = http::auth_schema().parse(root.find("auth"), "auth", mistakes);
    plan.store = store_schema().parse(root.find("store"), "store", mistakes);
    plan.auth.anonymous = plan.http.anonymous;
    check_listeners(plan.http, mistakes);
    http::check_issuers(plan.auth, mistakes);
    if (!mistakes.empty()) return std::unexpected{std::move(mistakes)};
    plan.root = std::move(root);
    return plan;
}

std::vector<std::string> restart_needed(const config::Value& running, const config::Value& wanted)
{
    std::vector<std::string> names;
    const auto section = [](const config::Value& root, const char* name, const char* key) {
        const auto* s = root.find(name);
        const auto* v = s == nullptr ? nullptr : s->find(key);
        return v == nullptr ? config::Value{} : *v;
    };
    for (const auto& [name, key] : {std::pair{"http", "listen"},
                                    {"http", "socket"},
                                    {"http", "socket_mode"},
                                    {"store", "max_size"},
                                    {"store", "statement_timeout"}}) {
        if (section(running, name, key) != section(wanted, name, key))
            names.push_back(fmt::format("{}.{}", name, key));
    }
    return names;
}

}  // namespace opsd::daemon
