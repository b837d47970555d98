#include "http/prefer.hpp"

#include <gtest/gtest.h>

namespace opsd::http {
namespace {

std::int64_t wait_of(std::string_view prefer)
{
    const auto wait = wait_preference(prefer);
    return wait ? wait->count() : -1;
}

}  // namespace

TEST(Prefer, WaitIsFoundAmongOthers)
{
    EXPECT_EQ(wait_of("wait=30"), 30);
    EXPECT_EQ(wait_of("respond-async, wait=10"), 10);
    EXPECT_EQ(wait_of("respond-async; x=\"a,wait=5\" , Wait = \"7\";q=1"), 7);
    EXPECT_EQ(wait_of("wait=0"), 0);
    EXPECT_EQ(wait_of("wait=1, wait=2"), 1) << "the first counts";
    EXPECT_EQ(wait_of("wait=99999999999999999999999"), 86'400);
}

TEST(Prefer, WhatIsNoNumberIsNoPreference)
{
    for (const auto* text :
         {"", "wait", "wait=", "wait=-1", "wait=1s", "waits=3", "x=\"wait=3\"", ",,;=", "\"", "\\"})
        EXPECT_EQ(wait_of(text), -1) << text;
}

TEST(Prefer, SeveralHeadersAreOneList)
{
    Request request;
    request.headers.add("prefer", "respond-async");
    request.headers.add("prefer", "wait=4");
    EXPECT_EQ(wait_preference(request)->count(), 4);
    EXPECT_FALSE(wait_preference(Request{}));
}

}  // namespace opsd::http
