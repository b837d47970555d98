#pragma once
// What a module needs to know about HTTP: requests, responses, routes. Beast stays inside src/http.

#include "opsd/async.hpp"
#include "opsd/clock.hpp"
#include "opsd/result.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::http {

enum class Method { get, head, post, put, del, options };
std::string_view to_string(Method method) noexcept;

/// Who a caller is, in ascending order of what they may do.
enum class Role {
    none,       ///< no credentials, from another machine
    local,      ///< no credentials, on loopback or the Unix socket: states, causes, metrics; no journal lines
    viewer,     ///< reads everything that is not secret
    operator_,  ///< also acknowledges, pauses, starts backups and bundles
    admin,      ///< also restores, tokens, users
};
std::string_view to_string(Role role) noexcept;  ///< "none", "local", "viewer", "operator", "admin"
std::optional<Role> parse_role(std::string_view word) noexcept;  ///< viewer, operator, admin only

/// What a route asks of its caller.
enum class Access {
    open,     ///< anybody who can connect
    local,    ///< Role::local
    read,     ///< Role::viewer
    operate,  ///< Role::operator_
    admin,    ///< Role::admin
};
std::string_view to_string(Access access) noexcept;

/// The authenticated caller.
struct Caller {
    std::string name;  ///< token name, user, certificate subject, "uid 0"; "" without credentials
    Role role = Role::none;
    std::string via;      ///< "peer", "token", "jwt", "certificate", "loopback", ""
    std::string address;  ///< of the peer, "unix" on the socket
    bool foreign =
        false;  ///< his credentials are another issuer's: to others they may be worth something, too
    [[nodiscard]] bool may_read() const noexcept { return role >= Role::viewer; }
};

/// Decoded name/value pairs in the order received.
class Params {
public:
    void add(std::string name, std::string value) { all_.emplace_back(std::move(name), std::move(value)); }
    /// The first value of that name.
    [[nodiscard]] const std::string* find(std::string_view name) const noexcept;
    [[nodiscard]] std::string_view get(std::string_view name, std::string_view otherwise = {}) const noexcept;
    [[nodiscard]] bool has(std::string_view name) const noexcept { return find(name) != nullptr; }
    [[nodiscard]] std::vector<std::string_view> every(std::string_view name) const;
    [[nodiscard]] auto begin() const noexcept { return all_.begin(); }
    [[nodiscard]] auto end() const noexcept { return all_.end(); }
    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }

private:
    std::vector<std::pair<std::string, std::string>> all_;
};

struct Request {
    Method method = Method::get;
    std::string path;    ///< percent-decoded, no query, never containing "..", "//" or a NUL
    Params path_params;  ///< "{unit}" of the pattern, decoded
    Params query;        ///< decoded
    Params headers;      ///< names in lower case
    std::string body;    ///< at most the server's body limit
    Caller caller;
    std::string id;  ///< X-Request-Id, taken from the client when it is plain, else made here
    /// What an audited call acts on beside the path's parameters, for the audit log. The handler adds names
    /// and ids, before it acts where it can; never a secret.
    mutable Params object;
};

/// His Authorization as Mesos or Marathon may see it: one of another issuer. "" for what is opsd's own (a
/// token, a login), which in other hands would be a key to opsd.
[[nodiscard]] inline std::string_view foreign_authorization(const Request& request) noexcept
{
    return request.caller.foreign ? request.headers.get("authorization") : std::string_view{};
}

/// Handed to a streaming handler.
class StreamWriter {
public:
    virtual ~StreamWriter() = default;
    /// Writes a chunk, waiting for a slow client up to the write timeout. An error means that the client is
    /// gone or the daemon is stopping, and is the handler's sign to return.
    virtual Task<Result<>> write(std::string_view chunk) = 0;
    /// Becomes true when the client closes or the daemon drains: a producer that waits for news races it.
    virtual Task<> closed() = 0;
    /// False: whatever ends the stream from now on, the client sees it torn, without its last chunk, and
    /// cannot take what it has for all there is. True takes that back. (HTTP/1.0 knows no difference.)
    virtual void set_whole(bool /*whole*/) {}
};
using Stream = std::function<Task<>(StreamWriter&)>;

/// Handed to a handler that holds its answer back until there is news (a long poll).
class Holder {
public:
    virtual ~Holder() = default;
    /// Ends when the client left or the daemon drains: nobody waits for the news any more.
    virtual Task<> closed() = 0;
};
struct Response;
/// Makes the answer later. Bounds its wait itself, and returns soon after closed().
using Hold = std::function<Task<Response>(Holder&)>;

/// An immutable body that many answers share: rendered once per version of what it shows.
struct Content {
    std::string body;
    std::string gzip;  ///< the same, compressed; empty when not worth it
    std::string etag;  ///< strong, with quotes
    std::string type = "application/json";
    std::optional<WallTime> last_modified;
};
/// Makes a Content: the ETag is a hash of the body; compressed when `compress` and larger than 1 KiB.
std::shared_ptr<Content> make_content(std::string body, std::string type = "application/json",
                                      bool compress = true);

/// An answer. Server adds Date, gzip, HEAD, Content-Length, X-Request-Id, nosniff, and 304 by the ETag and
/// the Last-Modified of the content or the headers.
struct Response {
    unsigned status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
    std::shared_ptr<const Content> content;  ///< set: body and type are taken from it
    Stream producer;                         ///< set: chunked, body unused
    Hold hold;  ///< set: its answer is sent instead of this one, unless too many streams are open
    std::vector<std::pair<std::string, std::string>> headers;  ///< extra ones

    static Response json(std::string body, unsigned status = 200);
    static Response text(std::string body, unsigned status = 200);
    static Response shared(std::shared_ptr<const Content> content);
    static Response stream(std::string type, Stream producer);
    static Response no_content();
    /// RFC 9457: {"type":"about:blank","title":...,"status":...,"detail":...}. `detail` is an Error sentence.
    static Response problem(unsigned status, std::string_view detail);
    /// The status that fits the code: 400, 404, 403, 504, 503, 502, 500. A 503 says when to come again.
    static Response problem(const Error& error);
    Response& with(std::string name, std::string value);
};

/// `id: 7\nevent: transition\ndata: {...}\n\n`; an empty `id` or `event` is left out; newlines in data are
/// split.
[[nodiscard]] std::string sse(std::string_view id, std::string_view event, std::string_view data);

using Handler = std::function<Task<Response>(const Request&)>;

/// A path or query parameter, for OpenAPI and docs/api.md.
struct Parameter {
    std::string name;
    std::string in;  ///< "path" or "query"
    std::string help;
    std::string type = "string";
};

/// One row of a module's route table. A GET row also answers HEAD. A trailing slash of the request is
/// ignored.
struct Route {
    Method method = Method::get;
    std::string pattern;  ///< "/system/health/v1/units/{unit}"; a parameter is one whole segment
    Access access = Access::read;
    std::string summary;
    Handler handler;
    std::vector<Parameter> parameters = {};
    bool audited = false;  ///< mutating calls, reads of logs: in the audit log with object and outcome
    /// Stands in for the same route of a module earlier in the catalog: what answers for the cluster replaces
    /// what answers for the node.
    bool replaces = false;
};

}  // namespace opsd::http
