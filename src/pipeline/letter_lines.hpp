#pragma once
// A file of letters read line by line: what is held is a piece and a line, however large the file is. Blocks.

#include "opsd/result.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace opsd::pipeline {

/// Hands on each line that is not empty, without its line break, also a last one without; a line longer than
/// that is handed on up to there. A file that is not there has none.
Result<> each_line(const std::string& path, std::size_t longest,
                   const std::function<void(std::string_view line)>& take);

}  // namespace opsd::pipeline
