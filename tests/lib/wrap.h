/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/wrap.h: a back-end around a real one that counts calls, fails the ones it is told to, and lets a test run code in
 * the middle of a persist. One wrap serves one open log at a time. */
#ifndef STELE_TEST_WRAP_H
#define STELE_TEST_WRAP_H

#include "core/open.h"

#include <stdatomic.h>

struct wrap {
    struct stele__media inner;
    struct stele__media media; /* hand this to the log */
    _Atomic uint64_t creates, opens, persists, renames, unlinks, dir_syncs;
    _Atomic uint64_t
        fail_persist_at; /* the persist with this number (from 1) fails, and later ones too; 0: none */
    _Atomic int fail_errno;
    _Atomic uint64_t fail_create_at;
    void (*on_persist)(void *ctx, uint64_t number, uint64_t bytes); /* before it is done; may be NULL */
    void *ctx;
};

void wrap_init(struct wrap *wrap); /* around the class "none" */
struct stele *wrap_open(struct wrap *wrap, const char *path, const struct stele_options *options,
                        bool helper);

#endif
