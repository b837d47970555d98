#include "core/gzip.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace opsd {
namespace {

// Around the blocks of 65,535 bytes in which what cannot be packed is stored.
constexpr std::array<std::size_t, 10> sizes{0, 1, 2, 100, 65'534, 65'535, 65'536, 131'070, 131'071, 300'000};

std::string random_bytes(std::size_t size)
{
    std::mt19937 random{7};
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i)
        bytes += static_cast<char>(random() % 256);
    return bytes;
}

std::string repetitive_bytes(std::size_t size)
{
    std::string bytes;
    while (bytes.size() < size)
        bytes += "{\"message\":\"entry " + std::to_string(bytes.size() % 100) + "\"}\n";
    bytes.resize(size);
    return bytes;
}

void comes_back(const std::string& plain, int level)
{
    const auto packed = gzip(plain, level);
    ASSERT_FALSE(packed.empty()) << plain.size() << " bytes, level " << level;
    const auto unpacked = gunzip(packed, plain.size() + 1);
    ASSERT_TRUE(unpacked) << plain.size() << " bytes, level " << level << ": " << unpacked.error().message;
    EXPECT_TRUE(*unpacked == plain) << plain.size() << " bytes, level " << level;
}

TEST(Gzip, WhatIsPackedComesBack)
{
    for (const auto level : {gzip_fast, gzip_thorough}) {
        for (const auto size : sizes) {
            comes_back(random_bytes(size), level);
            comes_back(repetitive_bytes(size), level);
        }
    }
}

TEST(Gzip, RepetitionIsPackedAndNoiseHardlyGrows)
{
    for (const auto level : {gzip_fast, gzip_thorough}) {
        EXPECT_LT(gzip(repetitive_bytes(300'000), level).size(), 30'000U) << level;
        EXPECT_LT(gzip(random_bytes(300'000), level).size(), 300'200U) << level;
    }
}

TEST(Gzip, NoMoreIsUnpackedThanAllowed)
{
    const auto packed = gzip(repetitive_bytes(300'000), gzip_fast);
    const auto refused = gunzip(packed, 299'999);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_TRUE(gunzip(packed, 300'000));
    const auto torn = gunzip(std::string_view{packed}.substr(0, packed.size() - 1), 400'000);
    ASSERT_FALSE(torn);
    EXPECT_EQ(torn.error().code, Errc::protocol);
}

}  // namespace
}  // namespace opsd
