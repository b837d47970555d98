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
    EXPECT_EQ(clean("Authorization: token=eyJhbGciOi.J9 next\nHost: h"),
              "Authorization: token=[redacted]\nHost: h")
        << "nobody can tell where credentials end but at the line's end";
    EXPECT_EQ(clean("authorization: Bearer abc.def"), "authorization: Bearer [redacted]");
    EXPECT_EQ(clean("AUTHORIZATION: Splunk 1111-2222"), "AUTHORIZATION: Splunk [redacted]");
    EXPECT_EQ(clean(R"({"Authorization":"Basic YTpi"})"), R"({"Authorization":"Basic [redacted]"})");
    EXPECT_EQ(clean("GET /x?token=abc&y=1"), "GET /x?token=[redacted]&y=1");
    EXPECT_EQ(clean(R"("client_secret": "abc", "a": 1)"), R"("client_secret": "[redacted]", "a": 1)");
    EXPECT_EQ(clean("password=hunter2, api-key: k"), "password=[redacted], api-key: [redacted]");
}

TEST(Redaction, TakesTheCredentialsOfAnyScheme)
{
    EXPECT_EQ(clean("Authorization: ApiKey VnVhQ2ZHY0JDZGJr=="), "Authorization: ApiKey [redacted]");
    EXPECT_EQ(clean("Authorization: Made-Up abc def"), "Authorization: [redacted]");
    EXPECT_EQ(clean("Authorization: AWS4-HMAC-SHA256 Credential=AK/x, SignedHeaders=host, Signature=fe5f"),
              "Authorization: AWS4-HMAC-SHA256 [redacted]");
    EXPECT_EQ(clean("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=fe5f80"),
              "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=[redacted]");
    EXPECT_EQ(clean("GET /b?X-Amz-Date=2&X-Amz-Signature=fe5f80&a=1"),
              "GET /b?X-Amz-Date=2&X-Amz-Signature=[redacted]&a=1");
    EXPECT_EQ(clean(R"(Authorization: Digest username="m", response="66 29")"),
              "Authorization: Digest [redacted]");
    EXPECT_EQ(clean(R"(curl -H 'Authorization: Bearer eyJ' https://h)"),
              R"(curl -H 'Authorization: Bearer [redacted]' https://h)");
    EXPECT_EQ(clean("map[Authorization:[Bearer eyJ.x] Accept:[*/*]]"),
              "map[Authorization:[Bearer [redacted]] Accept:[*/*]]");
    EXPECT_EQ(clean(R"({"Authorization":["Bearer eyJ"],"a":1})"),
              R"({"Authorization":["Bearer [redacted]"],"a":1})");
    EXPECT_EQ(clean(R"(headers["Authorization"] = "Bearer eyJ")"),
              R"(headers["Authorization"] = "Bearer [redacted]")");
    EXPECT_EQ(clean("sent Bearer eyJ.x-y to it"), "sent Bearer [redacted] to it");
    EXPECT_EQ(clean("Cookie: dcos-acs-auth-cookie=eyJ.x; theme=dark"), "Cookie: [redacted]");
    EXPECT_EQ(clean("with dcos-acs-auth-cookie=eyJ.x; path=/"),
              "with dcos-acs-auth-cookie=[redacted]; path=/");
    EXPECT_EQ(clean("Set-Cookie: id=1; HttpOnly\nX: y"), "Set-Cookie: [redacted]\nX: y");
}

