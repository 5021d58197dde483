/* SPDX-License-Identifier: BSD-3-Clause */
/* base/error.h and base/assert.h: codes, texts, the last error of a thread, the log callback, broken
 * invariants. */
#include "test_format.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOWEST_CODE STELE_ENOENT

static void every_code_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int code = 0; code >= LOWEST_CODE; code--) {
        const char *text = stele_strerror(code);
        assert_non_null(text);
        assert_true(strlen(text) > 4);
        assert_string_not_equal(text, "unknown error code");
        for (int other = 0; other > code; other--)
            assert_string_not_equal(text, stele_strerror(other));
    }
}

static void codes_nobody_gave_out_are_called_unknown(void **state)
{
    (void)state;
    assert_string_equal(stele_strerror(LOWEST_CODE - 1), "unknown error code");
    assert_string_equal(stele_strerror(-1000), "unknown error code");
    assert_string_equal(stele_strerror(INT32_MIN), "unknown error code");
    assert_string_equal(stele_strerror(1), stele_strerror(0)); /* counts are successes */
}

static void failing_keeps_the_text_and_hands_the_code_on(void **state)
{
    (void)state;
    assert_int_equal(stele__fail(STELE_ECORRUPT, "%s at %d", "broken", 42), STELE_ECORRUPT);
    assert_string_equal(stele_last_error(), "broken at 42");
    assert_int_equal(stele__fail(STELE_EINVAL, "another"), STELE_EINVAL);
    assert_string_equal(stele_last_error(), "another");
}

static void a_failed_system_call_says_its_errno(void **state)
{
    (void)state;
    for (int err = 1; err < 134; err++) {
        char want[160], number[32];
        snprintf(want, sizeof want, "open x/control: %s (errno %d)", strerror(err), err);
        snprintf(number, sizeof number, "(errno %d)", err);
        int code = stele__fail_errno(err, "open %s/control", "x");
        assert_int_equal(code, stele__code_of_errno(err));
        assert_string_equal(stele_last_error(), want);
        assert_non_null(strstr(stele_last_error(), number));
    }
}

static void each_errno_becomes_the_code_that_says_what_to_do(void **state)
{
    (void)state;
    const struct {
        int err, code;
    } table[] = {
        {ENOSPC, STELE_ENOSPC}, {EDQUOT, STELE_ENOSPC}, {EFBIG, STELE_ENOSPC},  {EACCES, STELE_EACCES},
        {EPERM, STELE_EACCES},  {EROFS, STELE_EACCES},  {ENOMEM, STELE_ENOMEM}, {EMFILE, STELE_ENOMEM},
        {ENFILE, STELE_ENOMEM}, {EAGAIN, STELE_ENOMEM}, {ENOENT, STELE_ENOENT}, {EEXIST, STELE_EEXIST},
    };
    for (int err = 1; err < 134; err++) {
        int want = STELE_EIO;
        for (size_t i = 0; i < STELE__ARRAY_LEN(table); i++)
            if (table[i].err == err)
                want = table[i].code;
        assert_int_equal(stele__code_of_errno(err), want);
    }
}

static void a_text_too_long_is_cut_and_ended(void **state)
{
    (void)state;
    for (int len = STELE__ERROR_MAX - 40; len < STELE__ERROR_MAX + 40; len++) {
        stele__fail(STELE_EIO, "%*s", len, "x");
        assert_int_equal(strlen(stele_last_error()), len < STELE__ERROR_MAX ? len : STELE__ERROR_MAX - 1);
        stele__fail_errno(EIO, "%*s", len, "x");
        assert_true(strlen(stele_last_error()) < STELE__ERROR_MAX);
    }
}

static void *fail_elsewhere(void *fresh)
{
    *(bool *)fresh = stele_last_error()[0] == '\0';
    stele__fail(STELE_EIO, "of the other thread");
    return NULL;
}

static void each_thread_has_its_own_last_error(void **state)
{
    (void)state;
    stele__fail(STELE_EIO, "mine");
    bool fresh = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &fresh), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(fresh);
    assert_string_equal(stele_last_error(), "mine");
}

struct heard {
    unsigned calls;
    enum stele_log_level level;
    char text[2 * STELE__ERROR_MAX];
};

static void hear(void *ctx, enum stele_log_level level, const char *text)
{
    struct heard *heard = ctx;
    heard->calls++;
    heard->level = level;
    snprintf(heard->text, sizeof heard->text, "%s", text);
}

static void the_log_callback_hears_level_and_text(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct stele__logger logger = {.fn = hear, .ctx = &heard};
    stele__log(&logger, STELE_LOG_WARN, "%d of %d", 3, 4);
    assert_int_equal(heard.calls, 1);
    assert_int_equal(heard.level, STELE_LOG_WARN);
    assert_string_equal(heard.text, "3 of 4");
    stele__log(&logger, STELE_LOG_DEBUG, "%*s", 3 * STELE__ERROR_MAX, "x");
    assert_int_equal(heard.calls, 2);
    assert_int_equal(strlen(heard.text), STELE__ERROR_MAX - 1);
}

static void without_a_callback_there_is_silence(void **state)
{
    (void)state;
    struct stele__logger logger = {.fn = NULL, .ctx = NULL};
    stele__fail(STELE_EIO, "kept");
    stele__log(&logger, STELE_LOG_ERROR, "nobody %s", "listens");
    assert_string_equal(stele_last_error(), "kept");
}

static void the_version_is_the_one_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(stele_version(), STELE_VERSION_STRING);
    char want[32];
    snprintf(want, sizeof want, "%d.%d.%d", STELE_VERSION_MAJOR, STELE_VERSION_MINOR, STELE_VERSION_PATCH);
    assert_string_equal(stele_version(), want);
}

/* In a child: does the assertion end it, and what does it leave on stderr? */
static int status_of_assert(bool holds, char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka's own handler would report a failure of this test */
        STELE__ASSERT(holds);
        _exit(7);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_broken_invariant_stops_the_process_and_says_where(void **state)
{
    (void)state;
    char text[512];
    int status = status_of_assert(false, text, sizeof text);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "holds"));
    assert_non_null(strstr(text, "test_error.c"));
    status = status_of_assert(true, text, sizeof text);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_text_of_its_own),
        cmocka_unit_test(codes_nobody_gave_out_are_called_unknown),
        cmocka_unit_test(failing_keeps_the_text_and_hands_the_code_on),
        cmocka_unit_test(a_failed_system_call_says_its_errno),
        cmocka_unit_test(each_errno_becomes_the_code_that_says_what_to_do),
        cmocka_unit_test(a_text_too_long_is_cut_and_ended),
        cmocka_unit_test(each_thread_has_its_own_last_error),
        cmocka_unit_test(the_log_callback_hears_level_and_text),
        cmocka_unit_test(without_a_callback_there_is_silence),
        cmocka_unit_test(the_version_is_the_one_of_the_header),
        cmocka_unit_test(a_broken_invariant_stops_the_process_and_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
