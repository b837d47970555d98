#include "http/auth_limit.hpp"

#include <gtest/gtest.h>

using namespace opsd;
using opsd::http::FailureLimiter;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(AuthLimit, TenFailuresInTenSecondsBlock)
{
    FailureLimiter limiter;
    for (int i = 0; i < 10; ++i) {
        EXPECT_FALSE(limiter.blocked("a", seconds{100} + milliseconds{900 * i}));
        limiter.failed("a", seconds{100} + milliseconds{900 * i});
    }
    EXPECT_TRUE(limiter.blocked("a", seconds{109}));
    EXPECT_FALSE(limiter.blocked("b", seconds{109}));
    EXPECT_FALSE(limiter.blocked("a", seconds{110})) << "the first of the ten is ten seconds old";
}

TEST(AuthLimit, SlowFailuresNeverBlock)
{
    FailureLimiter limiter;
    for (int i = 0; i < 100; ++i) {
        limiter.failed("a", seconds{100} + milliseconds{1200 * i});
        EXPECT_FALSE(limiter.blocked("a", seconds{100} + milliseconds{1200 * i}));
    }
}

TEST(AuthLimit, RemembersAThousandAndForgetsTheOldest)
{
    FailureLimiter limiter;
    for (int i = 0; i < 10; ++i)
        limiter.failed("first", seconds{1});
    for (int i = 0; i < 10; ++i)
        limiter.failed("second", seconds{2});
    for (int i = 0; i < 999; ++i)
        limiter.failed("other " + std::to_string(i), seconds{3});
    EXPECT_EQ(limiter.size(), FailureLimiter::max_keys);
    EXPECT_FALSE(limiter.blocked("first", seconds{3}));
    EXPECT_TRUE(limiter.blocked("second", seconds{3}));
}

TEST(AuthLimit, AnIpv6HostIsItsNetwork)
{
    EXPECT_EQ(FailureLimiter::key_of("10.1.2.3"), "10.1.2.3");
    EXPECT_EQ(FailureLimiter::key_of("unix"), "unix");
    EXPECT_EQ(FailureLimiter::key_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    EXPECT_EQ(FailureLimiter::key_of("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
    EXPECT_EQ(FailureLimiter::key_of("::ffff:10.1.2.3"), "::ffff:10.1.2.3");
}
