/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/image.h: a device's content at the moment of a power cut, and a file system mounted on it.
 * Invariant: `durable` holds what every cut after the last flush keeps; the work image is made from it
 * anew for each cut, so nothing that a journal replay or a recovery wrote reaches the next one. */
#ifndef STELE_RIG_IMAGE_H
#define STELE_RIG_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rig_image {
    uint8_t *durable; /* `bytes` of them, sparse */
    uint8_t *work;    /* the same; backs the loop device */
    uint8_t *live;    /* one byte a page: may be other than zero in one of the two */
    uint64_t bytes;
    int file; /* of work: in memory, without a name */
    int loop;
    char device[32];
    const char *fs;
    const char *at; /* where it is mounted */
};

/* `base`: the device before the recording. The loop device goes away with this process. */
void rig_image_begin(struct rig_image *image, const char *base, const char *fs, const char *at);
void rig_image_end(struct rig_image *image);
/* Write to the durable image, to stay; data NULL: zeroes. */
void rig_image_keep(struct rig_image *image, uint64_t offset, const uint8_t *data, uint64_t len);
/* Make the work image the durable one again. */
void rig_image_restore(struct rig_image *image);
/* Write to the work image alone. */
void rig_image_try(struct rig_image *image, uint64_t offset, const uint8_t *data, uint64_t len);
/* 0 or an errno. */
int rig_image_mount(struct rig_image *image);
int rig_image_unmount(struct rig_image *image);
/* Write the work image to a sparse file. */
bool rig_image_save(const struct rig_image *image, const char *path);

#endif
