#include "cli/cli.hpp"

#include <malloc.h>

#include <csignal>

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    ::mallopt(M_ARENA_MAX, 2);  // few threads: one more arena each would only cost memory
    return opsd::cli::run(argc, argv);
}
