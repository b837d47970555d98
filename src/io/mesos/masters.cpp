#include "io/mesos/masters.hpp"

#include "io/mesos/address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>

namespace opsd::mesos {
namespace {

using net::Url;
using Scheme = net::Url::Scheme;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t most_on_loop = 256U << 10U;  // parsing this takes about a millisecond

std::vector<Url> parsed(const std::vector<std::string>& urls)
{
    std::vector<Url> all;
    for (const auto& text : urls) {
        auto url = net::parse_url(text);
        if (!url || url->scheme == Scheme::unix_socket || all.size() == most_masters) continue;
        url->target = url->target.substr(0, url->target.find('?'));
        while (url->target.ends_with('/'))
            url->target.pop_back();
        all.push_back(std::move(*url));
    }
    return all;
}

net::TlsClientOptions without_certificate(net::TlsClientOptions tls)
{
    tls.certificate_file.clear();
    tls.key_file.clear();
    return tls;
}

std::string base64(std::string_view bytes)
{
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8U | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j)
            out += i + j > bytes.size() ? '=' : digits[group >> (18 - 6 * j) & 63U];
    }
    return out;
}

bool is_redirect(unsigned status) { return status == 301 || status == 302 || status == 307 || status == 308; }

milliseconds left_until(net::Deadline deadline)
{
    return std::chrono::ceil<milliseconds>(
        std::max(deadline - steady_clock::now(), steady_clock::duration{}));
}

Result<std::string> header_value(const Credentials& credentials)
{
    auto secret = credentials.secret.read(credentials.credentials_directory);
    if (!secret) return secret;
    switch (credentials.scheme) {
    case Credentials::Scheme::basic:
        return "Basic " + base64(credentials.user + ":" + *secret);
    case Credentials::Scheme::bearer:
        return "Bearer " + *secret;
    case Credentials::Scheme::dcos:
        return "token=" + *secret;
    }
    return secret;
}

template <class T>
using Parser = std::function<Result<T>(std::string_view)>;

/// Parses here or, when it would hold the loop up, on the worker.
template <class T>
Task<Result<T>> parse(WorkerThread& worker, std::string body, Parser<T> parser)
{
    if (body.size() <= most_on_loop) co_return parser(body);
    auto job = [body = std::move(body), parser = std::move(parser)] { return parser(body); };
    auto result = co_await worker.run(std::move(job));
    co_return result;
}

const net::ClientResponse& head_of(const net::ClientResponse& answer) { return answer; }
const net::ClientResponse& head_of(const std::unique_ptr<net::Incoming>& answer) { return answer->head(); }

/// Several masters failed: what each of them did; the first decides how it counts.
Error merged(std::vector<Error> errors)
{
    constexpr std::size_t enough = 4;
    if (errors.empty()) return {Errc::timeout, "cannot ask the Mesos masters: the time is over"};
    Error all = std::move(errors.front());
    for (std::size_t i = 1; i < errors.size() && i < enough; ++i)
        all.message += "; " + errors[i].message;
    if (errors.size() > enough) all.message += fmt::format("; and {} more", errors.size() - enough);
    return all;
}

}  // namespace

MesosMasters::MesosMasters(const Executor& executor, MastersOptions options, WorkerThread& worker)
  : options_{std::move(options)}
  , worker_{worker}
  , client_{executor, options_.tls}
  , stranger_{executor, without_certificate(options_.tls)}
  , configured_{parsed(options_.urls)}
  , news_{executor, never}
{}

