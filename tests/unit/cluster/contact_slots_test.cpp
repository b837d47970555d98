#include "modules/cluster/contact_slots.hpp"

#include "opsd/task_group.hpp"

#include "support.hpp"

#include <list>

namespace opsd::cluster {
namespace {

using namespace std::chrono_literals;

Task<> take(ContactSlots& slots, std::vector<std::uint64_t>& tickets)
{
    const auto ticket = co_await slots.take();
    tickets.push_back(ticket);
}

class Slots : public ::testing::Test {
protected:
    ~Slots() override
    {
        for (auto& [name, group] : groups)
            end(name);
    }
    void spawn(const std::string& name, Task<> task)
    {
        auto& group = groups[name];
        if (!group)
            group =
                std::make_unique<TaskGroup>(io.get_executor(), [](std::string_view, std::exception_ptr) {});
        group->spawn(name, std::move(task));
        settle();
    }
    void end(const std::string& name)
    {
        if (!groups[name]) return;
        groups[name]->cancel();
        asio::co_spawn(io, groups[name]->join(), [](std::exception_ptr) {});
        settle();
        groups[name].reset();
    }
    void settle()
    {
        io.restart();
        io.poll();
    }
    asio::io_context io{1};
    ManualClock clock{WallTime{}};
    ContactSlots slots{io.get_executor(), clock, 2, 250ms};
    std::vector<std::uint64_t> tickets;
    std::map<std::string, std::unique_ptr<TaskGroup>> groups;
};

}  // namespace

TEST_F(Slots, OnlySoManyAreTakenAndTheNextWaitsForOneThatIsGivenBack)
{
    spawn("run", slots.run());
    for (int i = 0; i < 3; ++i)
        spawn("take", take(slots, tickets));
    EXPECT_EQ(tickets.size(), 2U);
    EXPECT_EQ(slots.waiting(), 1U);
    slots.give_back(tickets[0]);
    slots.give_back(tickets[0]);
    settle();
    EXPECT_EQ(tickets.size(), 3U);
    EXPECT_EQ(slots.taken(), 2U) << "given back twice counts once";
}

TEST_F(Slots, ASilentOneGivesItsPlaceBackByItself)
{
    spawn("run", slots.run());
    for (int i = 0; i < 5; ++i)
        spawn("take", take(slots, tickets));
    clock.advance(249ms, [this] { settle(); });
    EXPECT_EQ(tickets.size(), 2U);
    clock.advance(1ms, [this] { settle(); });
    EXPECT_EQ(tickets.size(), 4U);
    clock.advance(250ms, [this] { settle(); });
    EXPECT_EQ(tickets.size(), 5U);
    clock.advance(1s, [this] { settle(); });
    EXPECT_EQ(slots.taken(), 0U);
}

TEST_F(Slots, AWaiterThatIsCancelledTakesNoPlaceWithIt)
{
    spawn("run", slots.run());
    spawn("first", take(slots, tickets));
    spawn("first", take(slots, tickets));
    spawn("gone", take(slots, tickets));
    spawn("next", take(slots, tickets));
    EXPECT_EQ(slots.waiting(), 2U);
    groups["gone"]->cancel();
    slots.give_back(tickets[0]);  // before the cancelled one has run
    slots.give_back(tickets[1]);
    settle();
    EXPECT_EQ(tickets.size(), 3U);
    EXPECT_EQ(slots.taken(), 1U);
}

}  // namespace opsd::cluster
