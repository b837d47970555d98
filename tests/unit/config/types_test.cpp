#include "sample.hpp"

#include <sys/stat.h>

#include <limits>

using namespace opsd;
using namespace opsd::config;
using namespace opsd::config::test;

namespace {

/// The value that the text decodes to, shown again; or the mistake.
template <class T>
std::string decoded(const Value& value)
{
    T to{};
    const auto done = decode(value, to);
    if (!done) {
        EXPECT_EQ(done.error().code, Errc::invalid_argument);
        return done.error().message;
    }
    return show(encode(to));
}

template <class T>
std::string decoded(const std::string& text)
{
    return decoded<T>(*yaml("v: " + text + "\n").find("v"));
}

}  // namespace

TEST(ConfigTypes, ABooleanIsTrueOrFalse)
{
    EXPECT_EQ(decoded<bool>("true"), "true");
    EXPECT_EQ(decoded<bool>("false"), "false");
    EXPECT_EQ(decoded<bool>("yes"), "is yes, must be true or false");
    EXPECT_EQ(decoded<bool>("True"), "is True, must be true or false");
    EXPECT_EQ(decoded<bool>("\"true\""), "is \"true\", must be true or false");
    EXPECT_EQ(decoded<bool>("1"), "is 1, must be true or false");
    EXPECT_EQ(decoded<bool>(""), "is empty, must be true or false");
    EXPECT_EQ(decoded<bool>("[true]"), "is a list, must be true or false");
}

TEST(ConfigTypes, AnIntegerIsBareDecimalAndFits)
{
    EXPECT_EQ(decoded<std::int64_t>("10"), "10");
    EXPECT_EQ(decoded<std::int64_t>("0"), "0");
    EXPECT_EQ(decoded<std::int64_t>("-5"), "-5");
    EXPECT_EQ(decoded<std::int64_t>("9223372036854775807"), "9223372036854775807");
    EXPECT_EQ(decoded<std::int64_t>("-9223372036854775808"), "-9223372036854775808");
    EXPECT_EQ(decoded<std::int64_t>("9223372036854775808"),
              "is 9223372036854775808, must be an integer of 64 bits");
    EXPECT_EQ(decoded<std::int64_t>("\"10\""), "is \"10\", must be an integer, without quotes");
    EXPECT_EQ(decoded<std::int64_t>("010"), "is 010, must be an integer without leading zeros");
    for (const auto* bad : {"0x10", "1_000", "+5", "1.0", "1e3", "ten", "-x", "5s"})
        EXPECT_TRUE(decoded<std::int64_t>(bad).ends_with(", must be an integer")) << bad;
    EXPECT_EQ(decoded<std::int64_t>("{a: 1}"), "is a section, must be an integer");
}

TEST(ConfigTypes, ANumberIsBareAndFinite)
{
    EXPECT_EQ(decoded<double>("0.25"), "0.25");
    EXPECT_EQ(decoded<double>("-3"), "-3");
    EXPECT_EQ(decoded<double>("1e20"), "1e+20");
    EXPECT_EQ(decoded<double>("1e-9"), "1e-09");
    EXPECT_EQ(decoded<double>("\"1\""), "is \"1\", must be a number, without quotes");
    for (const auto* bad : {"inf", "nan", ".inf", "1e999", "1.5.2", "1.5x"})
        EXPECT_TRUE(decoded<double>(bad).ends_with(", must be a number")) << bad;
}

TEST(ConfigTypes, AStringIsAnyScalar)
{
    EXPECT_EQ(decoded<std::string>("auto"), "\"auto\"");
    EXPECT_EQ(decoded<std::string>("1.10"), "\"1.10\"") << "the text as written, not a number";
    EXPECT_EQ(decoded<std::string>("\"\""), "\"\"");
    EXPECT_EQ(decoded<std::string>(""), "is empty, must be a string; write \"\" for none");
    EXPECT_EQ(decoded<std::string>("[a]"), "is a list, must be a string");
}

