// A sink that is made of a secret.

#include "modules/forward/secret_sink.hpp"

#include "support.hpp"

namespace opsd::forward {
namespace {

using namespace std::chrono_literals;
using pipeline::Verdict;

class Answering final : public pipeline::Sink {
public:
    explicit Answering(Verdict verdict) : verdict_{std::move(verdict)} {}
    Task<Verdict> send(const pipeline::Batch& /*batch*/) override
    {
        const auto executor = co_await asio::this_coro::executor;
        asio::steady_timer timer{executor, 1ms};
        co_await wait_event(timer);
        co_return verdict_;
    }

private:
    Verdict verdict_;
};

/// The secret is what is in `word`; a far side that takes "good" only.
struct Rig {
    WorkerThread worker{"secrets"};
    std::shared_ptr<std::string> word = std::make_shared<std::string>("good");
    std::shared_ptr<std::vector<std::string>> made = std::make_shared<std::vector<std::string>>();
    pipeline::Batch batch{};

    SecretSink sink()
    {
        auto read = [word = word]() -> Result<std::string> {
            if (word->empty()) return fail(Errc::not_found, "cannot read /t: it is not there");
            return *word;
        };
        auto make = [made = made](const std::string& secret) -> std::unique_ptr<pipeline::Sink> {
            made->push_back(secret);
            return std::make_unique<Answering>(secret == "good" ? pipeline::accepted()
                                                                : pipeline::keep("it answered 403"));
        };
        return {std::move(read), std::move(make), worker};
    }
};

}  // namespace

TEST(SecretSink, TheSecretIsReadOnceAsLongAsItIsTaken)
{
    opsd::test::run([]() -> Task<> {
        Rig rig;
        auto sink = rig.sink();
        for (int i = 0; i < 3; ++i) {
            const auto verdict = co_await sink.send(rig.batch);
            EXPECT_EQ(verdict.kind, Verdict::Kind::accepted);
        }
        EXPECT_EQ(*rig.made, std::vector<std::string>{"good"});
    });
}

TEST(SecretSink, OneThatIsRefusedIsReadAgain)
{
    opsd::test::run([]() -> Task<> {
        Rig rig;
        *rig.word = "old";
        auto sink = rig.sink();
        auto verdict = co_await sink.send(rig.batch);
        EXPECT_EQ(verdict.kind, Verdict::Kind::keep);
        EXPECT_EQ(verdict.reason, "it answered 403");
        *rig.word = "good";
        verdict = co_await sink.send(rig.batch);
        EXPECT_EQ(verdict.kind, Verdict::Kind::accepted);
        EXPECT_EQ(*rig.made, (std::vector<std::string>{"old", "good"}));
    });
}

TEST(SecretSink, OneThatCannotBeReadKeepsTheDataAndSaysWhy)
{
    opsd::test::run([]() -> Task<> {
        Rig rig;
        rig.word->clear();
        auto sink = rig.sink();
        const auto verdict = co_await sink.send(rig.batch);
        EXPECT_EQ(verdict.kind, Verdict::Kind::keep);
        EXPECT_EQ(verdict.reason, "cannot read /t: it is not there");
        EXPECT_TRUE(rig.made->empty());
    });
}

}  // namespace opsd::forward
