// SPDX-License-Identifier: Apache-2.0
//
// fork_stdio SECONDS: one thread reads lines with getline, which allocates under a stream's lock; one flushes all streams,
// which takes each stream's lock under that of the list of streams; one forks, which takes the list's lock. All of them must
// get on to the end.

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"

#define LINES 20
#define LINE_BYTES 200000
#define FORKS_AT_LEAST 20

static volatile int stopping;
static volatile size_t reads, flushes, forks;
static FILE *lines;

static void *read_lines(void *unused) {
  while (!stopping) {
    char *line = NULL;
    size_t capacity = 0;
    rewind(lines);
    while (getline(&line, &capacity, lines) > 0) {
    }
    free(line);
    reads++;
  }
  return unused;
}

static void *flush(void *unused) {
  while (!stopping) {
    CHECK(fflush(NULL) == 0);
    flushes++;
  }
  return unused;
}

static void *fork_often(void *unused) {
  while (!stopping) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      alarm(10);
      free(malloc(1000));
      fflush(stdout);
      _exit(3);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
    forks++;
  }
  return unused;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  // A deadlock ends here.
  alarm(20);
  lines = tmpfile();
  CHECK(lines != NULL);
  for (int line = 0; line < LINES; line++) {
    for (int i = 0; i < LINE_BYTES; i++) CHECK(fputc('x', lines) == 'x');
    CHECK(fputc('\n', lines) == '\n');
  }
  void *(*const work[])(void *) = {read_lines, flush, fork_often};
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, work[i], NULL) == 0);
  time_t end = time(NULL) + atoi(argv[1]);
  while (time(NULL) < end || reads == 0 || flushes == 0 || forks < FORKS_AT_LEAST) usleep(10000);
  stopping = 1;
  for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(fclose(lines) == 0);
  puts("passed");
  return 0;
}
