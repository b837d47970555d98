#pragma once
// A far side for each kind of sink, with the moods that a far side may be in. They live through whatever
// becomes of the sinks that send to them.

#include "kafka_cluster.hpp"
#include "pipeline/sinks/journal_upload_sink.hpp"
#include "pipeline/sinks/kafka_record.hpp"
#include "pipeline/sinks/kafka_sink.hpp"
#include "pipeline/sinks/logstash_http_sink.hpp"
#include "pipeline/sinks/lumberjack_sink.hpp"
#include "pipeline/sinks/splunk_hec_sink.hpp"
#include "pipeline/sinks/syslog_sink.hpp"
#include "wire.hpp"

#include <fmt/format.h>

namespace opsd::test {

using namespace pipeline;

enum class Mood { well, dropping, busy, silent, refusing };

using Numbers = std::vector<std::uint64_t>;

/// "#7#" is number 7, wherever it stands.
inline void find_numbers(std::string_view text, Numbers& all)
{
    for (auto at = text.find('#'); at != std::string_view::npos; at = text.find('#', at)) {
        const auto end = text.find('#', at + 1);
        if (end == std::string_view::npos) break;
        all.push_back(std::stoull(std::string{text.substr(at + 1, end - at - 1)}));
        at = end + 1;
    }
}

/// A far side of a kind, and sinks that send to it.
class FarSide {
public:
    virtual ~FarSide() = default;
    virtual std::unique_ptr<Sink> sink() = 0;
    virtual void render(std::string& out, std::uint64_t n) const
    {
        out += fmt::format(R"({{"n":"#{}#"}})", n);
    }
    virtual void set(Mood mood) = 0;
    /// What it has taken, in that order; waits until it is so many.
    virtual Task<Numbers> taken(std::size_t count) = 0;
    /// Nobody listens there any more.
    virtual void die() = 0;
    virtual Task<> stop() = 0;

    bool can_refuse = true;
    bool can_be_busy = true;
    bool tries_by_itself = false;               ///< passing trouble is no matter of verdicts
    std::chrono::milliseconds tries_for = 20s;  ///< by itself, of a sink that is made now
    bool best_effort = false;                   ///< what it drops may be gone
    std::size_t padding = 0;                    ///< bytes of a record that make silence felt

protected:
    SystemClock clock_;
};

class Web : public FarSide {
public:
    Web(const Executor& executor, net::TlsContext tls)
      : executor_{executor}
      , server_{executor, [this](const WebRequest& request) { return answer(request); }, std::move(tls)}
    {}
    void set(Mood mood) override { mood_ = mood; }
    Task<Numbers> taken(std::size_t) override { co_return taken_; }
    void die() override { server_.die(); }
    Task<> stop() override { co_await server_.stop(); }

protected:
    virtual WebReply good(const WebRequest&) { return says(200, R"({"text":"Success","code":0})"); }
    virtual bool is_question(const WebRequest&) { return false; }
    [[nodiscard]] HttpTarget target() const
    {
        HttpTarget target;
        target.urls = {server_.url()};
        target.tls = pki_.trusting();
        target.timeout = 60s;
        return target;
    }
    Executor executor_;
    Pki pki_;

private:
    WebReply answer(const WebRequest& request)
    {
        switch (mood_) {
        case Mood::well:
            break;
        case Mood::dropping:
            return {"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"text\":\"Succ", Then::close};
        case Mood::busy:
            return says(503, "<html>busy</html>", "Retry-After: 2\r\n");
        case Mood::silent:
            return {"", Then::hang};
        case Mood::refusing:
            return says(400, R"({"text":"Invalid data format","code":6})");
        }
        if (!is_question(request)) find_numbers(request.body, taken_);
        return good(request);
    }
    WebServer server_;
    Mood mood_ = Mood::well;
    Numbers taken_;
};

class Splunk final : public Web {
public:
    Splunk(const Executor& executor, net::TlsContext tls, bool acknowledge)
      : Web{executor, std::move(tls)}
      , acknowledge_{acknowledge}
    {}
    std::unique_ptr<Sink> sink() override
    {
        HecSinkOptions options;
        options.target = target();
        options.target.headers.emplace_back("Authorization", "Splunk t");
        options.acknowledge = acknowledge_;
        options.ack_timeout = 60s;
        options.ack_interval = 2ms;
        return std::make_unique<SplunkHecSink>(executor_, options, clock_);
    }

private:
    bool is_question(const WebRequest& request) override { return request.path.contains("/ack?"); }
    WebReply good(const WebRequest& request) override
    {
        if (is_question(request)) return says(200, R"({"acks":{"3":true}})");
        if (!acknowledge_) return Web::good(request);
        return says(200, R"({"text":"Success","code":0,"ackId":3})");
    }
    bool acknowledge_;
};

class Logstash final : public Web {
public:
    Logstash(const Executor& executor, bool lines) : Web{executor, {}}, lines_{lines} {}
    std::unique_ptr<Sink> sink() override
    {
        LogstashHttpOptions options;
        options.target = target();
        options.lines = lines_;
        return std::make_unique<LogstashHttpSink>(executor_, options, clock_);
    }

private:
    bool lines_;
};

class JournalRemote final : public Web {
public:
    explicit JournalRemote(const Executor& executor) : Web{executor, {}} {}
    std::unique_ptr<Sink> sink() override
    {
        JournalUploadOptions options;
        options.target = target();
        return std::make_unique<JournalUploadSink>(executor_, options, clock_);
    }
    void render(std::string& out, std::uint64_t n) const override { out += fmt::format("N=#{}#\n\n", n); }

private:
    WebReply good(const WebRequest&) override { return says(202, "OK.\n"); }
};

inline StreamTarget stream_to(const Listening& server, const Pki& pki, bool secure)
{
    StreamTarget target;
    target.host = "127.0.0.1";
    target.port = server.port();
    target.secure = secure;
    target.tls = pki.trusting(true);
    return target;
}

class Beats final : public FarSide {
public:
    Beats(const Executor& executor, bool secure)
      : secure_{secure}
      , server_{executor, secure ? pki_.context("server") : net::TlsContext{}}
    {
        can_refuse = can_be_busy = false;
    }
    std::unique_ptr<Sink> sink() override
    {
        LumberjackOptions options;
        options.target = stream_to(server_, pki_, secure_);
        options.timeout = 60s;
        return std::make_unique<LumberjackSink>(options, clock_);
    }
    void set(Mood mood) override
    {
        server_.how = [mood](std::uint32_t count) -> BeatsServer::Act {
            if (mood == Mood::silent) return {"", Then::hang};
            if (mood == Mood::dropping) return {"2A\0\0"s, Then::close};
            return {ack(count)};
        };
    }
    Task<Numbers> taken(std::size_t) override
    {
        Numbers all;
        for (const auto& record : server_.records)
            find_numbers(record, all);
        co_return all;
    }
    void die() override { server_.die(); }
    Task<> stop() override { co_await server_.stop(); }

private:
    Pki pki_;
    bool secure_;
    BeatsServer server_;
};

class Syslog final : public FarSide {
public:
    Syslog(const Executor& executor, bool secure)
      : secure_{secure}
      , server_{executor, secure ? pki_.context("server") : net::TlsContext{}}
    {
        can_refuse = can_be_busy = false;
        best_effort = true;
        padding = 5'000'000;  // beyond what the kernels hold, so that not reading is felt
    }
    std::unique_ptr<Sink> sink() override
    {
        SyslogSinkOptions options;
        options.target = stream_to(server_, pki_, secure_);
        options.timeout = 60s;
        return std::make_unique<SyslogSink>(options, clock_);
    }
    void render(std::string& out, std::uint64_t n) const override
    {
        const auto message = fmt::format("<30>1 - - - - - - #{}#", n);
        out += fmt::format("{} {}", message.size() + pad, message) + std::string(pad, 'x');
    }
    void set(Mood mood) override
    {
        server_.reads = mood != Mood::silent;
        server_.closes_after = mood == Mood::dropping ? 1 : SIZE_MAX;
        pad = mood == Mood::well ? 0 : padding;
    }
    Task<Numbers> taken(std::size_t count) override
    {
        co_await comes_true([&] { return server_.messages.size() >= count; });
        Numbers all;
        for (const auto& message : server_.messages)
            find_numbers(message, all);
        co_return all;
    }
    void die() override { server_.die(); }
    Task<> stop() override { co_await server_.stop(); }

private:
    Pki pki_;
    bool secure_;
    SyslogServer server_;
    std::size_t pad = 0;
};

class Kafka final : public FarSide {
public:
    explicit Kafka(const Executor& executor) : executor_{executor}
    {
        cluster_.topic("logs", 1);
        tries_by_itself = true;
    }
    std::unique_ptr<Sink> sink() override
    {
        KafkaSinkOptions options;
        options.topic = "logs";
        options.settings.brokers = cluster_.brokers();
        options.settings.delivery_timeout = tries_for;
        options.settings.linger = 1ms;
        return std::make_unique<KafkaSink>(executor_, options);
    }
    void render(std::string& out, std::uint64_t n) const override
    {
        append_kafka_key(out, "");
        FarSide::render(out, n);
    }
    void set(Mood mood) override
    {
        cluster_.heal();
        if (mood_ == Mood::silent) {  // what is slow stays so on connections that are there
            cluster_.slow(0ms);
            cluster_.down();
            cluster_.up();
        }
        mood_ = mood;
        if (mood == Mood::silent) cluster_.slow(30s);
        if (mood == Mood::dropping) cluster_.fail({RD_KAFKA_RESP_ERR__TRANSPORT});
        if (mood == Mood::busy) cluster_.fail({RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS});
        if (mood == Mood::refusing) cluster_.fail({RD_KAFKA_RESP_ERR_INVALID_RECORD});
    }
    Task<Numbers> taken(std::size_t count) override
    {
        Numbers all;
        for (const auto& got : cluster_.read("logs", count))
            find_numbers(got.value, all);
        co_return all;
    }
    void die() override { cluster_.down(); }
    Task<> stop() override { co_return; }

private:
    Executor executor_;
    MockCluster cluster_;
    Mood mood_ = Mood::well;
};

struct Speaker {
    std::string name;
    std::function<std::unique_ptr<FarSide>(const Executor&)> far_side;
    friend void PrintTo(const Speaker& one, std::ostream* out) { *out << one.name; }
};

template <class Far, class... Args>
Speaker speaker(std::string name, Args... args)
{
    return {std::move(name), [args...](const Executor& executor) -> std::unique_ptr<FarSide> {
                return std::make_unique<Far>(executor, args...);
            }};
}

/// One of each.
inline auto all_speakers()
{
    return ::testing::Values(speaker<Splunk>("SplunkHec", net::TlsContext{}, false),
                             speaker<Splunk>("SplunkHecAcknowledged", net::TlsContext{}, true),
                             speaker<Logstash>("LogstashArray", false),
                             speaker<Logstash>("LogstashLines", true), speaker<Beats>("Lumberjack", false),
                             speaker<Beats>("LumberjackTls", true), speaker<Syslog>("Syslog", false),
                             speaker<Syslog>("SyslogTls", true), speaker<JournalRemote>("JournalUpload"),
                             speaker<Kafka>("Kafka"));
}

}  // namespace opsd::test
