#include "core/read_slots.hpp"

#include <gtest/gtest.h>

namespace opsd {
namespace {

TEST(ReadSlots, RefuseBeyondTheLimitAndGiveAPlaceBackWhenAReaderEnds)
{
    ReadSlots slots{2, "health.history.concurrent"};
    auto first = slots.take();
    const auto second = slots.take();
    ASSERT_TRUE(first && second);
    const auto third = slots.take();
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().code, Errc::unavailable);
    EXPECT_EQ(third.error().message, "cannot read the past: 2 such readings are under way "
                                     "(health.history.concurrent); try again in a few seconds");
    first->reset();
    EXPECT_EQ(slots.taken(), 1);
    EXPECT_TRUE(slots.take()) << "the place is free again";
    EXPECT_EQ(slots.taken(), 1) << "and once more";
    EXPECT_EQ(slots.refused(), 1U);
}

TEST(ReadSlots, SayWhatTheyAreFor)
{
    ReadSlots slots{0, "logs.follow.clients", "follow the journal", "followers"};
    EXPECT_EQ(slots.take().error().message, "cannot follow the journal: 0 followers are under way "
                                            "(logs.follow.clients); try again in a few seconds");
}

}  // namespace
}  // namespace opsd
