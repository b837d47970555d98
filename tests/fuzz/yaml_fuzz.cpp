// Configurations: whatever the bytes, there is a value or one mistake with a line of the file; what was read
// can be merged and written, and reads back to the same.

#include "opsd/config.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace {

using namespace opsd::config;

void require(bool holds, const char* promise, const std::string& evidence = {})
{
    if (holds) return;
    std::fprintf(stderr, "broken: %s\n%s\n", promise, evidence.c_str());
    std::abort();
}

struct Inner {
    std::int64_t number = 5;
    std::string text = "x";
};

struct Options {
    bool truth = true;
    double real = 1;
    Duration duration{1000};
    Bytes size{1024};
    Secret secret;
    std::vector<std::string> words;
    std::vector<Inner> list;
    Inner inner;
};

const std::vector<SectionSchema>& sections()
{
    static const auto inner =
        Schema<Inner>{}.field(&Inner::number, "number", "N").field(&Inner::text, "text", "T");
    static const std::vector<SectionSchema> all{
        {"s", "S",
         AnySchema{Schema<Options>{}
                       .field(&Options::truth, "truth", "B")
                       .field(&Options::real, "real", "R")
                       .field(&Options::duration, "duration", "D")
                       .field(&Options::size, "size", "S")
                       .field(&Options::secret, "secret", "S")
                       .field(&Options::words, "words", "W")
                       .list(&Options::list, "list", "L", inner)
                       .section(&Options::inner, "inner", "I", inner)}}};
    return all;
}

void reads_back(const Value& value, const char* promise)
{
    const auto text = to_yaml(value);
    const auto again = parse_yaml(text, "again");
    require(again.has_value(), promise, again ? "" : again.error().to_string() + "\n" + text);
    require(*again == value, promise, text);
}

/// What passes its schema is shown in full, and that passes too and shows the same.
void effective_is_stable(const Value& root)
{
    Mistakes mistakes;
    for (const auto& section : sections())
        section.schema.check(root.find(section.name), section.name, mistakes);
    for (const auto& mistake : mistakes)
        require(!mistake.to_string().contains('\n'), "a mistake is one line", mistake.to_string());
    if (!mistakes.empty()) return;
    const auto text = effective(root, sections());
    const auto again = parse_yaml(text, "effective");
    require(again.has_value(), "the effective configuration parses", text);
    for (const auto& section : sections())
        section.schema.check(again->find(section.name), section.name, mistakes);
    require(mistakes.empty(), "the effective configuration has no mistakes", text);
    require(effective(*again, sections()) == text, "the effective configuration is stable", text);
}

void as_a_flag(const std::string& text)
{
    Sources sources;
    sources.file = "/nonexistent/opsd.yaml";
    sources.directory = "/nonexistent/conf.d";
    for (const auto* key :
         {"s.truth", "s.real", "s.duration", "s.size", "s.secret", "s.words", "s.list", "s.inner", "s"}) {
        sources.settings = {std::string{key} + "=" + text};
        const auto root = load(sources, sections());
        if (root) effective_is_stable(*root);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text{reinterpret_cast<const char*>(data), size};
    const auto lines = 1 + std::ranges::count(text, '\n');
    auto whole = parse_yaml(text, "fuzz");
    if (!whole) {
        const auto& where = whole.error().where;
        require(where.line >= 0 && where.line <= lines + 1, "a mistake names a line of the file",
                whole.error().to_string());
        require(!whole.error().text.contains('\n'), "a mistake is one line", whole.error().text);
    } else {
        reads_back(*whole, "what was read reads back to the same");
        effective_is_stable(*whole);
        // Two documents of the same bytes: halves at a line end.
        const auto half = text.find('\n', size / 2);
        const auto over = parse_yaml(half == std::string::npos ? "" : text.substr(half + 1), "over");
        if (over) {
            merge(*whole, *over);
            reads_back(*whole, "what was merged reads back to the same");
        }
    }
    if (size < 200) as_a_flag(text);
    return 0;
}
