/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/appender_tool.c: one generation of a log that is appended to by `stele append --ack`. This process
 * feeds the command through one pipe and makes a mark of every acknowledgement that comes back through the
 * other. Invariant: a mark says no more than a whole line of the command has said. */
#include "appender.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct feeder {
    const struct rig_run *run;
    int pipe;
    uint64_t number;
    uint64_t quota;
};

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false; /* the command was killed */
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static void *feed(void *argument)
{
    struct feeder *me = argument;
    uint8_t framed[4 + RIG_RECORD_MAX];
    for (uint64_t done = 0; done < me->quota; done++, me->number++) {
        struct rig_head head = {.log = me->run->log,
                                .number = me->number,
                                .previous = STELE_LSN_NONE,
                                .generation = me->run->generation};
        uint64_t dice = rig_mix(me->run->seed ^ rig_mix(me->number) ^ (uint64_t)me->run->log << 32);
        uint32_t len = (uint32_t)rig_record(&head, dice, framed + 4);
        memcpy(framed, &len, 4);
        if (!write_all(me->pipe, framed, 4 + (size_t)len))
            break;
        if (dice % 5 == 0)
            (void)sched_yield(); /* an empty pipe makes it settle what it has */
    }
    (void)close(me->pipe);
    return NULL;
}

static pid_t start_tool(const struct rig_run *run, int in, int out)
{
    char *each[] = {"--sync", "each", NULL}, *batch[] = {"--sync", "batch", "--batch", "7", NULL};
    char **how = run->generation % 2 == 0 ? each : batch;
    char *argv[20] = {
        (char *)(uintptr_t)run->tool,    "append", "--ack", "-q", "--length-prefixed", "--durability",
        run->log == 2 ? "auto" : "msync"};
    size_t n = 7;
    while (*how != NULL)
        argv[n++] = *how++;
    argv[n] = (char *)(uintptr_t)run->path;
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        _exit(127);
    execv(run->tool, argv);
    _exit(127);
}

/* Mark every line "ACK COUNT LSN" as it comes; kill the command after `dies_at` of them. */
static void take_acknowledgements(const struct rig_run *run, int out, pid_t pid, uint64_t before,
                                  uint64_t dies_at)
{
    FILE *stream = fdopen(out, "r");
    char line[128];
    uint64_t lines = 0;
    while (stream != NULL && fgets(line, sizeof line, stream) != NULL) {
        uint64_t count, lsn;
        if (strchr(line, '\n') == NULL) /* cut short by the kill */
            break;
        if (sscanf(line, "ACK %" SCNu64 " %" SCNu64, &count, &lsn) != 2)
            rig_give_up(run, "the command printed something else than an acknowledgement");
        rig_acknowledge(run, 0, before + count, lsn);
        if (++lines == dies_at)
            (void)kill(pid, SIGKILL);
    }
    if (stream != NULL)
        (void)fclose(stream);
}

void rig_run_tool(struct rig_run *run)
{
    uint64_t next[RIG_THREADS], previous[RIG_THREADS];
    int in[2], out[2], status;
    const uint64_t dice = rig_mix(run->seed ^ run->generation * 8 ^ run->log);
    /* Recover here, to know what is there; the command then opens a log that needs nothing. */
    struct stele *log = rig_open_and_show(run, next, previous);
    rig_trim(run, log, 2 * STELE_SEGMENT_BYTES_MIN);
    if (stele_close(log) != 0)
        rig_give_up(run, "close");
    (void)signal(SIGPIPE, SIG_IGN);
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        rig_give_up(run, "pipe");
    struct feeder feeder = {
        .run = run, .pipe = in[1], .number = next[0], .quota = run->records / run->generations};
    pid_t pid = start_tool(run, in[0], out[1]);
    (void)close(in[0]);
    (void)close(out[1]);
    pthread_t thread;
    if (pid < 0 || pthread_create(&thread, NULL, feed, &feeder) != 0)
        rig_give_up(run, "cannot start the command");
    take_acknowledgements(run, out[0], pid, next[0], dice % 2 == 0 ? 1 + (dice >> 8) % 20 : UINT64_MAX);
    (void)pthread_join(thread, NULL);
    if (waitpid(pid, &status, 0) != pid || !((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
                                             (WIFEXITED(status) && WEXITSTATUS(status) == 0)))
        rig_give_up(run, "the command failed");
    exit(0);
}
