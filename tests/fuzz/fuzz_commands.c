/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/fuzz_commands.c: whole command lines, in this process, on a copy of a golden log. Whatever is
 * asked for, the command ends, with an exit status that its description promises, and what only looks has
 * changed nothing.
 *
 *     which log 1 | words, a newline after each, up to a zero byte | standard input
 *
 * Words name files in a directory of our own: they get neither a slash nor "..". Files are limited to 1 MiB.
 * */
#include "golden.h"

#include "stop.h"
#include "tool.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX                                                                                       \
    (UINT64_C(1) << 20) /* 16 segments of the smallest size fit a copy of any of our logs */
#define WORDS_MAX 12
#define TEXT_MAX 512u

int stele_main(int argc, char **argv);

static int never = -1; /* readable: never */
static int home = -1;  /* where we were called: paths of inputs may be relative */
static bool impatient; /* a command that follows the log would wait for ever */

int stop_begin(void)
{
    return never;
}

int stop_seen(void)
{
    return impatient ? SIGTERM : 0;
}

static int set_up(void)
{
    const struct rlimit limit = {FILE_BYTES_MAX, FILE_BYTES_MAX};
    fuzz_silence();
    (void)golden_log(0);
    never = eventfd(0, EFD_CLOEXEC);
    int in = memfd_create("input", MFD_CLOEXEC);
    home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (never < 0 || in < 0 || home < 0 || dup2(in, STDIN_FILENO) < 0 || fuzz_scratch() == NULL ||
        setrlimit(RLIMIT_FSIZE, &limit) != 0)
        abort();
    /* Only what is opened later is closed behind a command: descriptors are given out from below. */
    int mark = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)close(mark);
    return mark;
}

static void tame(char *word)
{
    for (char *at = word; *at != '\0'; at++)
        if (*at == '/' || (*at == '.' && at[1] == '.'))
            *at = '_';
}

static void give_input(struct fuzz_in *in)
{
    (void)lseek(STDIN_FILENO, 0, SEEK_SET);
    if (ftruncate(STDIN_FILENO, 0) != 0 || pwrite(STDIN_FILENO, in->at, in->left, 0) != (ssize_t)in->left)
        abort();
}

static bool allowed(const char *name, int code)
{
    const struct command *command = tool_find(name);
    if (command == NULL)
        return code == TOOL_FINE || code == TOOL_USAGE;
    for (const char *at = command->exits; *at != '\0';) {
        char *end;
        if (strtol(at, &end, 10) == code)
            return true;
        at = *end == ' ' ? end + 1 : end;
    }
    return false;
}

/* Content of a file is that of the golden one. */
static bool unchanged(const struct golden_file *file)
{
    char path[128];
    struct stat facts;
    (void)snprintf(path, sizeof path, "log/%s", file->name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0 || (size_t)facts.st_size != file->size)
        return false;
    void *map = mmap(NULL, file->size, PROT_READ, MAP_SHARED, fd, 0);
    bool same = map != MAP_FAILED && memcmp(map, file->data, file->size) == 0;
    if (map != MAP_FAILED)
        (void)munmap(map, file->size);
    (void)close(fd);
    return same;
}

static bool only_looks(const char *name)
{
    static const char *const lookers[] = {"dump", "verify", "stat", "backup", "metrics", "version", "help"};
    for (size_t i = 0; i < sizeof lookers / sizeof lookers[0]; i++)
        if (strcmp(name, lookers[i]) == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int first_own = -1;
    if (first_own < 0)
        first_own = set_up();
    struct fuzz_in in = {data, size};
    const struct golden_log *log = golden_log(fuzz_u8(&in));
    char text[TEXT_MAX], name[] = "stele", *words[WORDS_MAX + 3] = {name};
    const uint8_t *zero = in.left > 0 ? memchr(in.at, '\0', in.left) : NULL;
    size_t len = zero != NULL ? (size_t)(zero - in.at) : in.left;
    if (len >= sizeof text)
        return 0;
    fuzz_take(&in, text, len);
    (void)fuzz_u8(&in);
    text[len] = '\0';
    int count = 1;
    for (char *rest = text, *word;
         count <= WORDS_MAX && rest != NULL && (word = strsep(&rest, "\n")) != NULL;) {
        tame(word);
        words[count++] = word;
    }
    if (strcmp(words[1], "bench") == 0)
        return 0; /* measures time */
    impatient = strcmp(words[1], "cat") == 0 || strcmp(words[1], "tail") == 0;
    if (chdir(fuzz_scratch()) != 0)
        abort();
    golden_write_log(log, "log");
    give_input(&in);
    int code = stele_main(count, words);
    FUZZ_CHECK(allowed(words[1], code));
    if (impatient || only_looks(words[1]))
        for (unsigned i = 0; i < log->count; i++)
            FUZZ_CHECK(unchanged(&log->files[i]));
    (void)close_range((unsigned)first_own, ~0u, 0);
    fuzz_empty(fuzz_scratch());
    FUZZ_CHECK(fchdir(home) == 0);
    return 0;
}
