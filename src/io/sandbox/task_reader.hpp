#pragma once
// The process that opens files of tasks for the daemon: `opsd task-reader`, which nobody types.
//
// In: requests (reader_protocol.hpp) on its standard input, a socket that only the daemon has the other end
// of. Out: descriptors. Promises: it has the right to read files of others and no other, opens files below
// one folder, which is fixed by the first request, and nothing else; it ends with the daemon, and at the
// first request that it does not understand. It says one line, when it ends for another reason.

namespace opsd::sandbox {

/// The first argument that makes a program of ours the reader.
inline constexpr const char* reader_word = "task-reader";

/// Does not return before the end; the exit status.
int run_task_reader();

/// Answers until the other end is closed, with the rights of this process: the part of it that tests run
/// beside themselves. 0: the other end was closed.
int answer_requests(int socket);

}  // namespace opsd::sandbox
