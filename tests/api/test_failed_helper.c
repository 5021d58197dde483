/* SPDX-License-Identifier: BSD-3-Clause */
/* test_failed_helper.c: the helper thread meets a failure while it seals or prepares, which is nobody's sync. Whoever
 * sleeps until a record is durable is told all the same: no round will ever end that could wake him. */
#include "lib/child.h"
#include "lib/dir.h"
#include "lib/wrap.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include "core/log.h"

struct scene {
    struct wrap wrap;
    struct stele *log;
    struct gate commit_is_over;
    bool committed;
    pthread_t thread;
    int result;
};

/* In the helper thread. The commit of the full segment goes through; what fails is the next page, of an index or a header,
 * and it fails when somebody sleeps whom that commit did not wake. */
static void fail_what_follows_the_commit(void *ctx, uint64_t number, uint64_t bytes)
{
    struct scene *scene = ctx;
    scene->committed |= bytes == SEGMENT_SMALL;
    if (!scene->committed || bytes != STELE__HEADER_BYTES || atomic_load(&scene->wrap.fail_persist_at) != 0)
        return;
    atomic_store(&scene->wrap.fail_persist_at, number);
    gate_open(&scene->commit_is_over);
    while (atomic_load(&scene->log->sync.followers) == 0) /* he counts himself right before he sleeps */
        sched_yield();
    for (int i = 0; i < 200; i++)
        sched_yield();
}

static void *wait_for_ever(void *argument)
{
    struct scene *scene = argument;
    gate_pass(&scene->commit_is_over);
    scene->result = stele_durable_wait(scene->log, 100 * SEGMENT_SMALL, STELE_WAIT_FOREVER);
    return NULL;
}

static void a_sleeper_is_told_of_a_failure_that_is_nobodys_sync(void **state)
{
    struct dir *dir = *state;
    struct scene scene = {.result = 0};
    struct stele_options options = log_options(STELE_CREATE);
    options.idle_mark_ns = UINT64_MAX; /* no round but that of the full segment */
    wrap_init(&scene.wrap);
    scene.log = wrap_open(&scene.wrap, dir->log, &options, true);
    struct stele_region region;
    while (stele_region(scene.log, &region, 1) < 3) /* then nothing but the commit is to be done */
        sched_yield();
    atomic_store(&scene.wrap.fail_errno, EIO);
    scene.wrap.ctx = &scene;
    scene.wrap.on_persist = fail_what_follows_the_commit;
    int event = stele_durable_eventfd(scene.log);
    must(event >= 0);
    gate_init(&scene.commit_is_over);
    must(pthread_create(&scene.thread, NULL, wait_for_ever, &scene) == 0);
    (void)append_until_segment(scene.log, 0, 1);
    must(pthread_join(scene.thread, NULL) == 0);
    returns(STELE_EFAILED, scene.result);
    struct pollfd polled = {.fd = event, .events = POLLIN};
    must(poll(&polled, 1, -1) == 1);
    returns(STELE_EFAILED, stele_close(scene.log));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LAW(name) cmocka_unit_test_setup_teardown(name, dir_setup_memory, dir_teardown)
        LAW(a_sleeper_is_told_of_a_failure_that_is_nobodys_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
