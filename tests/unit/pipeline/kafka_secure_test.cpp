// Kafka behind TLS and passwords: librdkafka's mock brokers know neither, so somebody stands in front of them
// who does.

#include "core/first_of.hpp"
#include "kafka_cluster.hpp"
#include "pipeline/sinks/kafka_record.hpp"
#include "pipeline/sinks/kafka_sink.hpp"
#include "wire.hpp"

#include <set>

using namespace opsd;
using namespace opsd::test;

namespace {

constexpr auto patience = 300s;
constexpr int sasl_handshake = 17;
constexpr int api_versions = 18;
constexpr int sasl_authenticate = 36;
constexpr int authentication_failed = 58;
constexpr int unsupported_version = 35;

std::string big_endian(std::uint64_t number, unsigned bytes)
{
    std::string text;
    for (auto shift = 8 * bytes; shift > 0; shift -= 8)
        text += static_cast<char>(number >> (shift - 8) & 0xffU);
    return text;
}

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t size)
{
    std::uint32_t value = 0;
    for (const char c : bytes.substr(at, size))
        value = value << 8U | static_cast<unsigned char>(c);
    return value;
}

std::string text_of(std::string_view text) { return big_endian(text.size(), 2).append(text); }

/// Passes what is said on to a broker and back, over TLS and with a password on this side. Clients are told
/// that the broker is here.
class Guard final : public Listening {
public:
    /// `login`: what PLAIN has to say, "\0user\0password"; "": nobody is asked.
    Guard(const Executor& executor, const MockCluster& cluster, net::TlsContext tls, std::string login)
      : Listening{executor, std::move(tls)}
      , login_{std::move(login)}
    {
        const auto brokers = cluster.brokers();
        broker_ = static_cast<std::uint16_t>(std::stoul(brokers.substr(brokers.rfind(':') + 1)));
    }
    std::string said;         ///< the last login
    std::uint64_t early = 0;  ///< requests before one was taken

private:
    /// One client.
    struct Talk {
        net::Transport& client;
        net::Transport& broker;
        bool known;
        std::map<std::uint32_t, std::uint32_t>
            versions_asked{};  ///< which version of that, by correlation id
    };

    Task<> serve(net::Transport& client) override
    {
        const auto executor = co_await asio::this_coro::executor;
        auto there = net::ip_endpoint("127.0.0.1", broker_);
        if (!there) co_return;
        const auto until = std::chrono::steady_clock::now() + 60s;
        const auto fd = co_await net::connect_socket(std::move(*there), until);
        if (!fd) co_return;
        const auto broker = net::make_socket_transport(executor, *fd);
        Talk talk{client, *broker, login_.empty()};
        co_await first_of(requests(talk), answers(talk));
    }

    /// A message behind its length; "" at the end.
    Task<std::string> message(net::Transport& from, std::string& text)
    {
        bool whole = co_await fill(from, text, 4);
        const std::size_t size = whole ? 4 + number_at(text, 0, 4) : 0;
        if (whole) whole = co_await fill(from, text, size);
        std::string one = whole ? text.substr(4, size - 4) : std::string{};
        text.erase(0, size);
        co_return one;
    }
    static Task<> pass_on(net::Transport& to, std::string one)
    {
        const auto size = big_endian(one.size(), 4);
        [[maybe_unused]] auto written = co_await to.write_all(size, one);
    }

    Task<> requests(Talk& talk)
    {
        std::string text;
        for (;;) {
            auto one = co_await message(talk.client, text);
            if (one.size() < 8) co_return;
            const auto what = number_at(one, 0, 2);
            if (what == api_versions) talk.versions_asked[number_at(one, 4, 4)] = number_at(one, 2, 2);
            if (what == sasl_handshake || what == sasl_authenticate) {
                auto reply = one.substr(4, 4) + login_answer(talk, one, what == sasl_handshake);
                co_await pass_on(talk.client, std::move(reply));
                continue;
            }
            early += talk.known || what == api_versions ? 0U : 1U;
            co_await pass_on(talk.broker, std::move(one));
        }
    }
    std::string login_answer(Talk& talk, const std::string& one, bool handshake)
    {
        if (handshake) return big_endian(0, 2) + big_endian(1, 4) + text_of("PLAIN");
        const auto name = number_at(one, 8, 2);
        said = one.substr(14 + name);  // behind the client's name and a length
        talk.known = said == login_;
        if (talk.known) return big_endian(0, 2) + big_endian(0xffff, 2) + big_endian(0, 4);
        return big_endian(authentication_failed, 2) + text_of("no such user here") + big_endian(0, 4);
    }

