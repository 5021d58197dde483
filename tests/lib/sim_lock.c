/* SPDX-License-Identifier: BSD-3-Clause */
/* sim_lock.c: locks of open file descriptions on the simulated machines' files: fcntl() with F_OFD_SETLK and
 * F_OFD_GETLK. */
#include "sim.h"
#include "sim_sys.h"

#include <errno.h>
#include <sys/syscall.h>

#define LOCKS 256u

struct lock {
    const struct sim_fd *owner; /* NULL: free */
    const struct sim_file *file;
    uint64_t start, end;
    short type;
};
static struct lock locks[LOCKS];
static uint32_t top; /* places behind it are free */

void sim__unlock_all(const struct sim_fd *fd)
{
    for (uint32_t i = 0; i < top; i++)
        if (locks[i].owner == fd)
            locks[i].owner = NULL;
    while (top > 0 && locks[top - 1].owner == NULL)
        top--;
}

static void add(struct lock lock)
{
    uint32_t place = 0;
    while (place < top && locks[place].owner != NULL)
        place++;
    sim__check(place < LOCKS, "few locks");
    top = place == top ? top + 1 : top;
    locks[place] = lock;
}

static const struct lock *conflict(const struct lock *wanted)
{
    for (uint32_t i = 0; i < top; i++) {
        const struct lock *lock = &locks[i];
        if (lock->owner != NULL && lock->owner != wanted->owner && lock->file == wanted->file &&
            lock->start < wanted->end && wanted->start < lock->end &&
            (lock->type == F_WRLCK || wanted->type == F_WRLCK))
            return lock;
    }
    return NULL;
}

/* The owner holds nothing of [start, end) any more. */
static void cut(const struct lock *gone)
{
    const uint32_t before = top;
    for (uint32_t i = 0; i < before; i++) {
        struct lock lock = locks[i];
        if (lock.owner != gone->owner || lock.file != gone->file || lock.end <= gone->start ||
            gone->end <= lock.start)
            continue;
        locks[i].owner = NULL;
        struct lock left = lock, right = lock;
        left.end = gone->start;
        right.start = gone->end;
        if (left.start < left.end)
            add(left);
        if (right.start < right.end)
            add(right);
    }
}

int sim_sys_fcntl(int fd, int command, void *argument)
{
    const struct sim_fd *entry = sim__fd(fd);
    if (entry == NULL)
        return (int)syscall(SYS_fcntl, fd, command, argument);
    sim__check(command == F_OFD_SETLK || command == F_OFD_GETLK, "fcntl() is about locks");
    struct flock *flock = argument;
    struct lock wanted = {.owner = entry,
                          .file = entry->file,
                          .start = (uint64_t)flock->l_start,
                          .end = (uint64_t)flock->l_start + (uint64_t)flock->l_len,
                          .type = flock->l_type};
    int error = flock->l_type == F_UNLCK ? 0 : sim__fails(entry->sim, SIM_LOCK);
    if (error != 0)
        return sim__refuse(error);
    const struct lock *other = conflict(&wanted);
    if (command == F_OFD_GETLK) {
        flock->l_type = other != NULL ? other->type : F_UNLCK;
        if (other != NULL) {
            flock->l_start = (off_t)other->start;
            flock->l_len = (off_t)(other->end - other->start);
        }
        return 0;
    }
    if (flock->l_type != F_UNLCK && other != NULL)
        return sim__refuse(EAGAIN);
    cut(&wanted);
    if (flock->l_type != F_UNLCK)
        add(wanted);
    return 0;
}
