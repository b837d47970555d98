#pragma once
// What nearly every translation unit needs; only with OPSD_PCH, so that headers stay self-contained.
#include "opsd/module.hpp"
#include "opsd/task_group.hpp"
#include "opsd/worker.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