TEST(Redaction, TakesAllThatANameHolds)
{
    EXPECT_EQ(clean(R"({"token":{"value":"hunter2"},"a":1})"), R"({"token":{[redacted]},"a":1})");
    EXPECT_EQ(clean(R"({"tokens":["one","two"],"a":1})"), R"({"tokens":[[redacted]],"a":1})");
    EXPECT_EQ(clean(R"({"secrets":[{"a":"hun}ter2"}],"a":1})"), R"({"secrets":[[redacted]],"a":1})");
    EXPECT_EQ(clean(R"({"password":{"a":"cut off)"), R"({"password":{[redacted])");
    const std::string key = "-----BEGIN PRIVATE KEY-----\nMIIE\nabcd\n-----END PRIVATE KEY-----";
    EXPECT_EQ(clean("PRIVATE_KEY=" + key + "\nX=1"), "PRIVATE_KEY=[redacted]\nX=1");
    EXPECT_EQ(clean("private_key: -----BEGIN PRIVATE KEY-----\nMIIE"), "private_key: [redacted]");
    EXPECT_EQ(clean(R"(Authorization: Bearer "eyJ.x")"), R"(Authorization: Bearer "[redacted]")");
    EXPECT_EQ(clean("{b'Authorization': b'Basic dXNlcjpw', b'A': b'x'}"),
              "{b'Authorization': b'Basic [redacted]', b'A': b'x'}");
}

TEST(Redaction, LeavesJsonWhole)
{
    for (const auto* plain :
         {R"({"max_tokens":4096})", R"({"passwordless":true})", R"({"token":null,"n":{}})",
          R"({\"max_tokens\":1,\"n\":{}})", R"({"tokens": 12.5e3 })", R"({"token_count":7})"})
        EXPECT_EQ(clean(plain), plain);
    EXPECT_EQ(clean(R"({"password":1234})"), R"({"password":[redacted]})") << "a number may be one";
    EXPECT_EQ(clean(R"({"token":abc})"), R"({"token":[redacted]})");
}

TEST(Redaction, TakesWhatANameStandsForHoweverItIsWritten)
{
    EXPECT_EQ(clean(R"({\"password\":\"hunter2\",\"a\":1})"), R"({\"password\":\"[redacted]\",\"a\":1})");
    EXPECT_EQ(clean(R"({\"m\":\"{\\\"password\\\":\\\"a b\\\"}\"})"),
              R"({\"m\":\"{\\\"password\\\":\\\"[redacted]\\\"}\"})");
    EXPECT_EQ(clean("AWS_SECRET_ACCESS_KEY=wJalr/K7 AWS_REGION=eu"),
              "AWS_SECRET_ACCESS_KEY=[redacted] AWS_REGION=eu");
    EXPECT_EQ(clean("db.password.old = hunter2"), "db.password.old = [redacted]");
    EXPECT_EQ(clean("--password hunter2 --user u"), "--password [redacted] --user u");
    EXPECT_EQ(clean("x --password 'two words' y"), "x --password '[redacted]' y");
    EXPECT_EQ(clean(R"(["x","--password","hunter2"])"), R"(["x","--password","[redacted]"])");
    EXPECT_EQ(clean(R"(password="two words" user=u)"), R"(password="[redacted]" user=u)");
    EXPECT_EQ(clean(R"(password="a\"b c" user=u)"), R"(password="[redacted]" user=u)");
    EXPECT_EQ(clean("password=\"cut in the mid"), "password=\"[redacted]");
    EXPECT_EQ(clean("password=ab,cd user=u"), "password=[redacted] user=u");
    EXPECT_EQ(clean("Server=h;Password=a;b;User=u"), "Server=h;Password=[redacted];User=u");
    EXPECT_EQ(clean(R"({"token":12345,"a":1})"), R"({"token":[redacted],"a":1})");
    EXPECT_EQ(clean(R"("password"=>"hunter2")"), R"("password"=>"[redacted]")");
    EXPECT_EQ(clean("PGPASS=x MYSQL_PASS=y pass: 5 bypass=1"),
              "PGPASS=[redacted] MYSQL_PASS=[redacted] pass: [redacted] bypass=1");
}

TEST(Redaction, APasswordInAnAddressMayHaveAnyCharacter)
{
    EXPECT_EQ(clean("zk://u:p@ss@h:2181/m"), "zk://u:[redacted]@h:2181/m");
    EXPECT_EQ(clean("zk://u:a/b@h"), "zk://u:[redacted]@h");
    EXPECT_EQ(clean("zk://u:12/b@h"), "zk://u:[redacted]@h");
    EXPECT_EQ(clean("https://me@example.org:pw@h/"), "https://me@example.org:[redacted]@h/");
    EXPECT_EQ(clean("http://a:b@c,http://d:e@f"), "http://a:[redacted]@c,http://d:[redacted]@f");
    EXPECT_EQ(clean("http://[::1]:8080/a@b"), "http://[::1]:8080/a@b");
}

TEST(Redaction, WhatWasTakenOutIsNotTakenOutAgain)
{
    for (const std::string text :
         {"Authorization: token=abc", R"({"Authorization":["Bearer eyJ"]})", "zk://u:p@ss@h",
          "password=\"a b\"", "--password x", "Cookie: a=b", "map[Authorization:[Bearer eyJ]]", "Bearer eyJ",
          "Signature=", "AWS4-HMAC-SHA256 Signature=aa"}) {
        const auto once = clean(text);
        EXPECT_EQ(clean(once), once);
    }
}

TEST(Redaction, LeavesTheRestOfATextAlone)
{
    for (const std::string plain :
         {"", "tokenizer started", "unauthorized", "the secret of the sea", "key", "passwords are hashed",
          "TTY=pts/0 ; PWD=/root ; USER=root", "systemd-ask-password-console.path: Deactivated successfully.",
          "password_file=/etc/secret", "primary key: 5", "Bearer authentication failed",
          "Failed password for root", "token::Kind", "Authorization", "password=", "tcp://10.0.0.1:5050"})
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
                                                    {"_AUDIT_FIELD_A1", "--password=y"},
                                                    {"_OF_MY_OWN", "token=x"},
                                                    {"DB_PASSWORD", "two words"},
                                                    {"PWD", "/root"},
                                                    {"COREDUMP_ENVIRON", "A=1\nAPI_KEY=two words\nB=2"},
                                                    {"URL", "zk://a:b@c"}};
    systemd::JournalEntry entry;
    entry.fields = fields;
    for (int i = 0; i < 2; ++i) {
        std::string out;
        EXPECT_TRUE(writer.write(entry, out));
        EXPECT_EQ(out, "MESSAGE=http://a:[redacted]@c|_CMDLINE=x --password=[redacted]|_EXE=/opt/token=x|"
                       "_AUDIT_FIELD_A1=--password=[redacted]|_OF_MY_OWN=token=[redacted]|"
                       "DB_PASSWORD=[redacted]|PWD=/root|"
                       "COREDUMP_ENVIRON=A=1\nAPI_KEY=[redacted]\nB=2|URL=zk://a:[redacted]@c|");
    }
}
