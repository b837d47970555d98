#pragma once
// The journal export format, as systemd-journal-remote takes it: every field with all its bytes. Pure.

#include "io/systemd/journal_entry.hpp"

#include <string>

namespace opsd::pipeline {

/// One entry a record; what is sent is joined().
class ExportWriter final : public systemd::EntryWriter {
public:
    bool write(const systemd::JournalEntry& entry, std::string& out) override;
};

}  // namespace opsd::pipeline
