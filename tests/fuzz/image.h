/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/image.h: a log's directory in memory: a golden log, and what an input changes about it. Contents
 * are copied only when they change. */
#ifndef STELE_FUZZ_IMAGE_H
#define STELE_FUZZ_IMAGE_H

#include "format/record.h"
#include "golden.h"

#define IMAGE_FILES 24u
#define IMAGE_FILE_BYTES_MAX (UINT64_C(192) << 10)
#define IMAGE_DATA UINT64_C(65536) /* data bytes of a segment in every golden log */

struct image_file {
    char name[64];
    uint8_t *data;
    size_t size;
    bool owned;     /* data is ours, IMAGE_FILE_BYTES_MAX long, zero behind size */
    bool directory; /* an empty directory of that name */
};

struct image {
    struct image_file files[IMAGE_FILES];
    unsigned count;
};

void image_begin(struct image *image, const struct golden_log *log);
void image_free(struct image *image);

/* One change of 16 bytes: what 1, file 1, place 1, argument 1, a 4, b 8. Any bytes mean something. */
void image_change(struct image *image, struct fuzz_in *in);

/* Into a new directory. */
void image_write(const struct image *image, const char *path);
/* Are the files in `path` those of the image, and no others but, where `lock` says so, one named "lock"? */
bool image_is(const struct image *image, const char *path, bool lock);

/* Are the files that the log up to `end` consists of unchanged, but for the live words of
 * the control file? Spares behind it may be others, or none. */
bool image_keeps(const struct image *image, const char *path, stele_lsn end);

/* The data area of a segment file by its own header, with zeroes for what is missing at its end; false when
 * it has none that counts. */
bool image_area(const struct image_file *file, struct stele__area *out);

#endif
