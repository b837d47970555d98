#include "io/kafka/handle.hpp"

#include <librdkafka/rdkafka.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace opsd::kafka {
namespace {

using Conf = std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)>;

/// What matters comes as an event too; the rest is about librdkafka's inside.
void no_log(const rd_kafka_t*, int, const char*, const char*) {}

Result<Conf> configure(const Settings& settings)
{
    Conf conf{rd_kafka_conf_new(), rd_kafka_conf_destroy};
    std::array<char, 512> why{};
    for (const auto& [name, value] : properties_of(settings)) {
        const auto set = rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), why.data(), why.size());
        if (set == RD_KAFKA_CONF_OK) continue;
        const bool secret = name == "sasl.password";  // the reason may quote the value
        return fail(Errc::invalid_argument,
                    "cannot set up the Kafka producer: "
                        + (secret ? "its password is unusable" : std::string{why.data()}));
    }
    rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    rd_kafka_conf_set_log_cb(conf.get(), no_log);
    return conf;
}

}  // namespace

Handle::~Handle()
{
    if (queue != nullptr) {
        rd_kafka_queue_io_event_enable(queue, -1, nullptr, 0);
        rd_kafka_queue_destroy(queue);
    }
    if (client != nullptr) {
        rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(client);
    }
    if (event >= 0) ::close(event);
}

Result<std::unique_ptr<Handle>> open_handle(const Settings& settings)
{
    auto conf = configure(settings);
    if (!conf) return fail(std::move(conf).error());
    auto handle = std::make_unique<Handle>();
    handle->event = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (handle->event < 0) {
        return fail(Errc::internal, "cannot open a descriptor for the Kafka producer: "
                                        + std::generic_category().message(errno));
    }
    std::array<char, 512> why{};
    handle->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf->get(), why.data(), why.size());
    if (handle->client == nullptr)
        return fail(Errc::invalid_argument, "cannot set up the Kafka producer: " + std::string{why.data()});
    [[maybe_unused]] const auto* of_the_client = conf->release();
    handle->queue = rd_kafka_queue_get_main(handle->client);
    const std::uint64_t one = 1;
    rd_kafka_queue_io_event_enable(handle->queue, handle->event, &one, sizeof one);
    return handle;
}

}  // namespace opsd::kafka
