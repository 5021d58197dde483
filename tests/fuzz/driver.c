/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/driver.c: main() of a fuzz target without libFuzzer: replays the files named, and those in the
 * directories named. A test of every preset. The empty input comes first, as in libFuzzer. */
#include "fuzz.h"

#include <dirent.h>
#include <sys/stat.h>

static unsigned long replayed;
static FILE *own_stderr; /* a target may silence the other */

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    size_t size = 0, room = 4096;
    uint8_t *data = NULL;
    for (size_t got = 1; got > 0; size += got) {
        data = realloc(data, room *= 2);
        if (data == NULL)
            abort();
        got = fread(data + size, 1, room - size, file);
    }
    fclose(file);
    /* Known before it crashes; and a copy of exactly its size, so that a sanitizer sees who reads beyond it.
     * */
    fprintf(own_stderr, "%s\n", path);
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL)
        abort();
    memcpy(exact, data, size);
    free(data);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    replayed++;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void replay(const char *path)
{
    struct stat facts;
    if (stat(path, &facts) != 0) {
        perror(path);
        exit(2);
    }
    if (!S_ISDIR(facts.st_mode)) {
        replay_file(path);
        return;
    }
    struct dirent **names;
    int count = scandir(path, &names, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char inner[4096];
        (void)snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            replay(inner);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    own_stderr = stderr;
    (void)LLVMFuzzerTestOneInput(NULL, 0);
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    fprintf(own_stderr, "%lu inputs replayed\n", replayed);
    return argc > 1 && replayed == 0 ? 2 : 0;
}
