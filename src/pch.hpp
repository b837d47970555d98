#pragma once
// What nearly every translation unit needs; only with OPSD_PCH, so that headers stay self-contained.
#include "opsd/module.hpp"

#include <fmt/format.h>
