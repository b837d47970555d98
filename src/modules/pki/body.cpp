#include "modules/pki/body.hpp"

#include "opsd/config.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <initializer_list>

namespace opsd::pki {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds shortest = 1min;
constexpr std::chrono::milliseconds longest = 24h * 7;
constexpr std::int64_t most_uses = 1'000;

std::unexpected<Error> refuse(std::string_view why)
{
    return fail(Errc::invalid_argument, fmt::format("cannot read the body: {}", why));
}

/// A flat object with no members but the known ones.
Result<json> flat_object(std::string_view body, std::initializer_list<std::string_view> known)
{
    if (body.size() > max_body) return refuse(fmt::format("it is larger than {} bytes", max_body));
    bool deep = false;
    const auto shallow = [&deep](int depth, json::parse_event_t event, const json&) {
        const bool opens =
            event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        deep = deep || (opens && depth > 0);
        return !deep;
    };
    auto document = json::parse(body, shallow, false);
    if (deep || !document.is_object()) return refuse("it must be a flat JSON object");
    for (const auto& [key, value] : document.items()) {
        if (std::ranges::find(known, key) == known.end())
            return refuse(fmt::format("there is no member \"{}\"", key.substr(0, 64)));
    }
    return document;
}

/// Members that must all be there and be texts.
Result<std::vector<std::string>> texts(std::string_view body, std::initializer_list<std::string_view> names)
{
    const auto document = flat_object(body, names);
    if (!document) return fail(document.error());
    std::vector<std::string> found;
    for (const auto name : names) {
        const auto at = document->find(name);
        if (at == document->end() || !at->is_string())
            return refuse(fmt::format("\"{}\" must be there and be a text", name));
        found.push_back(at->get<std::string>());
    }
    return found;
}

Result<> bind_to_node(const json& document, TokenTerms& asked)
{
    if (const auto at = document.find("for"); at != document.end()) {
        Names node;
        const bool good = at->is_string() && add_name(node, at->get<std::string>()) && node.hosts.size() == 1
                          && node.hosts.front().size() <= max_common_name;
        if (!good)
            return refuse(
                fmt::format("\"for\" must be a host name of at most {} characters", max_common_name));
        asked.node = std::move(node.hosts.front());
    }
    if (const auto at = document.find("replace"); at != document.end()) {
        if (!at->is_boolean()) return refuse("\"replace\" must be true or false");
        asked.replace = at->get<bool>();
    }
    if (!asked.node.empty() && asked.uses != 1) return refuse("a token \"for\" one node has one use");
    if (asked.replace && asked.node.empty())
        return refuse("\"replace\" needs \"for\": the node whose name it is");
    return {};
}

}  // namespace

Result<JoinBody> parse_join(std::string_view body)
{
    auto found = texts(body, {"token", "request"});
    if (!found) return fail(std::move(found).error());
    return JoinBody{std::move((*found)[0]), std::move((*found)[1])};
}

Result<RenewBody> parse_renew(std::string_view body)
{
    auto found = texts(body, {"certificate", "request"});
    if (!found) return fail(std::move(found).error());
    return RenewBody{std::move((*found)[0]), std::move((*found)[1])};
}

Result<TokenTerms> parse_token(std::string_view body)
{
    TokenTerms asked;
    if (body.empty()) return asked;
    const auto document = flat_object(body, {"lifetime", "uses", "for", "replace"});
    if (!document) return fail(document.error());
    if (const auto at = document->find("lifetime"); at != document->end()) {
        if (!at->is_string()) return refuse("\"lifetime\" must be a text such as \"30m\"");
        const auto decoded = config::decode(config::Value::scalar(at->get<std::string>()), asked.lifetime);
        if (!decoded) return refuse(fmt::format("\"lifetime\" {}", decoded.error().message));
    }
    if (const auto at = document->find("uses"); at != document->end()) {
        if (!at->is_number_integer()) return refuse("\"uses\" must be a whole number");
        asked.uses = at->get<std::int64_t>();
    }
    if (asked.lifetime < shortest || asked.lifetime > longest) return refuse("\"lifetime\" must be 1m to 7d");
    if (asked.uses < 1 || asked.uses > most_uses)
        return refuse(fmt::format("\"uses\" must be 1 to {}", most_uses));
    const auto bound = bind_to_node(*document, asked);
    if (!bound) return fail(bound.error());
    return asked;
}

std::string certificate_answer(const std::string& cluster, const std::string& certificate,
                               const std::string& authority)
{
    const json answer{{"cluster", cluster}, {"certificate", certificate}, {"authority", authority}};
    return answer.dump();
}

Result<CertificateAnswer> parse_certificate_answer(std::string_view body)
{
    auto found = texts(body, {"certificate", "authority", "cluster"});
    if (!found) {
        return fail(Errc::protocol, fmt::format("cannot read the answer: {}; is it opsd that listens there?",
                                                found.error().message));
    }
    return CertificateAnswer{std::move((*found)[0]), std::move((*found)[1])};
}

}  // namespace opsd::pki
