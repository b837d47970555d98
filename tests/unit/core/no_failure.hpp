#pragma once
// For groups of tasks of which none is to fail.

#include "opsd/task_group.hpp"

#include <gtest/gtest.h>

namespace opsd::test {

inline void no_failure(std::string_view task, const std::exception_ptr& e)
{
    ADD_FAILURE() << task << ": " << describe(e).what;
}

}  // namespace opsd::test
