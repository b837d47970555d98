#include "modules/pki/files.hpp"

#include "io/files/files.hpp"

#include <fmt/format.h>

namespace opsd::pki {
namespace {

Result<std::string> read(const std::string& path, std::string_view what_to_do)
{
    auto text = files::read_file(path, max_pem);
    if (!text && text.error().code == Errc::not_found)
        return fail(Errc::not_found, fmt::format("cannot read {}: it is not there; {}", path, what_to_do));
    return text;
}

constexpr std::string_view no_cluster = "this node is in no cluster yet: run `opsd cluster init` on the "
                                        "first node, `opsd cluster join` on others";

}  // namespace

NodeFiles::NodeFiles(std::string folder)
  : directory{std::move(folder)}
  , authority{directory + "/ca.crt"}
  , authority_key{directory + "/ca.key"}
  , certificate{directory + "/node.crt"}
  , key{directory + "/node.key"}
  , issuer{directory + "/issuer"}
{}

Result<NodeIdentityFiles> read_identity(const NodeFiles& files)
{
    auto authority = read(files.authority, no_cluster);
    if (!authority) return fail(std::move(authority).error());
    auto certificate = read(files.certificate, no_cluster);
    if (!certificate) return fail(std::move(certificate).error());
    return NodeIdentityFiles{std::move(*authority), std::move(*certificate)};
}

Result<Authority> read_authority(const NodeFiles& files)
{
    auto key = read(files.authority_key, "ask the node on which `opsd cluster init` was run");
    if (!key) return fail(std::move(key).error());
    auto certificate = read(files.authority, no_cluster);
    if (!certificate) return fail(std::move(certificate).error());
    return Authority{std::move(*key), std::move(*certificate)};
}

Result<std::string> read_issuer(const NodeFiles& files)
{
    auto text = read(files.issuer, no_cluster);
    if (!text) return text;
    text->erase(text->find_last_not_of(" \r\n\t") + 1);
    if (!text->starts_with("https://"))
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use {}: it must hold an https:// URL", files.issuer));
    return text;
}

}  // namespace opsd::pki
