#include "io/zookeeper/dialer.hpp"

#include "io/net/connection.hpp"

namespace opsd::zookeeper {
namespace {

class NetDialer final : public Dialer {
public:
    explicit NetDialer(std::optional<net::TlsClientOptions> tls)
      : tls_{tls.has_value()}
      , connector_{std::move(tls).value_or(net::TlsClientOptions{})}
    {}

    Task<Result<std::unique_ptr<net::Transport>>> dial(Server server,
                                                       std::chrono::milliseconds limit) override
    {
        net::Url url;  // only its authority counts: nothing of HTTP is spoken
        url.scheme = tls_ ? net::Url::Scheme::https : net::Url::Scheme::http;
        url.host = server.host;
        url.port = server.port;
        const auto deadline = std::chrono::steady_clock::now() + limit;
        auto opened = co_await connector_.open(std::move(url), true, deadline);
        if (opened) (*opened)->expires_never();  // the session has its own limits
        co_return opened;
    }

private:
    bool tls_;
    net::Connector connector_;
};

}  // namespace

std::unique_ptr<Dialer> make_dialer(std::optional<net::TlsClientOptions> tls)
{
    return std::make_unique<NetDialer>(std::move(tls));
}

}  // namespace opsd::zookeeper
