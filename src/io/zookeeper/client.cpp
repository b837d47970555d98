#include "io/zookeeper/client.hpp"

namespace opsd::zookeeper {
namespace {

std::unexpected<Error> unreadable(Error why, const Reply& reply)
{
    return fail(std::move(why).wrap(reply.what));
}

}  // namespace

Result<std::string> Client::full_path(std::string_view path) const
{
    auto good = check_path(path);
    if (!good) return fail(std::move(good).error());
    const auto& chroot = session_.options().address.chroot;
    if (chroot.empty()) return std::string{path};
    return path == "/" ? chroot : chroot + std::string{path};
}

Task<Result<Reply>> Client::read(Op op, std::string path, std::string doing, std::shared_ptr<Inbox> watch,
                                 WatchTable::Kind kind)
{
    auto full = full_path(path);
    if (!full) co_return fail(std::move(full).error());
    Request request{.op = op, .path = std::move(*full), .record = {}, .doing = std::move(doing)};
    request.record = read_record(request.path, watch != nullptr);
    const bool even_missing = op == Op::exists;
    if (watch) request.watch = Request::Watch{std::move(watch), kind, even_missing};
    auto reply = co_await session_.call(std::move(request));
    if (!reply) co_return reply;
    const bool missing = even_missing && reply->error == code::no_node;
    if (reply->error != code::ok && !missing) co_return fail(reply_error(reply->error, reply->what));
    co_return reply;
}

Task<Result<Node>> Client::get(std::string path, std::shared_ptr<Inbox> watch)
{
    auto reply =
        co_await read(Op::get_data, std::move(path), "read", std::move(watch), WatchTable::Kind::data);
    if (!reply) co_return fail(std::move(reply).error());
    auto decoded = decode_data(reply->record);
    if (!decoded) co_return unreadable(std::move(decoded).error(), *reply);
    Node node;
    node.null_data = !decoded->data.has_value();
    node.data = std::move(decoded->data).value_or(std::string{});
    node.stat = decoded->stat;
    node.zxid = reply->zxid;
    co_return node;
}

Task<Result<Children>> Client::children(std::string path, std::shared_ptr<Inbox> watch)
{
    auto reply = co_await read(Op::get_children2, std::move(path), "list the children of", std::move(watch),
                               WatchTable::Kind::children);
    if (!reply) co_return fail(std::move(reply).error());
    auto decoded = decode_children(reply->record);
    if (!decoded) co_return unreadable(std::move(decoded).error(), *reply);
    Children children;
    children.names = std::move(decoded->names);
    children.stat = decoded->stat;
    children.zxid = reply->zxid;
    co_return children;
}

Task<Result<Presence>> Client::exists(std::string path, std::shared_ptr<Inbox> watch)
{
    auto reply =
        co_await read(Op::exists, std::move(path), "look for", std::move(watch), WatchTable::Kind::data);
    if (!reply) co_return fail(std::move(reply).error());
    Presence presence;
    presence.zxid = reply->zxid;
    if (reply->error == code::no_node) co_return presence;
    auto decoded = decode_stat(reply->record);
    if (!decoded) co_return unreadable(std::move(decoded).error(), *reply);
    presence.stat = *decoded;
    co_return presence;
}

Task<Result<std::int64_t>> Client::sync(std::string path)
{
    auto full = full_path(path);
    if (!full) co_return fail(std::move(full).error());
    Request request{.op = Op::sync, .path = std::move(*full), .record = {}, .doing = "sync"};
    request.record = sync_record(request.path);
    auto reply = co_await session_.call(std::move(request));
    if (!reply) co_return fail(std::move(reply).error());
    if (reply->error != code::ok) co_return fail(reply_error(reply->error, reply->what));
    co_return reply->zxid;
}

}  // namespace opsd::zookeeper
