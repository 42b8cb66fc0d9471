// SPDX-License-Identifier: Apache-2.0

// libFuzzer's own loop, for a program that brings its own main (FuzzerInterface.h).

#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*UserCb)(const uint8_t *Data, size_t Size));
