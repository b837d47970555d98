#pragma once
// Runs the command line in this process, as a shell would.

#include "cli/cli.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::test {

struct Outcome {
    int status;
    std::string out;
    std::string err;
};

/// What the surroundings of a test run set is not opsd's configuration.
inline void forget_environment()
{
    std::vector<std::string> names;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text{*entry};
        if (text.starts_with("OPSD_")) names.emplace_back(text.substr(0, text.find('=')));
    }
    for (const auto& name : names)
        ::unsetenv(name.c_str());
}

inline Outcome run_opsd(std::vector<std::string> words)
{
    forget_environment();
    words.insert(words.begin(), "opsd");
    std::vector<char*> argv;
    for (auto& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = cli::run(static_cast<int>(words.size()), argv.data());
    std::fflush(stdout);
    std::fflush(stderr);
    auto out = testing::internal::GetCapturedStdout();
    return {status, std::move(out), testing::internal::GetCapturedStderr()};
}

}  // namespace opsd::test
