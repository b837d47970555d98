#include "modules/dcos/secrets.hpp"

#include <algorithm>
#include <utility>

namespace opsd::dcos {
namespace {

constexpr std::size_t longest_secret = 1024;  // of user and password; beyond, it is none
constexpr std::string_view replacement = "[redacted]@";

/// What no user and password has, in a URL or a JSON text.
bool ends_user(char c)
{
    return c == '/' || c == '"' || c == '?' || c == '#' || static_cast<unsigned char>(c) <= ' ';
}

}  // namespace

std::string AddressSecrets::pass(std::string_view piece)
{
    std::string out;
    out.reserve(piece.size());
    while (!piece.empty()) {
        if (state_ == State::text) {
            const auto plain = std::min(piece.find(':'), piece.size());
            out.append(piece.substr(0, plain));
            piece.remove_prefix(plain);
            if (piece.empty()) break;
        }
        take(piece.front(), out);
        piece.remove_prefix(1);
    }
    return out;
}

std::string AddressSecrets::end()
{
    state_ = State::text;
    return std::exchange(held_, {});
}

void AddressSecrets::take(char c, std::string& out)
{
    if (state_ == State::user) return take_user(c, out);
    out += c;
    switch (state_) {
    case State::colon:
        state_ = c == '/' ? State::slash : c == '\\' ? State::escape1 : State::text;
        break;
    case State::escape1:
        state_ = c == '/' ? State::slash : State::text;
        break;
    case State::slash:
        state_ = c == '/' ? State::user : c == '\\' ? State::escape2 : State::text;
        break;
    case State::escape2:
        state_ = c == '/' ? State::user : State::text;
        break;
    default:
        state_ = State::text;
        break;
    }
    if (state_ == State::text && c == ':') state_ = State::colon;
}

void AddressSecrets::take_user(char c, std::string& out)
{
    if (c == '@') {
        out += replacement;
        held_.clear();
        ++taken_out_;
        state_ = State::text;
        return;
    }
    held_ += c;
    if (!ends_user(c) && held_.size() < longest_secret) return;
    out += std::exchange(held_, {});
    state_ = State::text;
}

}  // namespace opsd::dcos
