// What comes from clients and from Mesos on its way through module dcos. The first byte says what it is: j
// and p an operator call (JSON, protobuf), f an answer to GET_FRAMEWORKS, anything else a text with
// addresses.

#include "io/net/url.hpp"
#include "modules/dcos/calls.hpp"
#include "modules/dcos/marathon.hpp"
#include "modules/dcos/secrets.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace opsd::dcos;

void demand(bool truth)
{
    if (!truth) std::abort();
}

void check_error(const opsd::Error& error)
{
    demand(error.message.starts_with("cannot ") && error.message.size() < 2'000);
    demand(std::ranges::all_of(error.message, [](char c) { return c >= ' ' && c <= '~'; }));
}

/// The type that protobuf's own reader would see, the last one; 0 when it is not told.
std::uint64_t last_type(std::string_view body)
{
    const auto varint = [&body] {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && !body.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(body.front());
            body.remove_prefix(1);
            value |= std::uint64_t{byte & 0x7fU} << shift;
            if (byte < 0x80) break;
        }
        return value;
    };
    std::uint64_t type = 0;
    while (!body.empty()) {
        const auto tag = varint();
        const auto wire = tag & 7U;
        std::uint64_t skip = wire == 1 ? 8 : wire == 5 ? 4 : 0;
        if (wire == 0) {
            const auto value = varint();
            if (tag >> 3U == 1) type = value;
        } else if (wire == 2) {
            skip = varint();
        }
        body.remove_prefix(static_cast<std::size_t>(std::min<std::uint64_t>(skip, body.size())));
    }
    return type;
}

void check_text(std::string_view text)
{
    AddressSecrets whole;
    auto at_once = whole.pass(text);
    at_once += whole.end();
    AddressSecrets parted;
    std::string in_pieces;
    for (std::size_t at = 0; at < text.size(); at += 3)
        in_pieces += parted.pass(text.substr(at, 3));
    in_pieces += parted.end();
    demand(at_once == in_pieces && whole.taken_out() == parted.taken_out());
    demand(whole.taken_out() > 0 || at_once == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string text{reinterpret_cast<const char*>(data) + 1, size - 1};
    if (data[0] == 'j' || data[0] == 'p') {
        const auto form = data[0] == 'j' ? CallForm::json : CallForm::protobuf;
        const auto call = reading_call(form, text);
        if (!call) {
            check_error(call.error());
            return 0;
        }
        demand(call->starts_with("GET_") && *call != "GET_FLAGS");
        if (form == CallForm::protobuf) {
            const auto type = last_type(text);
            demand(type >= 1 && type <= 17 && type != 2 && type != 6 && type != 7 && type != 8 && type != 16);
        }
    } else if (data[0] == 'f') {
        const auto url = webui_of(text, "marathon");
        if (url)
            demand(opsd::net::parse_url(*url).has_value() && !url->ends_with('/'));
        else
            check_error(url.error());
    } else {
        check_text(text);
    }
    return 0;
}