void MesosMasters::named(const std::vector<Master>& masters, std::string_view scheme)
{
    const auto url = [&](const std::string& host, const Master& master) {
        const auto port = master.port == 0 ? std::uint16_t{5050} : master.port;
        return fmt::format("{}://{}", scheme, join_host_port(host, port));
    };
    std::vector<std::string> asked;
    std::vector<std::string> trusted_too;
    for (const auto& master : masters) {
        const bool by_name = master.address.empty() || (scheme == "https" && !master.hostname.empty());
        asked.push_back(url(by_name ? master.hostname : master.address, master));
        const auto& other = by_name ? master.address : master.hostname;
        if (!other.empty()) trusted_too.push_back(url(other, master));
    }
    auto now = parsed(asked);
    also_trusted_ = parsed(trusted_too);
    if (std::ranges::equal(now, named_, {}, &Url::origin, &Url::origin)) return;
    named_ = std::move(now);
    ++version_;
    news_.cancel();
}

Task<> MesosMasters::changed(std::uint64_t seen)
{
    while (version_ == seen)
        co_await wait_event(news_);
}

Task<Result<Master>> MesosMasters::leader(net::Deadline end)
{
    auto body = co_await call(R"({"type":"GET_MASTER"})", end);
    if (!body) co_return fail(std::move(body).error());
    co_return parse_get_master(*body);
}

Task<Result<std::string>> MesosMasters::call(std::string body, net::Deadline end)
{
    auto question = question_of("POST", "/master/api/v1", std::move(body));
    return ask(std::move(question), end);
}

Task<Result<AgentList>> MesosMasters::agents(net::Deadline end)
{
    auto question = question_of("GET", "/master/slaves", {});
    auto body = co_await ask(std::move(question), end);
    if (!body) co_return fail(std::move(body).error());
    Parser<AgentList> parser = [most = options_.max_agents](std::string_view text) {
        return parse_slaves(text, most);
    };
    auto list = co_await parse(worker_, std::move(*body), std::move(parser));
    co_return list;
}

Task<Result<MasterState>> MesosMasters::state(net::Deadline end)
{
    auto question = question_of("GET", "/master/state", {});
    auto body = co_await ask(std::move(question), end);
    if (!body) co_return fail(std::move(body).error());
    Parser<MasterState> parser = [most = options_.max_agents](std::string_view text) {
        return parse_state(text, most);
    };
    auto state = co_await parse(worker_, std::move(*body), std::move(parser));
    co_return state;
}

Task<Result<std::string>> MesosMasters::state_text(net::Deadline end, std::string authorization)
{
    auto question = question_of("GET", "/master/state", {});
    question.stand_in = std::move(authorization);
    co_return co_await ask(std::move(question), end);
}

std::vector<Url> MesosMasters::candidates() const
{
    std::vector<Url> all;
    for (const auto* list : {&configured_, &named_}) {
        for (const auto& url : *list) {
            const bool known =
                std::ranges::any_of(all, [&url](const Url& other) { return other.origin() == url.origin(); });
            if (!known) all.push_back(url);
        }
    }
    const auto good = std::ranges::find(all, last_good_, &Url::origin);
    if (good != all.end()) std::rotate(all.begin(), good, good + 1);
    return all;
}

// The same host and port over TLS counts, the other way round does not.
bool MesosMasters::trusted(const Url& at) const
{
    const auto same = [&at](const Url& url) {
        return url.host == at.host && url.port == at.port
               && (url.scheme == at.scheme || at.scheme == Scheme::https);
    };
    return std::ranges::any_of(configured_, same) || std::ranges::any_of(named_, same)
           || std::ranges::any_of(also_trusted_, same);
}

Task<Result<std::string>> MesosMasters::authorization()
{
    if (options_.credentials.secret.from == config::Secret::From::none) co_return std::string{};
    auto job = [credentials = options_.credentials] { return header_value(credentials); };
    auto value = co_await worker_.run(std::move(job));
    co_return value;
}

MesosMasters::Question MesosMasters::question_of(std::string method, std::string path, std::string body) const
{
    Question question;
    question.method = std::move(method);
    question.path = std::move(path);
    question.body = std::move(body);
    question.headers.emplace_back("Accept", "application/json");
    if (!question.body.empty()) question.headers.emplace_back("Content-Type", "application/json");
    question.max_body = options_.max_body;
    return question;
}

