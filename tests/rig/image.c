/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/image.c: see image.h. */
#include "image.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

static const uint8_t zeroes[PAGE];

static void read_base(struct rig_image *image, const char *base)
{
    int fd = open(base, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        err(2, "%s", base);
    image->bytes = (uint64_t)st.st_size;
    const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    image->durable = mmap(NULL, image->bytes, PROT_READ | PROT_WRITE, anonymous, -1, 0);
    image->live = calloc(1, (size_t)(image->bytes / PAGE));
    if (image->durable == MAP_FAILED || image->live == NULL || image->bytes % PAGE != 0)
        errx(2, "%s: no memory, or a size that is no multiple of a page", base);
    uint8_t page[PAGE];
    for (off_t at = lseek(fd, 0, SEEK_DATA); at >= 0 && (uint64_t)at < image->bytes; at += (off_t)PAGE) {
        if (pread(fd, page, PAGE, at) != (ssize_t)PAGE)
            err(2, "%s", base);
        if (memcmp(page, zeroes, PAGE) != 0)
            rig_image_keep(image, (uint64_t)at, page, PAGE);
        off_t data = lseek(fd, at + (off_t)PAGE, SEEK_DATA);
        if (data < 0)
            break;
        at = data - (off_t)PAGE;
    }
    (void)close(fd);
}

/* Two replayers may ask for the same free device; the kernel gives it to one, the other asks again. */
static void attach(struct rig_image *image)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    struct loop_config config = {.fd = (uint32_t)image->file, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
    for (int tries = 0; tries < 100; tries++) {
        int number = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;
        if (number < 0)
            break;
        (void)snprintf(image->device, sizeof image->device, "/dev/loop%d", number);
        image->loop = open(image->device, O_RDWR | O_CLOEXEC);
        if (image->loop >= 0 && ioctl(image->loop, LOOP_CONFIGURE, &config) == 0) {
            (void)close(control);
            return;
        }
        if (image->loop >= 0)
            (void)close(image->loop);
        if (errno != EBUSY)
            break;
    }
    err(2, "no loop device for the image");
}

void rig_image_begin(struct rig_image *image, const char *base, const char *fs, const char *at)
{
    memset(image, 0, sizeof *image);
    image->fs = fs;
    image->at = at;
    read_base(image, base);
    image->file = memfd_create("stele-rig", MFD_CLOEXEC);
    if (image->file < 0 || ftruncate(image->file, (off_t)image->bytes) != 0)
        err(2, "memfd");
    image->work = mmap(NULL, image->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, image->file, 0);
    if (image->work == MAP_FAILED)
        err(2, "mmap");
    attach(image);
}

void rig_image_end(struct rig_image *image)
{
    (void)close(image->loop);
    (void)munmap(image->work, image->bytes);
    (void)munmap(image->durable, image->bytes);
    (void)close(image->file);
    free(image->live);
}

static void store(uint8_t *to, const uint8_t *data, uint64_t len)
{
    if (data != NULL)
        memcpy(to, data, len);
    else
        memset(to, 0, len);
}

void rig_image_keep(struct rig_image *image, uint64_t offset, const uint8_t *data, uint64_t len)
{
    if (offset > image->bytes || len > image->bytes - offset)
        errx(2, "a write beyond the end of the device");
    store(image->durable + offset, data, len);
    for (uint64_t page = offset / PAGE; page * PAGE < offset + len; page++)
        image->live[page] = 1;
}

void rig_image_try(struct rig_image *image, uint64_t offset, const uint8_t *data, uint64_t len)
{
    store(image->work + offset, data, len);
}

/* Pages that nobody ever wrote stay holes, and are not looked at. */
void rig_image_restore(struct rig_image *image)
{
    for (off_t at = 0; (at = lseek(image->file, at, SEEK_DATA)) >= 0;) {
        off_t end = lseek(image->file, at, SEEK_HOLE);
        for (; at < end; at += (off_t)PAGE)
            image->live[(uint64_t)at / PAGE] = 1;
    }
    for (uint64_t page = 0; page < image->bytes / PAGE; page++)
        if (image->live[page] && memcmp(image->work + page * PAGE, image->durable + page * PAGE, PAGE) != 0)
            memcpy(image->work + page * PAGE, image->durable + page * PAGE, PAGE);
}

int rig_image_mount(struct rig_image *image)
{
    if (ioctl(image->loop, BLKFLSBUF) != 0) /* what it remembers is another image's */
        return errno;
    /* The file system the image was made from may still be mounted in somebody's name space. */
    const char *options = strcmp(image->fs, "xfs") == 0 ? "nouuid" : "";
    return mount(image->device, image->at, image->fs, MS_NOATIME, options) != 0 ? errno : 0;
}

int rig_image_unmount(struct rig_image *image)
{
    return umount2(image->at, 0) != 0 ? errno : 0;
}

bool rig_image_save(const struct rig_image *image, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool fine = fd >= 0 && ftruncate(fd, (off_t)image->bytes) == 0;
    for (uint64_t at = 0; fine && at < image->bytes; at += PAGE)
        if (memcmp(image->work + at, zeroes, PAGE) != 0)
            fine = pwrite(fd, image->work + at, PAGE, (off_t)at) == (ssize_t)PAGE;
    if (fd >= 0)
        (void)close(fd);
    return fine;
}
