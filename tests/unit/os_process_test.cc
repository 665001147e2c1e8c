// SPDX-License-Identifier: Apache-2.0
//
// What os/os.h asks of the process: environment, write, errno, futex, the hooks of threads and of fork.

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "allocator/os/os.h"
#include "tests/unit/fresh_process.h"
#include "tests/unit/test_support.h"

namespace {

using hak_test::ChildFails;

TEST(OsProcessTest, PageSizeIsTheSystems) { EXPECT_EQ(getauxval(AT_PAGESZ), os_page_size()); }

FRESH_TEST(OsProcessTest, Environment) {
  ASSERT_EQ(0, setenv("HAKMEM_TEST_NAME", "a value=with=equals", 1));
  ASSERT_EQ(0, setenv("HAKMEM_TEST_NAME_LONGER", "another", 1));
  ASSERT_EQ(0, setenv("HAKMEM_TEST_EMPTY", "", 1));
  ASSERT_EQ(0, unsetenv("HAKMEM_TEST"));
  EXPECT_STREQ("a value=with=equals", os_environment("HAKMEM_TEST_NAME"));
  EXPECT_STREQ("another", os_environment("HAKMEM_TEST_NAME_LONGER"));
  EXPECT_STREQ("", os_environment("HAKMEM_TEST_EMPTY"));
  EXPECT_EQ(nullptr, os_environment("HAKMEM_TEST")) << "the beginning of a name is no name";
  EXPECT_EQ(nullptr, os_environment("HAKMEM_TEST_NAME_LONGER_STILL"));
  ASSERT_EQ(0, unsetenv("HAKMEM_TEST_NAME"));
  EXPECT_EQ(nullptr, os_environment("HAKMEM_TEST_NAME"));
  EXPECT_STREQ("another", os_environment("HAKMEM_TEST_NAME_LONGER"));
}

// Before libc is initialised, and after clearenv.
FRESH_TEST(OsProcessTest, NoEnvironment) {
  environ = nullptr;
  EXPECT_EQ(nullptr, os_environment("PATH"));
  static char *nothing[] = {nullptr};
  environ = nothing;
  EXPECT_EQ(nullptr, os_environment("PATH"));
}

TEST(OsProcessTest, Errno) {
  errno = EDOM;
  EXPECT_EQ(EDOM, os_error_get());
  os_error_set(ERANGE);
  EXPECT_EQ(ERANGE, errno);
  os_error_set_no_memory();
  EXPECT_EQ(ENOMEM, errno);
  os_error_set_invalid();
  EXPECT_EQ(EINVAL, errno);
}

TEST(OsProcessTest, AbortEndsTheProcessBySignal) {
  const int status = hak_test::RunInChild([]() -> int {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    os_abort();
  });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << hak_test::DescribeStatus(status);
}

// Reads everything from a descriptor in another thread, slowly at first, so that a writer gets less written than it asks.
class Reader {
 public:
  explicit Reader(int descriptor)
      : thread_([this, descriptor] {
          char buffer[5000];
          for (ssize_t n; (n = read(descriptor, buffer, sizeof buffer)) != 0;) {
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) break;
            text_.append(buffer, static_cast<size_t>(n));
            if (text_.size() < 100000) std::this_thread::sleep_for(std::chrono::microseconds(300));
          }
        }) {}
  const std::string &Join() {
    thread_.join();
    return text_;
  }

 private:
  std::string text_;
  std::thread thread_;
};

TEST(OsProcessTest, WriteWritesEverything) {
  int ends[2];
  ASSERT_EQ(0, pipe(ends));
  std::string data(1 << 20, '\0');
  hak_test::FillPattern(&data[0], data.size(), 1);
  Reader reader(ends[0]);
  EXPECT_EQ(0, os_write(ends[1], data.data(), data.size()));
  close(ends[1]);
  EXPECT_TRUE(data == reader.Join());
  close(ends[0]);
}

TEST(OsProcessTest, WriteOfNothing) { EXPECT_EQ(0, os_write(-1, "", 0)); }

TEST(OsProcessTest, WriteGoesOnAfterSignals) {
  struct sigaction action = {}, old_action;
  action.sa_handler = [](int) {};
  ASSERT_EQ(0, sigaction(SIGUSR1, &action, &old_action));  // without SA_RESTART: a blocked write answers EINTR
  int ends[2];
  ASSERT_EQ(0, pipe(ends));
  std::string data(1 << 20, '\0');
  hak_test::FillPattern(&data[0], data.size(), 2);
  static std::atomic<bool> done;
  done = false;
  int result = -1;
  std::thread writer([&] {
    result = os_write(ends[1], data.data(), data.size());
    close(ends[1]);
    done = true;
  });
  // The pipe is full and nobody reads yet: these meet a write that has written nothing.
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    pthread_kill(writer.native_handle(), SIGUSR1);
  }
  Reader reader(ends[0]);
  while (!done) {
    pthread_kill(writer.native_handle(), SIGUSR1);
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  writer.join();
  EXPECT_EQ(0, result);
  EXPECT_TRUE(data == reader.Join());
  close(ends[0]);
  ASSERT_EQ(0, sigaction(SIGUSR1, &old_action, nullptr));
}