Task<Result<std::string>> MesosMasters::ask(Question question, net::Deadline end)
{
    return by_turns<std::string>(std::move(question), end, &MesosMasters::ask_one);
}

Task<Result<MesosMasters::Opened>> MesosMasters::pass(PassedQuestion passed, net::Deadline end)
{
    Question question;
    question.method = std::move(passed.method);
    question.path = std::move(passed.path);
    question.body = std::move(passed.body);
    question.headers = std::move(passed.headers);
    question.authorization = std::move(passed.authorization);
    question.idle = passed.idle;
    question.max_body = passed.max_answer;
    return by_turns<Opened>(std::move(question), end, &MesosMasters::pass_one);
}

// A master that hangs must not use up the time of the others: each gets half of what is left, the last one
// all.
template <class Answer>
Task<Result<Answer>> MesosMasters::by_turns(Question question, net::Deadline end, AskOne<Answer> ask_this_one)
{
    Round round{.question = question, .deadline = end, .authorization = {}, .dead = {}};
    if (question.authorization) {
        round.authorization = *question.authorization;
    } else {
        auto header = co_await authorization();
        if (!header) co_return fail(std::move(header).error());
        round.authorization = header->empty() ? question.stand_in : std::move(*header);
    }
    const auto masters = candidates();
    if (masters.empty())
        co_return fail(Errc::unavailable,
                       "cannot ask the Mesos masters: none is set, and ZooKeeper has named none yet");
    std::vector<Error> errors;
    for (std::size_t i = 0; i < masters.size(); ++i) {
        const auto now = steady_clock::now();
        if (now >= end) break;
        round.deadline = i + 1 == masters.size() ? end : now + (end - now) / 2;
        auto answer = co_await (this->*ask_this_one)(round, masters[i]);
        if (answer) {
            last_good_ = masters[i].origin();
            co_return answer;
        }
        errors.push_back(std::move(answer).error());
    }
    last_good_.clear();
    co_return fail(merged(std::move(errors)));
}

Task<Result<std::string>> MesosMasters::ask_one(Round& round, Url at)
{
    auto reached = co_await reach<net::ClientResponse>(round, std::move(at), &MesosMasters::send);
    if (!reached) co_return fail(std::move(reached).error());
    co_return judge(round, reached->at, std::move(reached->answer));
}

Task<Result<MesosMasters::Opened>> MesosMasters::pass_one(Round& round, Url at)
{
    auto reached = co_await reach<Opened>(round, std::move(at), &MesosMasters::open);
    if (!reached) co_return fail(std::move(reached).error());
    const auto status = reached->answer->head().status;
    if (status == 502 || status == 503 || status == 504)
        co_return fail(Errc::unavailable,
                       fmt::format("cannot ask the Mesos master {}: {} answered {}{}", reached->at.origin(),
                                   round.question.path, status, status == 503 ? ": no leader" : ""));
    co_return std::move(reached->answer);
}

// Follows redirects.
template <class Answer>
Task<Result<MesosMasters::Reached<Answer>>> MesosMasters::reach(Round& round, Url at, Send<Answer> send_it)
{
    std::string named_by;
    at.target += round.question.path;
    for (int hops = 0; hops <= options_.max_hops; ++hops) {
        if (round.dead.contains(at.origin()))
            co_return fail(Errc::unavailable, fmt::format("cannot ask the Mesos leader: {} names {} too",
                                                          named_by, at.origin()));
        auto answer = co_await (this->*send_it)(round, at);
        if (!answer && named_by.empty())
            co_return fail(std::move(answer).error().wrap("cannot ask a Mesos master"));
        if (!answer) {
            const auto& error = answer.error();
            if (!error.retryable())
                co_return fail(std::move(answer).error().wrap("cannot ask the Mesos leader"));
            round.dead.insert(at.origin());
            co_return fail(
                Errc::unavailable,
                fmt::format("cannot ask the Mesos leader: {} says that {} leads, which does not "
                            "answer ({}); after the death of a leader this lasts about 11 s, until "
                            "another one is elected",
                            named_by, at.origin(), error.message));
        }
        const auto& head = head_of(*answer);
        if (!is_redirect(head.status)) {
            answered_by_trusted_ = trusted(at);
            Reached<Answer> reached{std::move(at), std::move(*answer)};
            co_return reached;
        }
        auto next = next_hop(round, at, head);
        if (!next) co_return fail(std::move(next).error());
        named_by = at.origin();
        at = std::move(*next);
    }
    co_return fail(Errc::unavailable,
                   fmt::format("cannot ask the Mesos leader: more than {} redirects, the last "
                               "one from {} to {}; the masters do not agree on a leader",
                               options_.max_hops, named_by, at.origin()));
}

