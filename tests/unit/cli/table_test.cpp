#include "cli/completion.hpp"
#include "cli/table.hpp"

#include <gtest/gtest.h>

using namespace opsd::cli;

TEST(Table, ColumnsAreAsWideAsTheirWidestCell)
{
    Table table{{"unit", "why"}};
    table.row({{"a.service"}, {"ok"}});
    table.row({{"longer.service"}, {"bad"}});
    EXPECT_EQ(table.render({}), "UNIT            WHY\n"
                                "a.service       ok\n"
                                "longer.service  bad\n");
}

TEST(Table, TheLastColumnIsCutToTheTerminal)
{
    Table table{{"u", "why"}};
    table.row({{"a"}, {"0123456789"}});
    EXPECT_EQ(table.render({.colour = false, .width = 8}), "U  WHY\na  01234\n");
}

TEST(Table, CountsCharactersNotBytes)
{
    Table table{{"u", "v"}};
    table.row({{"äöü"}, {"x"}});
    table.row({{"abc"}, {"y"}});
    EXPECT_EQ(table.render({}), "U    V\näöü  x\nabc  y\n");
}

TEST(Table, ColourOnlyWhenAsked)
{
    EXPECT_EQ(paint({}, Colour::red, "x"), "x");
    EXPECT_EQ(paint({.colour = true, .width = 0}, Colour::red, "x"), "\x1b[31mx\x1b[0m");
}

TEST(Printable, AUnitsTextCannotDriveTheTerminal)
{
    EXPECT_EQ(printable("a\x1b[2Jb\r\x7f"), "a?[2Jb??");
    EXPECT_EQ(printable("csi \xc2\x9b, kept \xc3\xa4\n"), "csi ?, kept \xc3\xa4\n");
}

TEST(Completion, KnowsEveryCommandOfTheTree)
{
    const CommandTree tree{
        "opsd",        "",
        {"--version"}, {{"unit", "units", {}, {{"show", "one's state", {"--url"}, {}, true}}, false}},
        false,
    };
    const auto bash = completion_script("bash", tree);
    EXPECT_NE(bash.find("\"\") words=\"unit --version\""), std::string::npos) << bash;
    EXPECT_NE(bash.find("\"unit show\") words=\"--url $(opsd unit list"), std::string::npos) << bash;
    const auto fish = completion_script("fish", tree);
    EXPECT_NE(fish.find("-a show -d 'one\\'s state'"), std::string::npos) << fish;
    EXPECT_TRUE(completion_script("tcsh", tree).empty());
}
