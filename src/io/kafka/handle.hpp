#pragma once
// One librdkafka producer and the descriptor it wakes us by. Private to this folder.

#include "io/kafka/producer.hpp"

#include <memory>

// librdkafka's own names, so that its header stays in .cpp files.
struct rd_kafka_s;        // NOLINT
struct rd_kafka_queue_s;  // NOLINT

namespace opsd::kafka {

/// Closing it waits for librdkafka's threads: for a worker's thread.
struct Handle {
    Handle() = default;
    ~Handle();
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    rd_kafka_s* client = nullptr;
    rd_kafka_queue_s* queue = nullptr;  ///< reports and errors
    int event = -1;                     ///< readable when something came into the queue
};

/// Errc::invalid_argument with librdkafka's reason, internal when this machine has no descriptors left.
Result<std::unique_ptr<Handle>> open_handle(const Settings& settings);

}  // namespace opsd::kafka
