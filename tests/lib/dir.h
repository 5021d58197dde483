/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/dir.h: what tests over real logs share: scratch directories, bytes of files, and numbered records whose
 * length and content follow from their number, so that any reader can tell a missing, foreign or changed one.
 * Everything here fails the test (or ends the child process, see child.h) when it cannot do what it says. */
#ifndef STELE_TEST_DIR_H
#define STELE_TEST_DIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stele/stele.h>

/* ---- checks: in the test's main thread as cmocka's; in another thread they end the program, in a child the child */
void must_be(bool condition, const char *what, const char *file, int line);
void must_return(long got, long wanted, const char *what, const char *file, int line);
#define must(condition) must_be((condition), #condition, __FILE__, __LINE__)
/* A call returns this code; the library's message is printed when it does not. */
#define returns(wanted, call) must_return((call), (wanted), #call, __FILE__, __LINE__)
#define succeeds(call) returns(0, call)
/* stele_last_error() contains this. */
#define error_says(part) must_say((part), __FILE__, __LINE__)
void must_say(const char *part, const char *file, int line);

/* ---- scratch directories */
struct dir {
    char path[256]; /* ours alone, mode 0755, removed at the end */
    char log[288];  /* path/log: where the test's log goes; not made yet */
};

/* cmocka fixtures: *state is a struct dir. Under $TMPDIR or /tmp; the _memory one on /dev/shm, for tests that
 * are about structure and open logs by the thousand. */
int dir_setup(void **state);
int dir_setup_memory(void **state);
int dir_teardown(void **state);

/* "path/log/name" (log_file) or "path/name" (dir_file). Valid until the 60th call after it. */
const char *log_file(const struct dir *dir, const char *name);
const char *dir_file(const struct dir *dir, const char *name);
/* File name of a segment, and its path in dir->log. */
const char *segment_name(uint64_t sequence, uint64_t segment_bytes);
const char *segment_file(const struct dir *dir, uint64_t sequence, uint64_t segment_bytes);

void dir_copy(const char *from, const char *to); /* `to` is made; plain files only; times are kept */
void dir_empty(const char *path);                /* and remove it, if it is there */
size_t dir_count(const char *path);              /* names in it */
size_t dir_count_ending(const char *path, const char *suffix);
/* One number over all names, contents, sizes, modes and modification times, of the directory itself too. */
uint64_t dir_digest(const char *path);
/* The same but for the file "lock" and the directory's own time: what a refused writer may leave different. */
uint64_t log_digest(const char *path);

/* ---- bytes of files */
bool file_exists(const char *path);
uint64_t file_bytes(const char *path);
void file_read(const char *path, uint64_t offset, void *out, size_t len);
void file_write(const char *path, uint64_t offset, const void *data, size_t len);
void file_zero(const char *path, uint64_t offset, size_t len);
void file_flip(const char *path, uint64_t offset, unsigned bit);
void file_make(const char *path, const char *text);
unsigned file_mode_of(const char *path);

/* Mount a tmpfs of `bytes` on the new directory `path`, seen by this process and its children alone. False where
 * STELE_TEST_NO_MOUNT=1 says that mounting is not permitted; fails the test where nothing says so. */
bool dir_mount_tmpfs(const char *path, uint64_t bytes);
void dir_unmount(const char *path);

/* ---- logs and numbered records */
#define SEGMENT_SMALL STELE_SEGMENT_BYTES_MIN
#define NUMBERED_MAX 4000u

/* Open with these flags; small segments, durability none unless the options say otherwise. */
struct stele *log_open(const char *path, uint32_t flags);
struct stele_options log_options(uint32_t flags);
struct stele *log_open_with(const char *path, const struct stele_options *options);

/* Record number `number`: its length (8..NUMBERED_MAX), content (`out` holds that much) and type. No two are alike. */
size_t numbered(uint64_t number, uint8_t *out);
unsigned numbered_type(uint64_t number);
bool is_numbered(uint64_t number, const struct stele_record *record);

stele_lsn append_numbered(struct stele *log, uint64_t number);
/* Append [from, to); returns the LSN of the last one. */
stele_lsn append_range(struct stele *log, uint64_t from, uint64_t to);
/* Numbers from `from` until the tail lies in segment `sequence`; returns the next number. */
uint64_t append_until_segment(struct stele *log, uint64_t from, uint64_t sequence);
/* A fresh cursor from the beginning reads exactly [from, to), then nothing. */
void expect_range(struct stele *log, uint64_t from, uint64_t to);
/* This cursor reads exactly these next; what comes behind them is not looked at. */
void expect_next(struct stele_cursor *cursor, uint64_t from, uint64_t to);
void expect_nothing(struct stele_cursor *cursor);
/* Reopen the log for reading, and expect_range(). */
void expect_log(const char *path, uint64_t from, uint64_t to);

/* n, or less of it where a sanitizer slows everything down tenfold, or more with STELE_TEST_MINUTES. */
uint64_t scaled(uint64_t n);
bool under_sanitizer(void);

#endif
