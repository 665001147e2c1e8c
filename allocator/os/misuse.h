// SPDX-License-Identifier: Apache-2.0
//
// How misuse is reported, by whichever layer finds it: to the handler of the program, or on stderr and by abort.
// Layer: os. Called with no lock held.

#ifndef ALLOCATOR_OS_MISUSE_H_
#define ALLOCATOR_OS_MISUSE_H_

#include "allocator/base/compiler.h"
#include "hakmem/misuse.h"

HAK_BEGIN_DECLARATIONS
// Calls the handler; without one, writes the report to stderr and aborts. Fills in the struct's size and message. Returns
// where the handler does: the call that was at fault then does nothing. errno may change.
HAK_INTERNAL void misuse_report(struct hak_misuse *misuse);
// The same for what is known of a pointer alone.
HAK_INTERNAL void misuse_report_pointer(enum hak_misuse_kind kind, const char *function, const void *pointer);
// A kind in words.
HAK_INTERNAL const char *misuse_message(enum hak_misuse_kind kind);
// NULL is the report on stderr. Returns the one before.
HAK_INTERNAL hak_misuse_handler misuse_set_handler(hak_misuse_handler handler);
HAK_END_DECLARATIONS

#endif  // ALLOCATOR_OS_MISUSE_H_
