#pragma once
// A Kafka producer: librdkafka behind coroutines.
//
// In: messages. Out: a delivery report for each. Promises: idempotent and acknowledged by all in-sync
// replicas; each message is reported within the delivery timeout; nothing waits for a broker on the event
// loop: librdkafka has threads of its own, its reports wake the loop through an eventfd, and a producer is
// made and closed on a thread.

#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::kafka {

struct Settings {
    std::string brokers;                     ///< "host:9092,host:9092": some of the cluster
    std::string client_id = "opsd";          ///< what the brokers log and limit by
    bool secure = false;                     ///< TLS; chain and host name are verified
    std::string ca_file;                     ///< "": the system's
    std::string certificate_file, key_file;  ///< for brokers that ask for a certificate
    bool verify = true;
    std::string mechanism;            ///< PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; "": no SASL
    std::string user, password;       ///< of SASL; the password is never shown
    std::string compression = "lz4";  ///< none, gzip, snappy, lz4, zstd
    std::chrono::milliseconds delivery_timeout{50'000};  ///< of a message, with all its repetitions
    std::chrono::milliseconds linger{5};                 ///< a message waits so long for others to go with it
    std::size_t message_bytes = 1'000'000;               ///< larger messages are refused here
    std::size_t queue_messages = 10'000;                 ///< that librdkafka holds at most
    std::size_t queue_bytes = 16'000'000;                ///< the same in bytes; two messages at least
};

/// The settings as librdkafka's properties. Has the password in it.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> properties_of(const Settings& settings);

struct Message {
    std::string_view topic;
    std::string_view key;  ///< messages of one key keep their order; "": any partition
    std::string_view id;   ///< sent as the header "opsd_id", so that a repetition can be told
    std::string_view value;
    std::int64_t time = 0;  ///< milliseconds since the epoch
};

/// What became of a message.
enum class Outcome : std::uint8_t {
    delivered,
    retry,      ///< not in time, or not now
    too_large,  ///< for the brokers, alone or with the others of its batch
    refused,    ///< never
    suspect,    ///< refused with all others of its broker's batch, because of one of them
    kept,       ///< until somebody changes something: credentials, rights, topic
};

struct Report {
    Outcome outcome = Outcome::retry;
    std::string reason;  ///< "" when delivered
};

/// Of an error code of librdkafka.
[[nodiscard]] Outcome outcome_of(int code) noexcept;

class Producer {
public:
    Producer(Executor executor, Settings settings);
    ~Producer();
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;

    /// Hands all over and waits for the report of each, in their order. Several may be at it. Cancelled, it
    /// forgets them; some may be delivered nevertheless. Errc::invalid_argument: the settings make no
    /// producer.
    Task<Result<std::vector<Report>>> send(std::span<const Message> messages);

    /// Messages without a report, also those that were forgotten.
    [[nodiscard]] std::size_t outstanding() const noexcept;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace opsd::kafka