TEST(OsProcessTest, WriteReportsErrors) {
  EXPECT_EQ(EBADF, os_write(-1, "x", 1));
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  EXPECT_EQ(ENOSPC, os_write(full, "x", 1));
  close(full);
  int ends[2];
  ASSERT_EQ(0, pipe2(ends, O_NONBLOCK));
  const std::string much(1 << 20, 'x');
  EXPECT_EQ(EAGAIN, os_write(ends[1], much.data(), much.size()));
  void (*const old_handler)(int) = signal(SIGPIPE, SIG_IGN);
  close(ends[0]);
  EXPECT_EQ(EPIPE, os_write(ends[1], "x", 1));
  close(ends[1]);
  signal(SIGPIPE, old_handler);
}

FRESH_TEST(OsProcessTest, WaitReturnsAtOnceWhereTheWordHasChanged) {
  const uint32_t word = 7;
  os_wait(&word, 8);  // hangs, and is killed, if it sleeps
}

FRESH_TEST(OsProcessTest, WakeWakesASleeper) {
  static uint32_t word = 1;
  static std::atomic<bool> awake{false};
  std::thread sleeper([] {
    while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) == 1) os_wait(&word, 1);
    awake = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(awake) << "it did not sleep";
  __atomic_store_n(&word, 2, __ATOMIC_RELEASE);
  os_wake(&word);
  for (int i = 0; i < 60000 && !awake; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (!awake) ChildFails("nobody woke the sleeper");
  sleeper.join();
}

// The hook.

std::atomic<int> hook_calls, destructors_before_hook;
std::atomic<void *> hook_value;
std::atomic<bool> destructor_ran;

void Hook(void *value) {
  ++hook_calls;
  hook_value = value;
  if (destructor_ran) ++destructors_before_hook;
}

struct WithDestructor {
  int touched = 0;
  ~WithDestructor() { destructor_ran = true; }
};

thread_local WithDestructor with_destructor;

FRESH_TEST(OsProcessTest, ThreadHookRunsAfterTheThreadsDestructors) {
  ASSERT_TRUE(os_thread_hook_create(Hook));
  static int mark;
  std::thread([] {
    with_destructor.touched = 1;
    EXPECT_TRUE(os_thread_hook_arm(&mark));
    EXPECT_EQ(0, hook_calls.load());
  }).join();
  EXPECT_EQ(1, hook_calls.load());
  EXPECT_EQ(&mark, hook_value.load());
  EXPECT_TRUE(destructor_ran);
  EXPECT_EQ(1, destructors_before_hook.load()) << "a thread-local object's destructor may still free memory";
}

FRESH_TEST(OsProcessTest, ThreadHookRunsForArmedThreadsOnly) {
  ASSERT_TRUE(os_thread_hook_create(Hook));
  std::thread([] {}).join();
  EXPECT_EQ(0, hook_calls.load());
  static int marks[8];
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([i] { EXPECT_TRUE(os_thread_hook_arm(&marks[i])); });
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(8, hook_calls.load());
  std::thread([] {
    EXPECT_TRUE(os_thread_hook_arm(&marks[0]));
    pthread_exit(nullptr);
  }).join();
  EXPECT_EQ(9, hook_calls.load());
}

FRESH_TEST(OsProcessTest, WithoutAThreadKeyThereIsNoHook) {
  static int mark;
  EXPECT_FALSE(os_thread_hook_arm(&mark)) << "there is no hook yet";
  pthread_key_t key;
  int taken = 0;
  while (pthread_key_create(&key, nullptr) == 0) ++taken;
  ASSERT_GT(taken, 0);
  EXPECT_FALSE(os_thread_hook_create(Hook));
  EXPECT_FALSE(os_thread_hook_arm(&mark));
  ASSERT_EQ(0, pthread_key_delete(key));
  EXPECT_TRUE(os_thread_hook_create(Hook));
  EXPECT_TRUE(os_thread_hook_arm(&mark));
}

int prepared, in_parent, in_child;
pid_t prepared_in;

FRESH_TEST(OsProcessTest, ForkHooksRunWhereTheyShould) {
  ASSERT_TRUE(os_fork_hooks(
      [] {
        ++prepared;
        prepared_in = getpid();
        EXPECT_EQ(0, in_parent + in_child);
      },
      [] { in_parent += prepared; }, [] { in_child += prepared; }));
  const pid_t parent = getpid();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(in_child == 1 && in_parent == 0 && prepared_in == parent ? 0 : 1);
  int status;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status) << hak_test::DescribeStatus(status);
  EXPECT_EQ(1, prepared);
  EXPECT_EQ(1, in_parent);
  EXPECT_EQ(0, in_child);
}

}  // namespace
