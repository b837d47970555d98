#include "modules/dcos/secrets.hpp"

#include <gtest/gtest.h>

namespace opsd::dcos {
namespace {

std::string in_pieces(std::string_view text, std::size_t size, std::uint64_t* count = nullptr)
{
    AddressSecrets secrets;
    std::string out;
    for (; !text.empty(); text.remove_prefix(std::min(size, text.size())))
        out += secrets.pass(text.substr(0, size));
    out += secrets.end();
    if (count != nullptr) *count = secrets.taken_out();
    return out;
}

TEST(DcosSecrets, PasswordsInAddressesGoWhereverThePiecesPartThem)
{
    const std::string text =
        R"({"zk":"zk://ops:s3cret@10.0.0.1:2181,10.0.0.2:2181/mesos","x":"zk:\/\/u:p@h\/m"})";
    const std::string clean =
        R"({"zk":"zk://[redacted]@10.0.0.1:2181,10.0.0.2:2181/mesos","x":"zk:\/\/[redacted]@h\/m"})";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        std::uint64_t count = 0;
        EXPECT_EQ(in_pieces(text, size, &count), clean) << size;
        EXPECT_EQ(count, 2U);
    }
}

TEST(DcosSecrets, NothingElseChanges)
{
    for (const std::string text :
         {R"({"pid":"slave(1)@127.0.0.1:5051","url":"http://10.0.0.1:8080/a@b","t":"12:30:00"})", "a://b c@d",
          "http://host", "x:/y@z", R"("http:\/\/host\/a@b")", "a:b://", "mail: bob@example",
          "http://host?u=a@b", "http://host#a@b", ":", "::///@", "https://h:1/\"@"}) {
        for (std::size_t size : {1U, 2U, 3U, 100U})
            EXPECT_EQ(in_pieces(text, size), text) << size;
    }
}

TEST(DcosSecrets, HoldsBackNoMoreThanAPasswordHas)
{
    const auto text = "x://" + std::string(100'000, 'a') + "@b";
    AddressSecrets secrets;
    EXPECT_GT(secrets.pass(text.substr(0, 50'000)).size(), 48'000U);
    EXPECT_EQ(in_pieces(text, 7), text);
}

}  // namespace
}  // namespace opsd::dcos
