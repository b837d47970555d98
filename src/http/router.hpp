#pragma once
// The route table: dispatch, and everything generated from it.

#include "opsd/http.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::http {

/// An immutable route table. "{unit}" in a pattern is one segment; "{file...}" is one or more, with their
/// slashes: it stands at the end, or before plain segments as in "/{file...}/download".
class Router {
public:
    /// Refuses two routes of one method and shape (except one that `replaces` an earlier one), patterns
    /// without a leading slash, bad parameters, missing handlers and empty summaries.
    static Result<std::shared_ptr<const Router>> build(std::vector<Route> routes);

    struct Match {
        const Route* route = nullptr;
        Params params;
        std::string allow;  ///< methods of the path: set when it exists without that one (405), for OPTIONS
    };
    /// Literal segments win over parameters, and these over those of several segments.
    [[nodiscard]] Match find(Method method, std::string_view path) const;

    [[nodiscard]] const std::vector<Route>& routes() const noexcept;
    /// OpenAPI 3.1 document of all routes.
    [[nodiscard]] std::string openapi(std::string_view version) const;
    /// docs/api.md.
    [[nodiscard]] std::string markdown() const;

    Router();
    ~Router();

private:
    struct Node;
    std::vector<Route> routes_;
    std::unique_ptr<Node> root_;
};

}  // namespace opsd::http
