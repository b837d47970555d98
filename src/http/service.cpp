#include "http/service.hpp"

#include "http/content.hpp"

#include <fmt/core.h>

#include <random>

namespace opsd::http {
namespace {

constexpr std::string_view requests_help = "Answered requests by method, route template and status";
constexpr std::string_view seconds_help =
    "From the end of a request's head to the end of its answer; of a stream to its head";

}  // namespace

RouteMetrics::RouteMetrics(telemetry::Registry& registry, std::string route)
  : registry_{&registry}
  , route_{std::move(route)}
  , seconds_{&registry.histogram("opsd_http_request_seconds", seconds_help, telemetry::latency_bounds,
                                 {{"route", route_}})}
{}

void RouteMetrics::count(std::string_view method, unsigned status)
{
    for (auto& series : requests_) {
        if (series.status == status && series.method == method) return series.counter->add();
    }
    auto& counter = registry_->counter(
        "opsd_http_requests_total", requests_help,
        {{"method", std::string{method}}, {"route", route_}, {"code", std::to_string(status)}});
    requests_.push_back({method, status, &counter});
    counter.add();
}

void RouteMetrics::observe(std::chrono::steady_clock::duration time)
{
    seconds_->observe(std::chrono::duration<double>{time}.count());
}

Table::Table(std::shared_ptr<const Router> router, telemetry::Registry& registry)
  : router_{std::move(router)}
  , unmatched_{registry, "unmatched"}
{
    routes_.reserve(router_->routes().size());
    for (const auto& route : router_->routes())
        routes_.emplace_back(registry, route.pattern);
}

RouteMetrics& Table::metrics(const Route* route)
{
    return route != nullptr ? routes_[static_cast<std::size_t>(route - router_->routes().data())]
                            : unmatched_;
}

Service::Service(Executor loop, Limits given, Authenticator& who, AuditSink& sink, const Clock& time,
                 telemetry::Registry& metrics, Log lines)
  : executor{std::move(loop)}
  , limits{given}
  , authenticator{who}
  , audit{sink}
  , clock{time}
  , registry{metrics}
  , log{std::move(lines)}
  , table{std::make_shared<Table>(std::make_shared<Router>(), metrics)}
  , open_streams{metrics.gauge("opsd_http_streams", "Open follow streams")}
  , id_base_{std::random_device{}()}
{}

BodyShare::~BodyShare() { service_.body_bytes -= bytes_; }

bool BodyShare::resize(std::size_t bytes)
{
    const auto others = service_.body_bytes - bytes_;
    if (others + bytes > service_.body_room) return false;
    service_.body_bytes = others + bytes;
    bytes_ = bytes;
    return true;
}

const std::string& Service::date()
{
    const auto now = std::chrono::floor<std::chrono::seconds>(clock.now());
    if (now != date_second_ || date_.empty()) {
        date_second_ = now;
        date_ = http_date(now);
    }
    return date_;
}

std::string Service::next_request_id() { return fmt::format("{:08x}{:08x}", id_base_, ++id_next_); }

void Service::count_bad(std::string_view reason)
{
    registry
        .counter("opsd_http_bad_requests_total", "Requests refused before they reached a route, by reason",
                 {{"reason", std::string{reason}}})
        .add();
}

}  // namespace opsd::http
