// SPDX-License-Identifier: Apache-2.0
//
// The seeded bugs of bugs.def for a fuzz program that was compiled with HAK_SEEDED_BUG: which one is on, and what became of
// it. Layer: seeded; calls nothing of the allocator.
//
// The program holds every bug of every variant that it includes. One is chosen by the environment, before the first call of
// the allocator and before there are threads; without that, or where the allocator was compiled without them, none is on.

#ifndef FUZZ_SEEDED_SEEDED_BUGS_H_
#define FUZZ_SEEDED_SEEDED_BUGS_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The environment variable: a number or a name of bugs.def.
#define SEEDED_BUG_VARIABLE "FUZZ_SEEDED_BUG"
// A file of 64 KiB in which struct hak_seeded_bug is then, shared by all processes that are given it: the counters outlive a
// program that an oracle ended, and those of a program whose output goes nowhere are seen.
#define SEEDED_BUG_COUNTS_VARIABLE "FUZZ_SEEDED_COUNTS"

struct seeded_bug {
  uint32_t number;
  const char *name, *file, *levels, *targets, *oracles, *precedent, *description;
};

// A bug by its number or name; NULL if there is none.
const struct seeded_bug *seeded_bug_find(const char *number_or_name);
// Turns the bug of the environment variable on and returns it, or NULL where the variable is not set. Ends the program with a
// message where there is no such bug: a measurement with a misspelt name would be one of the allocator as it is.
const struct seeded_bug *seeded_bug_choose(void);
// How often the bug's place was passed, and how often that made a difference, as far as the place can tell.
uint64_t seeded_bug_reached(void);
uint64_t seeded_bug_triggered(void);
// Writes "seeded bug NUMBER NAME: reached N triggered N" to a file descriptor, if one is on. Allocates nothing, so that it may
// be called where an oracle failed.
void seeded_bug_print(int file_descriptor);

#ifdef __cplusplus
}
#endif

#endif  // FUZZ_SEEDED_SEEDED_BUGS_H_
