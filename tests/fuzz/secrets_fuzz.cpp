// Secrets in texts of any bytes: each lies in the text, behind the one before; what was asked for is gone.

#include "pipeline/known_secrets.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

using namespace opsd::pipeline;

namespace {

void lie_within(std::string_view text, SecretText kind)
{
    std::size_t from = 0;
    while (const auto secret = next_secret(text, from, kind)) {
        if (secret->begin < from || secret->begin >= secret->end || secret->end > text.size()) std::abort();
        from = secret->end;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text{reinterpret_cast<const char*>(data), size};
    lie_within(text, SecretText::prose);
    lie_within(text, SecretText::environment);
    if (names_a_secret({}, text)) std::abort();
    static_cast<void>(names_a_secret(text, text));
    // Whatever stood before it on other lines does not hide a secret.
    const auto planted = text + "\n\"'\n db_password='hunter2'";
    std::size_t from = 0;
    std::string rest;
    while (const auto secret = next_secret(planted, from)) {
        rest.append(planted, from, secret->begin - from);
        from = secret->end;
    }
    rest.append(planted, from);
    if (text.find("hunter2") == std::string::npos && rest.ends_with("='hunter2'")) std::abort();
    return 0;
}
