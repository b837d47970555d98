#pragma once
// What all sessions of one server share.

#include "http/server.hpp"

#include <array>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace opsd::http {

/// The metrics of one row of the table, looked up once.
class RouteMetrics {
public:
    RouteMetrics(telemetry::Registry& registry, std::string route);
    void count(std::string_view method, unsigned status);
    void observe(std::chrono::steady_clock::duration time);

private:
    struct Series {
        std::string_view method;
        unsigned status;
        telemetry::Counter* counter;
    };
    telemetry::Registry* registry_;
    std::string route_;
    telemetry::Histogram* seconds_;
    std::vector<Series> requests_;
};

/// A route table with its metrics.
class Table {
public:
    Table(std::shared_ptr<const Router> router, telemetry::Registry& registry);
    [[nodiscard]] const Router& router() const noexcept { return *router_; }
    /// Null: "unmatched".
    RouteMetrics& metrics(const Route* route);

private:
    std::shared_ptr<const Router> router_;
    std::vector<RouteMetrics> routes_;
    RouteMetrics unmatched_;
};

class Session;

struct Service;

/// The part of the service's room for bodies that one request has.
class BodyShare {
public:
    explicit BodyShare(Service& service) : service_{service} {}
    ~BodyShare();
    BodyShare(const BodyShare&) = delete;
    BodyShare& operator=(const BodyShare&) = delete;
    /// False when all bodies together would take more than there is room for.
    [[nodiscard]] bool resize(std::size_t bytes);

private:
    Service& service_;
    std::size_t bytes_ = 0;
};

struct Service {
    Service(Executor loop, Limits given, Authenticator& who, AuditSink& sink, const Clock& time,
            telemetry::Registry& metrics, Log lines);

    /// The Date header of now, made once a second.
    const std::string& date();
    /// Unique in this process and unlikely to repeat in another.
    std::string next_request_id();
    void count_bad(std::string_view reason);

    Executor executor;
    Limits limits;
    Authenticator& authenticator;
    AuditSink& audit;
    const Clock& clock;
    telemetry::Registry& registry;
    Log log;
    std::shared_ptr<Table> table;
    telemetry::Gauge& open_streams;
    std::size_t streams = 0;
    std::size_t body_bytes = 0;          ///< of request bodies in memory, of all sessions
    std::size_t body_room = 32U << 20U;  ///< beyond, bodies are refused
    bool draining = false;
    bool aborted = false;
    std::list<Session*> sessions;
    /// What one read brings; its session takes it out before anybody else runs.
    std::array<char, 8 * 1024> scratch{};

private:
    std::string date_;
    std::chrono::sys_seconds date_second_{};
    std::uint64_t id_base_;
    std::uint64_t id_next_ = 0;
};

}  // namespace opsd::http
