#include "modules/logs/grep.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

namespace opsd::logs {

struct Grep::Compiled {
    Compiled(std::string_view pattern, const RE2::Options& options)
      : expression{re2::StringPiece{pattern.data(), pattern.size()}, options}
    {}
    RE2 expression;
};

Grep::Grep(std::string pattern, std::unique_ptr<Compiled> compiled)
  : pattern_{std::move(pattern)}
  , compiled_{std::move(compiled)}
{}

Grep::~Grep() = default;

Result<std::shared_ptr<const Grep>> Grep::compile(std::string_view pattern)
{
    if (pattern.size() > longest)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use grep: its pattern has more than {} bytes", longest));
    RE2::Options options;
    options.set_log_errors(false);
    auto compiled = std::make_unique<Compiled>(pattern, options);
    if (!compiled->expression.ok())
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use grep \"{}\": {}", pattern, compiled->expression.error()));
    return std::shared_ptr<const Grep>{new Grep{std::string{pattern}, std::move(compiled)}};
}

bool Grep::matches(std::string_view text) const
{
    return RE2::PartialMatch(re2::StringPiece{text.data(), text.size()}, compiled_->expression);
}

}  // namespace opsd::logs