    Task<> answers(Talk& talk)
    {
        std::string text;
        const auto place = "127.0.0.1" + big_endian(broker_, 4);
        for (;;) {
            auto one = co_await message(talk.broker, text);
            if (one.empty()) co_return;
            for (auto at = one.find(place); at != std::string::npos; at = one.find(place, at + 1))
                one.replace(at + place.size() - 4, 4, big_endian(port(), 4));
            const auto asked = talk.versions_asked.find(number_at(one, 0, 4));
            if (asked != talk.versions_asked.end() && !login_.empty()) add_logins(one, asked->second);
            co_await pass_on(talk.client, std::move(one));
        }
    }
    /// To the list of what the broker can do: that there are logins.
    static void add_logins(std::string& one, std::uint32_t version)
    {
        const bool compact = version >= 3 && number_at(one, 4, 2) != unsupported_version;
        for (const auto& [what, highest] : {std::pair{sasl_handshake, 1}, std::pair{sasl_authenticate, 0}}) {
            auto entry = big_endian(static_cast<unsigned>(what), 2) + big_endian(0, 2)
                         + big_endian(static_cast<unsigned>(highest), 2);
            if (compact) {
                entry += '\0';
                one[6] = static_cast<char>(one[6] + 1);  // fewer than 127
                one.insert(7, entry);
            } else {
                one.replace(6, 4, big_endian(number_at(one, 6, 4) + 1, 4));
                one.insert(10, entry);
            }
        }
    }

    std::string login_;
    std::uint16_t broker_ = 0;
};

const std::string login = "\0opsd\0open sesame"s;

struct SecureKafkaRig {
    SecureKafkaRig(const Executor& executor, net::TlsContext tls, std::string wanted)
      : guard{executor, cluster, tls, std::move(wanted)}
      , on{executor}
    {
        cluster.topic("logs", 1);
        options.topic = "logs";
        options.settings.brokers = "127.0.0.1:" + std::to_string(guard.port());
        options.settings.secure = tls != nullptr;
        options.settings.delivery_timeout = 30s;
        options.settings.linger = 1ms;
    }
    void log_in(const std::string& password)
    {
        options.settings.mechanism = "PLAIN";
        options.settings.user = "opsd";
        options.settings.password = password;
    }
    Task<Verdict> send()
    {
        if (!sink_) sink_ = std::make_unique<KafkaSink>(on, options);
        const auto render = [](std::string& out, std::uint64_t n) {
            append_kafka_key(out, "");
            as_document(out, n);
        };
        const auto batch = batch_of(1, 3, render);
        co_return co_await sink_->send(batch);
    }
    Task<> expect_arrival()
    {
        const auto verdict = co_await send();
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        EXPECT_EQ(cluster.read("logs", 3).size(), 3U);
        EXPECT_EQ(guard.early, 0U);
        sink_.reset();
        co_await guard.stop();
    }

    MockCluster cluster;
    Guard guard;
    KafkaSinkOptions options;
    Executor on;

private:
    std::unique_ptr<KafkaSink> sink_;
};

}  // namespace

TEST(KafkaSecurity, RecordsArriveOverTlsAndTheClientShowsItsCertificate)
{
    run(
        []() -> Task<> {
            const Pki pki;
            SecureKafkaRig rig{co_await asio::this_coro::executor, pki.context("server"), ""};
            rig.options.settings.ca_file = pki.folder / "ca.pem";
            rig.options.settings.certificate_file = pki.folder / "client.pem";
            rig.options.settings.key_file = pki.folder / "client.key";
            co_await rig.expect_arrival();
            EXPECT_EQ(rig.guard.peer, "CN=node-7,O=opsd");
        },
        patience);
}

TEST(KafkaSecurity, APasswordIsShownToWhomItBelongsOnly)
{
    run(
        []() -> Task<> {
            const Pki pki;
            SecureKafkaRig rig{co_await asio::this_coro::executor, pki.context("server"), login};
            rig.options.settings.ca_file = pki.folder / "ca.pem";
            rig.log_in("open sesame");
            co_await rig.expect_arrival();
            EXPECT_EQ(rig.guard.said, login);
        },
        patience);
}

TEST(KafkaSecurity, ARefusedPasswordIsSaidInWordsAndNotShown)
{
    run(
        []() -> Task<> {
            SecureKafkaRig rig{co_await asio::this_coro::executor, {}, login};
            rig.log_in("open barley");
            rig.options.settings.delivery_timeout = 1'500ms;
            auto verdict = co_await rig.send();
            for (int i = 0; i < 20 && verdict.kind == Kind::retry;
                 ++i)  // a slow machine gets no answer in time
                verdict = co_await rig.send();
            EXPECT_EQ(verdict.kind, Kind::keep) << verdict.reason;
            EXPECT_TRUE(verdict.reason.contains("no such user here")) << verdict.reason;
            EXPECT_FALSE(verdict.reason.contains("barley")) << verdict.reason;
            EXPECT_EQ(rig.guard.said, "\0opsd\0open barley"s);
            EXPECT_EQ(rig.guard.early, 0U);
            co_await rig.guard.stop();
        },
        patience);
}
