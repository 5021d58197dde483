/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/names.h: any bytes as a file name. */
#ifndef STELE_FUZZ_NAMES_H
#define STELE_FUZZ_NAMES_H

#include "fuzz.h"

void names_judge(const uint8_t *data, size_t size);

#endif
