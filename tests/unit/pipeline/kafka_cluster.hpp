#pragma once
// A Kafka cluster in this process: librdkafka's mock brokers, on loopback, with faults at will.

#include "io/kafka/producer.hpp"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace opsd::test {

/// A message as a consumer gets it.
struct Got {
    std::string key;
    std::string value;
    std::string id;  ///< the header "opsd_id"
    std::int64_t time = 0;
    int partition = 0;
};

class MockCluster {
public:
    explicit MockCluster(int brokers = 1) : client_{make(RD_KAFKA_PRODUCER, {})}
    {
        cluster_ = rd_kafka_mock_cluster_new(client_.get(), brokers);
        EXPECT_NE(cluster_, nullptr);
    }
    ~MockCluster() { rd_kafka_mock_cluster_destroy(cluster_); }
    MockCluster(const MockCluster&) = delete;
    MockCluster& operator=(const MockCluster&) = delete;

    [[nodiscard]] std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
    void topic(const std::string& name, int partitions)
    {
        rd_kafka_mock_topic_create(cluster_, name.c_str(), partitions, 1);
    }
    /// The next requests to produce fail so, one after another.
    void fail(const std::vector<rd_kafka_resp_err_t>& errors)
    {
        rd_kafka_mock_push_request_errors_array(cluster_, produce, errors.size(), errors.data());
    }
    void heal() { rd_kafka_mock_clear_request_errors(cluster_, produce); }
    void down() { rd_kafka_mock_broker_set_down(cluster_, -1); }
    void up() { rd_kafka_mock_broker_set_up(cluster_, -1); }
    void slow(std::chrono::milliseconds answer)
    {
        rd_kafka_mock_broker_set_rtt(cluster_, -1, static_cast<int>(answer.count()));
    }

    /// What is in a topic: until `count` messages were read, or nothing more comes for a while. Blocks.
    [[nodiscard]] std::vector<Got> read(const std::string& topic, std::size_t count, int partitions = 1) const
    {
        const auto consumer = make(RD_KAFKA_CONSUMER, brokers());
        rd_kafka_poll_set_consumer(consumer.get());
        auto* places = rd_kafka_topic_partition_list_new(partitions);
        for (int i = 0; i < partitions; ++i)
            rd_kafka_topic_partition_list_add(places, topic.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_assign(consumer.get(), places);
        rd_kafka_topic_partition_list_destroy(places);
        std::vector<Got> all;
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
        while (std::chrono::steady_clock::now() < end) {
            const int patience = all.size() < count ? 1'000 : 200;
            auto* message = rd_kafka_consumer_poll(consumer.get(), patience);
            if (message == nullptr && all.size() >= count) break;
            if (message == nullptr) continue;
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) all.push_back(got(*message));
            rd_kafka_message_destroy(message);
        }
        rd_kafka_consumer_close(consumer.get());
        return all;
    }

private:
    static constexpr std::int16_t produce = 0;
    using Client = std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)>;

    static void no_log(const rd_kafka_t*, int, const char*, const char*) {}

    static Client make(rd_kafka_type_t type, const std::string& brokers)
    {
        std::array<char, 256> why{};
        auto* conf = rd_kafka_conf_new();
        rd_kafka_conf_set_log_cb(conf, no_log);
        const auto set = [&](const char* name, const std::string& value) {
            EXPECT_EQ(rd_kafka_conf_set(conf, name, value.c_str(), why.data(), why.size()), RD_KAFKA_CONF_OK)
                << why.data();
        };
        if (!brokers.empty()) set("bootstrap.servers", brokers);
        if (type == RD_KAFKA_CONSUMER) set("group.id", "test");
        Client client{rd_kafka_new(type, conf, why.data(), why.size()), rd_kafka_destroy};
        EXPECT_NE(client, nullptr) << why.data();
        return client;
    }

    static Got got(const rd_kafka_message_t& message)
    {
        const auto text = [](const void* bytes, std::size_t size) {
            return bytes == nullptr ? std::string{} : std::string{static_cast<const char*>(bytes), size};
        };
        Got one;
        one.key = text(message.key, message.key_len);
        one.value = text(message.payload, message.len);
        one.partition = message.partition;
        one.time = rd_kafka_message_timestamp(&message, nullptr);
        rd_kafka_headers_t* headers = nullptr;
        const void* id = nullptr;
        std::size_t size = 0;
        if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR
            && rd_kafka_header_get_last(headers, "opsd_id", &id, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
            one.id = text(id, size);
        return one;
    }

    Client client_;
    rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

}  // namespace opsd::test
