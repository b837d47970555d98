#include "opsd/model.hpp"
#include "opsd/result.hpp"

#include <gtest/gtest.h>

using namespace opsd;

TEST(Result, AnErrorIsWrappedInFrontAndKeepsItsCode)
{
    const auto error = Error{Errc::timeout, "cannot connect"}.wrap("scrape mesos");
    EXPECT_EQ(error.message, "scrape mesos: cannot connect");
    EXPECT_EQ(error.code, Errc::timeout);
}

TEST(Result, OnlyWhatMayPassIsWorthARetry)
{
    for (const auto code : {Errc::timeout, Errc::unavailable})
        EXPECT_TRUE((Error{code, ""}.retryable())) << to_string(code);
    for (const auto code : {Errc::invalid_argument, Errc::not_found, Errc::denied, Errc::cancelled,
                            Errc::protocol, Errc::internal})
        EXPECT_FALSE((Error{code, ""}.retryable())) << to_string(code);
}

TEST(Result, FailReturnsIntoAnyResult)
{
    const auto read = []() -> Result<int> { return fail(Errc::not_found, "cannot find it"); };
    const auto pass_on = [&]() -> Result<std::string> {
        auto value = read();
        if (!value) return fail(std::move(value).error());
        return "found";
    };
    EXPECT_EQ(pass_on().error().message, "cannot find it");
    EXPECT_EQ(to_string(pass_on().error().code), "not_found");
}

TEST(Health, UnhealthyBeatsUnknownBeatsHealthy)
{
    using enum Health;
    EXPECT_EQ(worse(healthy, healthy), healthy);
    EXPECT_EQ(worse(healthy, unknown), unknown);
    EXPECT_EQ(worse(unknown, unhealthy), unhealthy);
    EXPECT_EQ(worse(unhealthy, healthy), unhealthy);
}
