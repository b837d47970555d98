#include "pipeline/redaction.hpp"
#include "pipeline_support.hpp"

using namespace opsd;
using namespace opsd::test;

namespace {

std::string clean(const std::string& text, std::vector<std::string> patterns = {})
{
    auto redaction = Redaction::make(patterns);
    EXPECT_TRUE(redaction);
    std::string out = text;
    (*redaction)->apply(text, out);
    return out;
}

}  // namespace

TEST(Redaction, TakesPasswordsOutOfAddresses)
{
    EXPECT_EQ(clean("--zk=zk://super:s3cr!t@10.0.0.1:2181/mesos"),
              "--zk=zk://super:[redacted]@10.0.0.1:2181/mesos");
    EXPECT_EQ(clean("http://a:b@c and https://d:e@f"), "http://a:[redacted]@c and https://d:[redacted]@f");
    EXPECT_EQ(clean("http://:b@c"), "http://:[redacted]@c");
    for (const std::string plain :
         {"http://host:8080/a@b", "zk://10.0.0.1:2181/mesos", "see a://b", "10:20@x"})
        EXPECT_EQ(clean(plain), plain);
}

TEST(Redaction, TakesTokensOutOfHeadsAndParameters)
{
    EXPECT_EQ(clean("Authorization: token=eyJhbGciOi.J9 next"), "Authorization: token=[redacted] next");
    EXPECT_EQ(clean("authorization: Bearer abc.def"), "authorization: Bearer [redacted]");
    EXPECT_EQ(clean("AUTHORIZATION: Splunk 1111-2222"), "AUTHORIZATION: Splunk [redacted]");
    EXPECT_EQ(clean(R"({"Authorization":"Basic YTpi"})"), R"({"Authorization":"Basic [redacted]"})");
    EXPECT_EQ(clean("GET /x?token=abc&y=1"), "GET /x?token=[redacted]&y=1");
    EXPECT_EQ(clean(R"("client_secret": "abc", "a": 1)"), R"("client_secret": "[redacted]", "a": 1)");
    EXPECT_EQ(clean("password=hunter2, api-key: k"), "password=[redacted], api-key: [redacted]");
}

TEST(Redaction, LeavesTheRestOfATextAlone)
{
    for (const std::string plain :
         {"", "tokenizer started", "unauthorized", "the secret of the sea", "key", "passwords are hashed"})
        EXPECT_EQ(clean(plain), plain);
}

TEST(Redaction, TakesOutWhatTheConfigurationNames)
{
    EXPECT_EQ(clean("card 1234-5678 of x", {R"(\d{4}-\d{4})"}), "card [redacted] of x");
    EXPECT_EQ(clean("card 1234-5678 of x", {R"(card (\d+))"}), "card [redacted]-5678 of x");
    EXPECT_EQ(clean("aaa", {"x*"}), "aaa") << "nothing is no secret";
    const std::vector<std::string> wrong{"(a"};
    const auto refused = Redaction::make(wrong);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_NE(refused.error().message.find("\"(a\""), std::string::npos);
}

TEST(Redaction, CountsWhatItTookOut)
{
    auto redaction = *Redaction::make({});
    std::string out;
    EXPECT_TRUE(redaction->apply("http://a:b@c http://a:b@c", out));
    EXPECT_FALSE(redaction->apply("nothing here", out));
    EXPECT_EQ(redaction->count(), 2U);
}

namespace {

class AllFields final : public systemd::EntryWriter {
    bool write(const systemd::JournalEntry& entry, std::string& out) override
    {
        for (const auto& [name, value] : entry.fields)
            out.append(name).append("=").append(value).append("|");
        return true;
    }
};

}  // namespace

TEST(Redaction, AnEntryIsHandedOnWithoutItsSecrets)
{
    RedactingWriter writer{std::make_unique<AllFields>(), *Redaction::make({})};
    const std::vector<systemd::JournalField> fields{{"MESSAGE", "http://a:b@c"},
                                                    {"_CMDLINE", "x --password=y"},
                                                    {"_EXE", "/opt/token=x"},
                                                    {"URL", "zk://a:b@c"}};
    systemd::JournalEntry entry;
    entry.fields = fields;
    for (int i = 0; i < 2; ++i) {
        std::string out;
        EXPECT_TRUE(writer.write(entry, out));
        EXPECT_EQ(out, "MESSAGE=http://a:[redacted]@c|_CMDLINE=x --password=[redacted]|_EXE=/opt/token=x|"
                       "URL=zk://a:[redacted]@c|");
    }
}
