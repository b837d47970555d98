#include "cli/cli.hpp"
#include "io/sandbox/task_reader.hpp"

#include <malloc.h>

#include <csignal>
#include <string_view>

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    // No command: before anything else runs in the one process that may read files of others.
    if (argc == 2 && std::string_view{argv[1]} == opsd::sandbox::reader_word)
        return opsd::sandbox::run_task_reader();
    ::mallopt(M_ARENA_MAX, 2);  // few threads: one more arena each would only cost memory
    return opsd::cli::run(argc, argv);
}
