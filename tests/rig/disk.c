/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/disk.c: see disk.h. */
#include "disk.h"

#include "disk_server.h"
#include "lib/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES (UINT64_C(48) << 20)
/* mkfs.xfs makes one so small only for tests of the file system, which say so by three variables. */
#define MKFS_XFS "TEST_DIR=. TEST_DEV=. QA_CHECK_FS=1 mkfs.xfs -q -f -K -m reflink=0"
#define MKFS_EXT4 "mkfs.ext4 -q -F -b 4096 -J size=4 -E lazy_itable_init=0,nodiscard"

const char *disk_missing(void)
{
    const char *forbidden = getenv("STELE_TEST_NO_MOUNT");
    if (forbidden != NULL && forbidden[0] != '\0')
        return "permission to mount (STELE_TEST_NO_MOUNT is set)";
    if (geteuid() != 0)
        return "root";
    if (access("/dev/fuse", R_OK | W_OK) != 0)
        return "/dev/fuse";
    if (access("/dev/loop-control", R_OK | W_OK) != 0)
        return "/dev/loop-control";
    if (system("command -v mkfs.ext4 >/dev/null") != 0)
        return "mkfs.ext4 (Debian package e2fsprogs)";
    if (system("command -v mkfs.xfs >/dev/null") != 0)
        return "mkfs.xfs (Debian package xfsprogs)";
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return "permission for a mount name space (unshare)";
    return NULL;
}

static void start_server(struct disk *disk)
{
    char options[100];
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    must(fuse >= 0);
    (void)snprintf(options, sizeof options, "fd=%d,rootmode=100600,user_id=0,group_id=0,allow_other", fuse);
    must(mount("stele-rig", disk->export, "fuse", MS_NOSUID | MS_NODEV, options) == 0);
    pid_t parent = getpid();
    disk->server = fork();
    must(disk->server >= 0);
    if (disk->server == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
            disk_serve(fuse, disk->backing, disk->bytes, disk->control);
        _exit(0);
    }
    must(close(fuse) == 0);
}

/* Another program may take the free device first; then the next one is asked for. */
static void attach(struct disk *disk)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC),
        file = open(disk->export, O_RDWR | O_CLOEXEC);
    must(control >= 0 && file >= 0);
    struct loop_config config = {.fd = (uint32_t)file, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
    for (int tries = 0; tries < 100 && !disk->attached; tries++) {
        (void)snprintf(disk->device, sizeof disk->device, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
        disk->loop = open(disk->device, O_RDWR | O_CLOEXEC);
        must(disk->loop >= 0);
        disk->attached = ioctl(disk->loop, LOOP_CONFIGURE, &config) == 0;
        must(disk->attached || errno == EBUSY);
        if (!disk->attached)
            (void)close(disk->loop);
    }
    must(disk->attached);
    (void)close(file);
    (void)close(control);
}

static void mount_it(struct disk *disk)
{
    must(ioctl(disk->loop, BLKFLSBUF) == 0);
    must(mount(disk->device, disk->at, disk->fs, MS_NOATIME, "") == 0);
    disk->mounted = true;
}

void disk_join(struct disk *disk, int shared, const char *at)
{
    disk->shared = shared;
    disk->control = mmap(NULL, sizeof *disk->control, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    must(disk->control != MAP_FAILED);
    if (at != disk->at)
        (void)snprintf(disk->at, sizeof disk->at, "%s", at);
}

void disk_begin(struct disk *disk, const char *dir, const char *fs)
{
    char command[400];
    *disk = (struct disk){.fs = fs, .bytes = BYTES, .loop = -1};
    (void)snprintf(disk->export, sizeof disk->export, "%s/%s.disk", dir, fs);
    (void)snprintf(disk->at, sizeof disk->at, "%s/%s", dir, fs);
    must(mkdir(disk->at, 0700) == 0);
    file_make(disk->export, "");
    int shared = memfd_create("stele-rig-control", MFD_CLOEXEC);
    must(shared >= 0 && ftruncate(shared, (off_t)sizeof *disk->control) == 0);
    disk_join(disk, shared, disk->at);
    disk->backing = memfd_create("stele-rig-disk", MFD_CLOEXEC);
    must(disk->backing >= 0 && ftruncate(disk->backing, (off_t)disk->bytes) == 0);
    (void)snprintf(command, sizeof command, "%s %s", strcmp(fs, "ext4") == 0 ? MKFS_EXT4 : MKFS_XFS,
                   disk_content(disk));
    must(system(command) == 0);
    start_server(disk);
    attach(disk);
    mount_it(disk);
}

void disk_remount(struct disk *disk)
{
    must(umount2(disk->at, 0) == 0);
    disk->mounted = false;
    mount_it(disk);
}

void disk_end(struct disk *disk)
{
    atomic_store(&disk->control->mode, DISK_HEALTHY);
    if (disk->mounted && umount2(disk->at, 0) != 0) /* a law broke, and its log is still open */
        must(umount2(disk->at, MNT_DETACH) == 0);
    if (disk->attached)
        (void)close(disk->loop); /* the last use: the kernel detaches it */
    must(umount2(disk->export, MNT_DETACH) == 0);
    (void)kill(disk->server, SIGKILL);
    must(waitpid(disk->server, NULL, 0) == disk->server);
    (void)close(disk->backing);
    (void)munmap(disk->control, sizeof *disk->control);
    (void)close(disk->shared);
}

/* The device under the loop device begins where the file system does, so physical is physical. */
void disk_fail_file(struct disk *disk, const char *path, uint64_t from, uint64_t to)
{
    enum { EXTENTS = 64 };
    struct fiemap *map = calloc(1, sizeof *map + EXTENTS * sizeof map->fm_extents[0]);
    must(map != NULL);
    map->fm_start = from;
    map->fm_length = to - from;
    map->fm_extent_count = EXTENTS;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && ioctl(fd, FS_IOC_FIEMAP, map) == 0);
    (void)close(fd);
    must(map->fm_mapped_extents > 0 && map->fm_mapped_extents < EXTENTS);
    for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
        const struct fiemap_extent *extent = &map->fm_extents[i];
        uint64_t begin = extent->fe_logical > from ? extent->fe_logical : from;
        uint64_t end =
            extent->fe_logical + extent->fe_length < to ? extent->fe_logical + extent->fe_length : to;
        if (begin >= end)
            continue;
        must(disk->control->count < DISK_RANGES);
        struct disk_range *range = &disk->control->ranges[disk->control->count];
        range->from = extent->fe_physical + (begin - extent->fe_logical);
        range->to = range->from + (end - begin);
        disk->control->count++;
    }
    free(map);
    atomic_store(&disk->control->mode, DISK_FAILS_RANGES);
}

void disk_fail_all(struct disk *disk)
{
    atomic_store(&disk->control->mode, DISK_FAILS_ALL);
}

unsigned disk_heal(struct disk *disk)
{
    atomic_store(&disk->control->mode, DISK_HEALTHY);
    disk->control->count = 0;
    return atomic_exchange(&disk->control->failed, 0);
}

const char *disk_content(const struct disk *disk)
{
    static char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)getpid(), disk->backing);
    return path;
}
