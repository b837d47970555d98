#pragma once
// Several nodes whose answers are merged.

#include "other_nodes.hpp"

namespace opsd::logs::test {

inline const std::string all = "/api/v1/logs?node=all";

/// A line as the node writes it; `at` in seconds.
inline std::string line(int at, const std::string& cursor = {})
{
    const auto number = std::to_string(at);
    return R"({"fields":{"MESSAGE":"message )" + number + R"(","_HOSTNAME":"h","PRIORITY":"6"},"cursor":")"
           + (cursor.empty() ? cursor_at(static_cast<std::uint64_t>(at)) : cursor)
           + R"(","monotonic_timestamp":1,"realtime_timestamp":)" + number + "000000}";
}

inline std::string document(const std::vector<int>& times, const std::string& cursor = cursor_at(77))
{
    std::string text = "{\"entries\":[";
    for (const auto at : times)
        text += (text.ends_with('[') ? "\n" : ",\n") + line(at);
    return text + "\n],\"cursor\":\"" + cursor + "\"}\n";
}

class LogsMany : public LogsCluster {
protected:
    /// The next answer of the node is a document with these.
    std::shared_ptr<Script> past(const std::string& address, const std::vector<int>& times)
    {
        auto one = script(address);
        one->pieces = {document(times)};
        return one;
    }
    std::shared_ptr<Script> follow(const std::string& address)
    {
        auto one = script(address);
        one->ends = false;
        return one;
    }
    [[nodiscard]] std::string asked_of(const std::string& address, std::size_t which = 0) const
    {
        for (const auto& one : asked)
            if (one.address == address && which-- == 0) return one.request.url;
        return "(nothing)";
    }
    /// The last id of what a client got.
    static std::string last_id(const std::string& text)
    {
        const auto at = text.rfind("id: ") + 4;
        return text.substr(at, text.find('\n', at) - at);
    }
};

}  // namespace opsd::logs::test
