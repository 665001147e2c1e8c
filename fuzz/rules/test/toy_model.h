// SPDX-License-Identifier: Apache-2.0
//
// A library that the toy fuzz target calls and that is not to be instrumented, as a reference model.

#ifndef FUZZ_RULES_TEST_TOY_MODEL_H_
#define FUZZ_RULES_TEST_TOY_MODEL_H_

#include <stddef.h>
#include <stdint.h>

int toy_model_sum(const uint8_t *data, size_t size);

#endif
