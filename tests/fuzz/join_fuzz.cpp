// What a machine that is not of the cluster yet may send: the body of a join, and the request for a
// certificate in it. Whatever is accepted has names that a certificate may carry, and a certificate can be
// made of it.

#include "modules/pki/body.hpp"
#include "modules/pki/policy.hpp"

#include <openssl/bio.h>
#include <openssl/pem.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace {

using namespace opsd;
using namespace opsd::pki;

void must(bool good)
{
    if (!good) std::abort();
}

/// The bytes as DER behind PEM, so that the fuzzer need not learn base64.
std::string as_pem(const std::string& der, const char* kind)
{
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio{BIO_new(BIO_s_mem()), BIO_free};
    PEM_write_bio(bio.get(), kind, "", reinterpret_cast<const unsigned char*>(der.data()),
                  static_cast<long>(der.size()));
    char* text = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

void try_request(const std::string& pem)
{
    static const auto authority = *found_cluster("dc1", WallTime{std::chrono::hours{24 * 20'000}});
    const auto request = read_request(pem);
    const Applicant applicant{pem, "198.18.0.3", {{"master"}, {"198.18.0.2"}}, ""};
    const auto issued =
        issue(authority, applicant, WallTime{std::chrono::hours{24 * 20'001}}, std::chrono::hours{24});
    must(request.has_value() || !issued.has_value());
    if (!request) return;
    must(valid_host_name(request->name));
    must(request->names.hosts.size() <= max_names && request->names.addresses.size() <= max_names);
    for (const auto& host : request->names.hosts)
        must(valid_host_name(host));
    for (const auto& address : request->names.addresses)
        must(canonical_address(address) == address);
    if (!issued) return;
    must(issued->says.parts.organisation == node_organisation && issued->says.parts.unit == "dc1");
    must(!issued->says.authority && issued->says.names.hosts.front() != "master");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string bytes{reinterpret_cast<const char*>(data), size};
    if (const auto body = parse_join(bytes)) try_request(body->request);
    (void)parse_token(bytes);
    if (const auto body = parse_renew(bytes)) (void)inspect(body->certificate);
    if (size > 8 * 1024) return 0;
    try_request(as_pem(bytes, "CERTIFICATE REQUEST"));
    const auto says = inspect(as_pem(bytes, "CERTIFICATE"));
    if (says) must(says->names.hosts.size() <= max_names);
    return 0;
}
