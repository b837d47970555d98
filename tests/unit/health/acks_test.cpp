// Acknowledgements while the store cannot be opened or written.

#include "node.hpp"

namespace opsd::health {
namespace {

using namespace test;
using http::Method;
using http::Role;

class HealthAcks : public Node {
protected:
    HealthAcks()
    {
        options.units = {"a.service", "b.service"};
        add(failed("exit-code", 1, 3, "a.service"));
        add(failed("exit-code", 1, 3, "b.service"));
    }
    static constexpr const char* path = "/api/v1/units/a.service/ack";

    nlohmann::ordered_json acknowledge(const std::string& reason = "new disk")
    {
        const auto made =
            ask(Method::post, path, Role::operator_, R"({"for": "2h", "reason": ")" + reason + R"("})");
        EXPECT_EQ(made.status, 200U) << body_of(made);
        return nlohmann::ordered_json::parse(body_of(made));
    }
    void break_store() { store->broken = Error{Errc::unavailable, "cannot write s.db: the disk is full"}; }
    void restart()
    {
        stop();
        start();
        advance(100ms);
    }
};

TEST_F(HealthAcks, AreDurableWhenTheStoreWorks)
{
    start();
    advance(1s);
    EXPECT_EQ(acknowledge()["durable"], true);
    EXPECT_EQ(get(path)["durable"], true);
    EXPECT_FALSE(get(path).contains("note"));
    EXPECT_EQ(ask(Method::del, path).status, 204U);
}

TEST_F(HealthAcks, ThatAreDurableAreShownAlsoWhenTheRequestIsCut)
{
    start();
    advance(1s);
    store->held = true;
    auto& post = begin(Method::post, path, Role::operator_, R"({"for": "2h", "reason": "new disk"})");
    settle();
    EXPECT_EQ(get(path)["reason"], "new disk") << "shown before the store answers";
    EXPECT_EQ(get(path)["durable"], false);
    EXPECT_EQ(get(path)["note"], "in force now, but lost when opsd restarts unless it can be written before: "
                                 "it is being written");
    post.task.cancel();
    settle();
    EXPECT_FALSE(post.response);
    EXPECT_EQ(get(path)["reason"], "new disk");
    store->release();
    advance(1s);
    EXPECT_EQ(get(path)["durable"], true);

    store->held = true;
    auto& withdrawal = begin(Method::del, path, Role::operator_);
    settle();
    withdrawal.task.cancel();
    settle();
    EXPECT_TRUE(get(path).is_null());
    store->release();
    advance(1s);
    EXPECT_EQ(metric("opsd_acknowledgements_waiting"), "0");
    restart();
    EXPECT_TRUE(get(path).is_null());
}

TEST_F(HealthAcks, OfARequestThatIsCutBeforeItIsWrittenAreWrittenNevertheless)
{
    start();
    advance(1s);
    break_store();
    store->held = true;
    auto& post = begin(Method::post, path, Role::operator_, R"({"for": "2h", "reason": "new disk"})");
    settle();
    post.task.cancel();
    settle();
    store->broken.reset();
    store->release();
    advance(1min);
    EXPECT_EQ(get(path)["durable"], true);
    restart();
    EXPECT_EQ(get(path)["reason"], "new disk");
}

TEST_F(HealthAcks, AreInForceAndSaySoWhenTheStoreCannotBeWritten)
{
    start();
    advance(1s);
    break_store();
    const auto answer = acknowledge();
    EXPECT_EQ(answer["durable"], false);
    EXPECT_EQ(answer["note"], "in force now, but lost when opsd restarts unless it can be written before: "
                              "cannot write s.db: the disk is full");
    EXPECT_EQ(get("/api/v1/units/a.service")["acknowledged"]["reason"], "new disk");
    EXPECT_EQ(get(path)["durable"], false);
    EXPECT_EQ(metric("opsd_acknowledgements_waiting"), "1");
    advance(1s);
    EXPECT_EQ(status.condition, "degraded");

    store->broken.reset();
    advance(1min);
    EXPECT_EQ(get(path)["durable"], true) << "written when it could be";
    EXPECT_EQ(status.condition, "running");
    restart();
    EXPECT_EQ(get(path)["reason"], "new disk");
}

TEST_F(HealthAcks, AWithdrawalThatIsNotDurableSaysSoAndIsWrittenLater)
{
    start();
    advance(1s);
    acknowledge();
    break_store();
    const auto gone = ask(Method::del, path);
    EXPECT_EQ(gone.status, 200U);
    const auto answer = nlohmann::ordered_json::parse(body_of(gone));
    EXPECT_EQ(answer["durable"], false);
    EXPECT_NE(answer["note"].get<std::string>().find("back when opsd restarts"), std::string::npos);
    EXPECT_TRUE(get(path).is_null());
    store->broken.reset();
    advance(1min);
    restart();
    EXPECT_TRUE(get(path).is_null());
}

TEST_F(HealthAcks, MadeBeforeTheStoreCouldBeOpenedWinOverWhatItHolds)
{
    start();
    advance(1s);
    acknowledge("old");
    EXPECT_EQ(ask(Method::post, "/api/v1/units/b.service/ack", Role::operator_,
                  R"({"for": "2h", "reason": "other"})")
                  .status,
              200U);
    stop();
    break_store();
    start();
    advance(1s);
    EXPECT_TRUE(get(path).is_null()) << "what the store holds is not known yet";
    EXPECT_EQ(acknowledge("new")["durable"], false);
    store->broken.reset();
    advance(1min);
    EXPECT_EQ(get(path)["reason"], "new");
    EXPECT_EQ(get(path)["durable"], true);
    EXPECT_EQ(get("/api/v1/units/b.service/ack")["reason"], "other") << "that of the store is in force again";
    restart();
    EXPECT_EQ(get(path)["reason"], "new");
}

}  // namespace
}  // namespace opsd::health
