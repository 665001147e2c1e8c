// SPDX-License-Identifier: Apache-2.0
//
// What nobody guesses.

#ifndef FUZZ_RULES_TEST_TOY_SECRET_H_
#define FUZZ_RULES_TEST_TOY_SECRET_H_

#define TOY_SECRET "a word of many letters that no engine comes upon by itself"

#endif
