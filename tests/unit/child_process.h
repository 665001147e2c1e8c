// SPDX-License-Identifier: Apache-2.0
//
// Children for tests: a forked one that runs a function in a copy of this process, and one that runs this program again,
// from the start, with an environment of its own. Both are killed if they do not end: a child that hangs fails the test
// with the signal's number and does not hang it.

#ifndef HAKMEM_TESTS_UNIT_CHILD_PROCESS_H_
#define HAKMEM_TESTS_UNIT_CHILD_PROCESS_H_

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

namespace hak_test {

constexpr unsigned kChildSeconds = 120;

inline std::string DescribeStatus(int status) {
  if (WIFEXITED(status)) return "exit status " + std::to_string(WEXITSTATUS(status));
  if (!WIFSIGNALED(status)) return "wait status " + std::to_string(status);
  const int signal = WTERMSIG(status);
  return "signal " + std::to_string(signal) + (signal == SIGALRM ? " (it did not end: a deadlock?)" : "");
}

// In a child: says why and ends it. Uses no heap.
__attribute__((noreturn, format(printf, 1, 2))) inline void ChildFails(const char *format, ...) {
  char text[500];
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(text, sizeof text - 1, format, arguments);
  va_end(arguments);
  text[length < 0 ? 0 : length] = '\n';
  if (write(STDERR_FILENO, text, static_cast<size_t>(length) + 1) < 0) _exit(98);
  _exit(99);
}

// Forks, runs body in the child, which ends with what body returns, and gives the child's wait status; -1 if there was
// no child.
template <typename Body>
int RunInChild(Body body) {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    signal(SIGALRM, SIG_DFL);
    alarm(kChildSeconds);
    _exit(body());
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

struct Outcome {
  int status = -1;
  std::string output, errors;
};

// Runs this program again with these arguments, and with the NAME=value pairs in the environment.
inline Outcome RunSelf(const std::vector<std::string> &arguments, const std::vector<std::string> &environment) {
  Outcome outcome;
  int output[2], errors[2];
  if (pipe(output) != 0 || pipe(errors) != 0) return outcome;
  std::vector<char *> argv, envp;
  static char self[] = "/proc/self/exe";
  argv.push_back(self);
  for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  for (char **entry = environ; *entry != nullptr; ++entry) {
    // A test runner's output file and shard are not for the child.
    const bool inherited = strncmp(*entry, "GTEST_", 6) != 0 && strncmp(*entry, "XML_", 4) != 0 &&
                           strncmp(*entry, "TEST_", 5) != 0 && strncmp(*entry, "HAKMEM_", 7) != 0;
    if (inherited) envp.push_back(*entry);
  }
  for (const std::string &entry : environment) envp.push_back(const_cast<char *>(entry.c_str()));
  envp.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(output[1], STDOUT_FILENO);
    dup2(errors[1], STDERR_FILENO);
    for (int descriptor : {output[0], output[1], errors[0], errors[1]}) close(descriptor);
    signal(SIGALRM, SIG_DFL);
    alarm(kChildSeconds);
    execve(self, argv.data(), envp.data());
    _exit(97);
  }
  close(output[1]);
  close(errors[1]);
  const auto drain = [](int descriptor, std::string *text) {
    char buffer[4096];
    for (ssize_t n; (n = read(descriptor, buffer, sizeof buffer)) > 0;) text->append(buffer, static_cast<size_t>(n));
    close(descriptor);
  };
  std::thread reader(drain, errors[0], &outcome.errors);
  drain(output[0], &outcome.output);
  reader.join();
  if (child > 0) {
    while (waitpid(child, &outcome.status, 0) < 0 && errno == EINTR) {
    }
  }
  return outcome;
}

}  // namespace hak_test

#endif  // HAKMEM_TESTS_UNIT_CHILD_PROCESS_H_
