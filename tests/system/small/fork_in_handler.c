// SPDX-License-Identifier: Apache-2.0
//
// A signal handler forks while the only thread of the process allocates: the fork must not wait for what that thread holds,
// and both processes go on.

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "check.h"

#define FORKS 500

static volatile sig_atomic_t forks;

static void fork_here(int signal) {
  (void)signal;
  int error = errno;
  pid_t child = fork();
  if (child == 0) _exit(3);
  int status;
  CHECK(child > 0);
  while (waitpid(child, &status, 0) != child) CHECK(errno == EINTR);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
  forks++;
  errno = error;
}

int main(void) {
  // A deadlock ends here.
  alarm(20);
  struct itimerval often = {{0, 1000}, {0, 1000}};
  CHECK(signal(SIGPROF, fork_here) != SIG_ERR);
  CHECK(setitimer(ITIMER_PROF, &often, NULL) == 0);
  while (forks < FORKS) {
    void *blocks[50];
    for (int i = 0; i < 50; i++) CHECK((blocks[i] = malloc(i % 2 ? 100000 : 100)) != NULL);
    for (int i = 0; i < 50; i++) free(blocks[i]);
  }
  struct itimerval never = {0};
  CHECK(setitimer(ITIMER_PROF, &never, NULL) == 0);
  puts("passed");
  return 0;
}
