#include "http/content.hpp"

#include "core/gzip.hpp"
#include "http/head.hpp"
#include "http/query.hpp"
#include "http/status.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <iterator>

namespace opsd::http {
namespace {

constexpr std::size_t gzip_from = 1024;           // below, the header costs more than it saves
constexpr std::size_t gzip_up_to = 128 * 1024;    // beyond, compressing would hold up the event loop
constexpr std::size_t pretty_up_to = 512 * 1024;  // larger ones go out as they are

using Headers = std::vector<std::pair<std::string, std::string>>;

const std::string* find(const Headers& headers, std::string_view name)
{
    for (const auto& [key, value] : headers) {
        if (same_word(key, name)) return &value;
    }
    return nullptr;
}

bool is_json(std::string_view type)
{
    return type.starts_with("application/json") || type.starts_with("application/problem+json");
}

bool is_compressible(std::string_view type)
{
    return type.starts_with("text/") || type.find("json") != std::string_view::npos
           || type.find("xml") != std::string_view::npos || type.find("javascript") != std::string_view::npos;
}

std::string pretty(std::string_view body)
{
    const auto parsed = nlohmann::ordered_json::parse(body, nullptr, false);
    if (parsed.is_discarded()) return std::string{body};
    return parsed.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// `"abc"` -> `"abc-gzip"`.
std::string with_suffix(std::string_view etag, std::string_view suffix)
{
    if (!etag.ends_with('"')) return std::string{etag};
    return fmt::format("{}{}\"", etag.substr(0, etag.size() - 1), suffix);
}

bool is_clean(std::string_view name, std::string_view value)
{
    return is_token(name) && value.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos;
}

/// Builds one answer step by step; each step narrows what is sent.
class Preparation {
public:
    Preparation(Response response, const Request* request, const Envelope& envelope)
      : response_{std::move(response)}
      , request_{request}
      , envelope_{envelope}
    {
        out_->status = response_.status;
        type_ = response_.content ? std::string_view{response_.content->type} : response_.type;
        find_modified();
    }

    std::unique_ptr<Outgoing> run()
    {
        if (!response_.producer && response_.status != 204) {
            find_version();
            if (is_unchanged())
                not_modified();
            else
                choose_body();
        }
        write_head();
        const bool head_only = request_ != nullptr && request_->method == Method::head;
        if (head_only) out_->body = {};
        return std::move(out_);
    }

private:
    [[nodiscard]] std::string_view asked(std::string_view header) const
    {
        return request_ != nullptr ? request_->headers.get(header) : std::string_view{};
    }
    [[nodiscard]] bool is_read() const
    {
        return request_ != nullptr && (request_->method == Method::get || request_->method == Method::head);
    }

    void find_modified()
    {
        const auto* given = find(response_.headers, "Last-Modified");
        if (response_.content && response_.content->last_modified)
            modified_ = std::chrono::floor<std::chrono::seconds>(*response_.content->last_modified);
        else if (given != nullptr)
            modified_ = parse_http_date(*given);
    }

    void find_version()
    {
        pretty_ = request_ != nullptr && is_json(type_) && is_set(*request_, "pretty")
                  && full_body().size() <= pretty_up_to;
        const auto* given = find(response_.headers, "ETag");
        if (response_.content)
            etag_ = response_.content->etag;
        else if (given != nullptr)
            etag_ = *given;
        if (pretty_ && !etag_.empty()) etag_ = with_suffix(etag_, "-pretty");
        const bool varies = response_.content ? !response_.content->gzip.empty() : is_dynamic_candidate();
        varies_ = varies && find(response_.headers, "Content-Encoding") == nullptr;
    }

    [[nodiscard]] bool is_dynamic_candidate() const
    {
        return is_compressible(type_) && response_.body.size() > gzip_from
               && response_.body.size() <= gzip_up_to;
    }

    [[nodiscard]] std::string_view full_body() const
    {
        return response_.content ? response_.content->body : response_.body;
    }

    [[nodiscard]] bool is_unchanged() const
    {
        if (!is_read() || response_.status != 200) return false;
        const auto if_none_match = asked("if-none-match");
        if (!if_none_match.empty()) return !etag_.empty() && etag_matches(if_none_match, etag_);
        const auto since = parse_http_date(asked("if-modified-since"));
        // A date that is yet to come was given before the clock was set back: it says nothing.
        return since && modified_ && *modified_ <= *since && *since <= parse_http_date(envelope_.date);
    }

    /// What changed within the present second may do so again: dated a second back, it will be asked for
    /// anew.
    [[nodiscard]] WallTime told_modified() const
    {
        const auto now = parse_http_date(envelope_.date);
        return now ? std::min(*modified_, *now - std::chrono::seconds{1}) : *modified_;
    }

    void not_modified()
    {
        out_->status = 304;
        // The tag of the form that a 200 would have now.
        if (varies_ && !etag_.empty() && accepts_gzip(asked("accept-encoding")))
            etag_ = with_suffix(etag_, "-gzip");
    }

    void choose_body()
    {
        const bool packed = varies_ && accepts_gzip(asked("accept-encoding"));
        if (response_.content && !pretty_) {
            out_->content = response_.content;
            out_->body = packed ? out_->content->gzip : out_->content->body;
        } else {
            out_->own = pretty_ ? pretty(full_body()) : std::move(response_.body);
            if (packed && out_->own.size() <= gzip_up_to) {
                auto small = gzip(out_->own);
                encoded_ = !small.empty();
                if (encoded_) out_->own = std::move(small);
            }
            out_->body = out_->own;
        }
        encoded_ = encoded_ || (packed && out_->content);
        if (encoded_ && !etag_.empty()) etag_ = with_suffix(etag_, "-gzip");
    }

    void line(std::string_view name, std::string_view value)
    {
        out_->head.append(name).append(": ").append(value).append("\r\n");
    }

    void write_head()
    {
        auto& head = out_->head;
        head.reserve(512);
        fmt::format_to(std::back_inserter(head), "HTTP/1.1 {} {}\r\n", out_->status,
                       reason_phrase(out_->status));
        line("Date", envelope_.date);
        line("Server", "opsd");
        line("X-Request-Id", envelope_.request_id);
        line("X-Content-Type-Options", "nosniff");
        const bool has_body = out_->status != 204 && out_->status != 304;
        if (has_body && !type_.empty()) line("Content-Type", type_);
        if (has_body && !response_.producer) line("Content-Length", std::to_string(out_->body.size()));
        if (encoded_) line("Content-Encoding", "gzip");
        if (varies_) line("Vary", "Accept-Encoding");
        if (!etag_.empty()) line("ETag", etag_);
        if (modified_) line("Last-Modified", http_date(told_modified()));
        write_policy();
        if (response_.producer && envelope_.http11) line("Transfer-Encoding", "chunked");
        if (!envelope_.keep_alive) line("Connection", "close");
        for (const auto& [name, value] : response_.headers) {
            if (!is_ours(name) && is_clean(name, value)) line(name, value);
        }
        head += "\r\n";
    }

    void write_policy()
    {
        // Without a word from us a cache may invent a lifetime for what shows the state of a node.
        if (is_read() && find(response_.headers, "Cache-Control") == nullptr)
            line("Cache-Control", "no-cache");
        if (response_.producer) line("X-Accel-Buffering", "no");
        // Text may hold log lines: whatever a browser makes of it, nothing in it runs.
        if (type_.starts_with("text/") && find(response_.headers, "Content-Security-Policy") == nullptr) {
            line("Content-Security-Policy", "default-src 'none'; sandbox");
        }
    }

    [[nodiscard]] bool is_ours(std::string_view name) const
    {
        constexpr std::string_view framing[] = {"Content-Length", "Transfer-Encoding", "Connection", "Date",
                                                "Server"};
        const auto same = [name](std::string_view other) { return same_word(name, other); };
        return std::ranges::any_of(framing, same) || (same("ETag") && !etag_.empty())
               || (same("Last-Modified") && modified_.has_value());
    }

    Response response_;
    const Request* request_;
    const Envelope& envelope_;
    std::unique_ptr<Outgoing> out_ = std::make_unique<Outgoing>();
    std::string_view type_;  // response_ has it
    std::string etag_;
    std::optional<WallTime> modified_;  // whole seconds
    bool pretty_ = false;
    bool varies_ = false;
    bool encoded_ = false;
};

}  // namespace

std::unique_ptr<Outgoing> prepare(Response response, const Request* request, const Envelope& envelope)
{
    return Preparation{std::move(response), request, envelope}.run();
}

}  // namespace opsd::http
