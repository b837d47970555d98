#pragma once
// What nearly every test needs; only with OPSD_PCH.
#include "../src/pch.hpp"

#include <gtest/gtest.h>
