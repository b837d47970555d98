#pragma once
// Takes user and password out of addresses in a text that comes in pieces: Mesos shows its --zk setting in
// /state, whoever asks. Pure.

#include <cstdint>
#include <string>
#include <string_view>

namespace opsd::dcos {

/// "zk://user:password@host/path" becomes "zk://[redacted]@host/path", also where the pieces part it, and in
/// JSON that writes "\/". Everything else stays as it is.
class AddressSecrets {
public:
    /// What of the text so far can be said.
    [[nodiscard]] std::string pass(std::string_view piece);
    /// What was kept back, at the end.
    [[nodiscard]] std::string end();
    [[nodiscard]] std::uint64_t taken_out() const noexcept { return taken_out_; }

private:
    /// How much of "://" (or ":\/\/") has come.
    enum class State { text, colon, escape1, slash, escape2, user };
    void take(char c, std::string& out);
    void take_user(char c, std::string& out);

    State state_ = State::text;
    std::string held_;  // of what may be user and password
    std::uint64_t taken_out_ = 0;
};

}  // namespace opsd::dcos
