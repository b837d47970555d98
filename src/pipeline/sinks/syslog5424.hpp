#pragma once
// Syslog by RFC 5424 over a stream, each message behind its length (RFC 6587, 3.4.1). Best effort: the far
// side acknowledges nothing, so what is in its buffers when a connection breaks is lost unnoticed. Pure.

#include "pipeline/sinks/ecs.hpp"

#include <string>

namespace opsd::pipeline {

struct SyslogOptions {
    /// 32473 is the number of examples (RFC 5612); an organisation may put its own.
    std::string enterprise = "32473";
    Labels labels;
};

/// One message a record; what is sent is joined().
class SyslogWriter final : public systemd::EntryWriter {
public:
    explicit SyslogWriter(SyslogOptions options);
    bool write(const systemd::JournalEntry& entry, std::string& out) override;

private:
    std::string data_;  ///< structured data up to the id
    std::string message_;
    std::string id_;
    Stamp stamp_;
};

}  // namespace opsd::pipeline