TEST(ConfigTypes, ADurationHasUnitsInDescendingOrder)
{
    const auto ms = [](const std::string& text) {
        Duration d{-1};
        EXPECT_TRUE(decode(Value::scalar(text), d)) << text;
        return d.count();
    };
    EXPECT_EQ(ms("250ms"), 250);
    EXPECT_EQ(ms("10s"), 10'000);
    EXPECT_EQ(ms("1m30s"), 90'000);
    EXPECT_EQ(ms("7d"), 604'800'000);
    EXPECT_EQ(ms("1d2h3m4s5ms"), 93'784'005);
    EXPECT_EQ(ms("0"), 0);
    EXPECT_EQ(ms("0s"), 0);
    EXPECT_EQ(ms("90m"), 5'400'000);
    EXPECT_EQ(decoded<Duration>("90m"), "1h30m");
    EXPECT_EQ(decoded<Duration>("\"10s\""), "10s") << "JSON can only quote it";
    const std::string form = ", must be a duration with units, such as 250ms, 10s, 1m30s or 7d";
    for (const auto* bad :
         {"10", "-5s", "1.5h", "30s1m", "1s1s", "s", "10 s", "1h30", "5x", "1ms1s", "+1s", "5S"}) {
        EXPECT_TRUE(decoded<Duration>(bad).ends_with(form)) << bad << ": " << decoded<Duration>(bad);
    }
    EXPECT_EQ(decoded<Duration>("10"), "is 10" + form);
    EXPECT_EQ(decoded<Duration>(""), "is empty" + form);
    EXPECT_EQ(decoded<Duration>("[10s]"), "is a list" + form);
}

TEST(ConfigTypes, ADurationThatWouldOverflowIsRefused)
{
    EXPECT_EQ(decoded<Duration>("36500d"), "36500d");
    EXPECT_EQ(decoded<Duration>("36500d1ms"), "is 36500d1ms, must be at most 36500d");
    EXPECT_EQ(decoded<Duration>("9223372036854775807d"), "is 9223372036854775807d, must be at most 36500d");
    EXPECT_EQ(decoded<Duration>("99999999999999999999s"), "is 99999999999999999999s, must be at most 36500d");
}

TEST(ConfigTypes, ASizeHasAUnit)
{
    const auto bytes = [](const std::string& text) {
        Bytes b{1};
        EXPECT_TRUE(decode(Value::scalar(text), b)) << text;
        return b.count;
    };
    EXPECT_EQ(bytes("8MiB"), 8U << 20);
    EXPECT_EQ(bytes("512KiB"), 512U << 10);
    EXPECT_EQ(bytes("2GB"), 2'000'000'000U);
    EXPECT_EQ(bytes("100B"), 100U);
    EXPECT_EQ(bytes("1kB"), 1000U);
    EXPECT_EQ(bytes("0"), 0U);
    EXPECT_EQ(decoded<Bytes>("1024KiB"), "1MiB");
    EXPECT_EQ(decoded<Bytes>("1500000B"), "1500KB");
    EXPECT_EQ(decoded<Bytes>("1025B"), "1025B");
    EXPECT_EQ(decoded<Bytes>("8388607TiB"), "8388607TiB");
    const std::string form = ", must be a size with a unit, such as 512KiB, 8MiB or 2GB";
    for (const auto* bad : {"8", "8M", "8Mi", "-8MiB", "1.5GB", "8MiB1B", "MiB", "8 MiB", "8mib"}) {
        EXPECT_TRUE(decoded<Bytes>(bad).ends_with(form)) << bad << ": " << decoded<Bytes>(bad);
    }
    EXPECT_EQ(decoded<Bytes>("8388608TiB"), "is 8388608TiB, must be less than 8388608TiB");
    EXPECT_EQ(decoded<Bytes>("99999999999999999999B"),
              "is 99999999999999999999B, must be less than 8388608TiB");
}

TEST(ConfigTypes, WhatIsEncodedDecodesToTheSame)
{
    for (const std::int64_t ms :
         {0L, 1L, 999L, 1000L, 59'999L, 86'400'000L, 123'456'789L, 3'153'600'000'000L}) {
        Duration back{-1};
        ASSERT_TRUE(decode(encode(Duration{ms}), back)) << ms;
        EXPECT_EQ(back.count(), ms);
    }
    for (const std::uint64_t n :
         {0UL, 1UL, 1000UL, 1024UL, 1'000'000'000'000UL, 1UL << 40U, (1UL << 62U) + 1}) {
        Bytes back{7};
        ASSERT_TRUE(decode(encode(Bytes{n}), back)) << n;
        EXPECT_EQ(back.count, n);
    }
}

TEST(ConfigTypes, AListOfStringsNamesTheItemThatIsNone)
{
    EXPECT_EQ(decoded<std::vector<std::string>>("[a, \"b c\", 3]"), "[\"a\", \"b c\", \"3\"]");
    EXPECT_EQ(decoded<std::vector<std::string>>("[]"), "[]");
    EXPECT_EQ(decoded<std::vector<std::string>>("a"), "is a, must be a list of strings, such as [a, b]");
    EXPECT_EQ(decoded<std::vector<std::string>>("[a, ~]"), "item 2 is empty, must be a string");
    EXPECT_EQ(decoded<std::vector<std::string>>("[[a]]"), "item 1 is a list, must be a string");
}

TEST(ConfigTypes, ALongTextIsNotRepeatedInAMistake)
{
    EXPECT_EQ(decoded<bool>(std::string(500, 'x')), "is a text of 500 bytes, must be true or false");
}

TEST(ConfigTypes, ASecretIsAReferenceAndAMistakeNeverShowsIt)
{
    const std::string form = "must be {file: PATH} or {credential: NAME}, never the secret itself";
    EXPECT_EQ(decoded<Secret>("{file: /etc/opsd/token}"), "{file: \"/etc/opsd/token\"}");
    EXPECT_EQ(decoded<Secret>("{credential: token}"), "{credential: \"token\"}");
    EXPECT_EQ(decoded<Secret>(""), "null");
    EXPECT_EQ(decoded<Secret>("hunter2"), form);
    EXPECT_EQ(decoded<Secret>("[hunter2]"), form);
    EXPECT_EQ(decoded<Secret>("{hunter2: x}"), "unknown key, " + form);
    EXPECT_EQ(decoded<Secret>("{file: /a, credential: b}"), form);
    EXPECT_EQ(decoded<Secret>("{file: }"), "file must be a text, " + form);
    EXPECT_EQ(decoded<Secret>("{file: \"a\\0b\"}"), "contains a NUL, " + form);
    EXPECT_EQ(decoded<Secret>("{credential: ../shadow}"),
              "credential must be a name without \"/\", as in LoadCredential=NAME:PATH");
    EXPECT_EQ(decoded<Secret>("{credential: ..}"),
              "credential must be a name without \"/\", as in LoadCredential=NAME:PATH");
}

TEST(ConfigSecret, IsReadWithoutItsLastNewline)
{
    const Directory directory;
    const auto path = directory.write("token", "s3cret\n\n");
    EXPECT_EQ((Secret{Secret::From::file, path}.read("").value()), "s3cret\n");
    EXPECT_EQ((Secret{Secret::From::credential, "token"}.read(directory.path("")).value()), "s3cret\n");
    const auto whole = directory.write("large", std::string(64 * 1024, 'x'));
    EXPECT_EQ((Secret{Secret::From::file, whole}.read("").value().size()), 64U * 1024);
}

TEST(ConfigSecret, EveryFailureSaysWhatToDo)
{
    const Directory directory;
    const auto failure = [](const Secret& secret, const std::string& credentials = {}) {
        auto read = secret.read(credentials);
        EXPECT_FALSE(read);
        return read ? Error{} : read.error();
    };
    const auto none = failure({});
    EXPECT_EQ(none.message,
              "cannot read the secret: none is configured; write {file: PATH} or {credential: NAME}");
    const auto missing = failure({Secret::From::file, "/nonexistent/token"});
    EXPECT_EQ(missing.code, Errc::not_found);
    EXPECT_EQ(missing.message, "cannot read the secret /nonexistent/token: No such file or directory");
    const auto unset = failure({Secret::From::credential, "token"});
    EXPECT_EQ(unset.code, Errc::not_found);
    EXPECT_EQ(unset.message, "cannot read the credential token: systemd passed none to opsd; add "
                             "LoadCredential=token:PATH to the [Service] section of opsd.service");
    const auto folder = failure({Secret::From::file, directory.path("")});
    EXPECT_EQ(folder.code, Errc::invalid_argument);
    EXPECT_TRUE(folder.message.ends_with(": it is not a regular file")) << folder.message;
    const auto large =
        failure({Secret::From::file, directory.write("large", std::string(64 * 1024 + 1, 'x'))});
    EXPECT_TRUE(large.message.ends_with(": it is larger than 65536 bytes")) << large.message;
    const auto empty = failure({Secret::From::file, directory.write("empty", "\n")});
    EXPECT_EQ(empty.message, "cannot use the secret " + directory.path("empty") + ": the file is empty");
}

TEST(ConfigSecret, AFifoDoesNotBlock)
{
    const Directory directory;
    const auto path = directory.path("fifo");
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_EQ((Secret{Secret::From::file, path}.read("").error().code), Errc::invalid_argument);
}
