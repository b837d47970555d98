#pragma once
// What the tests of the daemon share: a store that keeps nothing, a log that remembers, a module that does
// what it is told.

#include "daemon/supervisor.hpp"

#include "support.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace opsd::test {

class NoStore final : public Store {
public:
    Task<Result<>> migrate(std::string, std::vector<std::string>) override { co_return Result<>{}; }
    Task<Result<std::vector<Row>>> read(Statement, std::size_t) override { co_return std::vector<Row>{}; }
    Task<Result<Written>> write(std::vector<Statement>) override { co_return Written{}; }
};

struct Lines final : LogSink {
    void write(Level, std::string_view line) override { all.emplace_back(line); }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    [[nodiscard]] bool contain(std::string_view text) const
    {
        return std::ranges::any_of(
            all, [text](const std::string& line) { return line.find(text) != std::string::npos; });
    }
    std::vector<std::string> all;
};

/// What the module under test does, and what happened to it.
struct Script {
    int created = 0;
    int started = 0;
    int alive = 0;
    bool throws = false;
    bool refuses = false;
    bool stubborn = false;  ///< does not end when it is cancelled
};

class Scripted final : public Module {
public:
    Scripted(Script& script, Services& services) : script_{script}, services_{services}
    {
        ++script_.created;
        ++script_.alive;
    }
    ~Scripted() override { --script_.alive; }
    std::vector<http::Route> routes() override
    {
        return {{http::Method::get, "/scripted", http::Access::open, "test", answer, {}}};
    }
    Task<> run() override
    {
        ++script_.started;
        if (script_.throws) throw std::runtime_error{"the wheel came off"};
        services_.status.running();
        asio::steady_timer forever{services_.executor, never};
        if (script_.stubborn)
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        let_go_ = &forever;
        co_await forever.async_wait(asio::use_awaitable);
    }
    /// Ends a stubborn one.
    void let_go() { let_go_->cancel(); }

private:
    static Task<http::Response> answer(const http::Request&) { co_return http::Response{}; }
    Script& script_;
    Services& services_;
    asio::steady_timer* let_go_ = nullptr;
};

struct ScriptOptions {
    std::int64_t number = 0;
};

/// Its line of a catalog; `last` is the instance that was made last.
inline CatalogEntry scripted_entry(std::string name, Script& script, Scripted** last = nullptr)
{
    config::Schema<ScriptOptions> schema;
    schema.field(&ScriptOptions::number, "number", "test");
    auto create = [&script, last](const config::Value*,
                                  Services& services) -> Result<std::unique_ptr<Module>> {
        if (script.refuses) return fail(Errc::invalid_argument, "cannot use this section: test");
        auto made = std::make_unique<Scripted>(script, services);
        if (last != nullptr) *last = made.get();
        return made;
    };
    return {std::move(name), "a test", config::AnySchema{schema}, std::move(create)};
}

}  // namespace opsd::test