net::ClientRequest MesosMasters::request_of(const Round& round, const Url& at) const
{
    net::ClientRequest request;
    request.method = round.question.method;
    request.url = at.origin() + at.target;
    request.body = round.question.body;
    request.timeout = left_until(round.deadline);
    request.max_body = round.question.max_body;
    request.headers = round.question.headers;
    if (trusted(at) && !round.authorization.empty())
        request.headers.emplace_back("Authorization", round.authorization);
    return request;
}

Task<Result<net::ClientResponse>> MesosMasters::send(const Round& round, const Url& at)
{
    auto& client = trusted(at) ? client_ : stranger_;
    return client.send(request_of(round, at));
}

Task<Result<MesosMasters::Opened>> MesosMasters::open(const Round& round, const Url& at)
{
    auto& client = trusted(at) ? client_ : stranger_;
    return client.open(request_of(round, at), round.question.idle);
}

// A redirect may only name another host for the same question. Behind a proxy the master's own path is
// shorter than the one that was asked.
Result<Url> MesosMasters::next_hop(const Round& round, const Url& from,
                                   const net::ClientResponse& answer) const
{
    const auto location = answer.header("location");
    const auto refuse = [&](Errc code, std::string_view why) {
        return fail(code, fmt::format("cannot follow the redirect of {} to \"{}\": {}", from.origin(),
                                      printable(location), why));
    };
    if (location.empty() || location.size() > 1024) return refuse(Errc::protocol, "it names no usable place");
    auto to = net::resolve_location(from, location);
    if (!to) return refuse(Errc::protocol, "it is no URL of a master");
    if (from.scheme == Scheme::https && to->scheme != Scheme::https)
        return refuse(Errc::denied, "it gives up TLS");
    if (!usable_host(to->host)) return refuse(Errc::protocol, "its host is none");
    if (to->target != round.question.path && to->target != from.target)
        return refuse(Errc::denied, "it leads to another path");
    if (to->origin() == from.origin() && to->target == from.target)
        return refuse(Errc::protocol, "it leads back to itself");
    return to;
}

Result<std::string> MesosMasters::judge(const Round& round, const Url& at, net::ClientResponse answer) const
{
    if (answer.status == 200) return std::move(answer.body);
    const auto said = [&](Errc code, std::string_view more) {
        return fail(code, fmt::format("cannot ask the Mesos master {}: {} answered {}{}", at.origin(),
                                      round.question.path, answer.status, more));
    };
    switch (answer.status) {
    case 401:
    case 403:
        if (round.authorization.empty())
            return said(Errc::denied, "; set cluster.sources.mesos.user and password, or token");
        if (!trusted(at))
            return said(Errc::denied,
                        "; only a redirect named it, so it was not sent our credentials: add it to "
                        "cluster.sources.mesos.masters");
        return said(Errc::denied, "; check cluster.sources.mesos.user and password, or token");
    case 404:
    case 405:
    case 501:
        return said(Errc::not_found, "");
    case 503:
        return said(Errc::unavailable, ": " + printable(answer.body.empty() ? "no leader" : answer.body));
    default:
        break;
    }
    return said(answer.status >= 500 || answer.status == 429 ? Errc::unavailable : Errc::protocol, "");
}

}  // namespace opsd::mesos
