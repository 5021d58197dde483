/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/replay_log.c: see replay_log.h. The superblock's count of entries is not used: it is brought up to
 * date now and then, and the recorder may be killed. The file was all holes before, so an entry of zeroes
 * is the end. Every length is checked against the file before it is used. */
#include "replay_log.h"

#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_MAGIC UINT64_C(0x6a736677736872)
#define LOG_FLUSH 1u
#define LOG_DISCARD 4u

struct super {
    uint64_t magic;
    uint64_t version;
    uint64_t entries;
    uint32_t sector_bytes;
};

struct disk_entry {
    uint64_t sector;
    uint64_t sectors;
    uint64_t flags;
    uint64_t data_bytes;
};

static void map_file(struct rig_recording *recording, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        err(2, "%s", path);
    recording->bytes = (size_t)st.st_size;
    recording->map = mmap(NULL, recording->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (recording->map == MAP_FAILED)
        err(2, "%s: mmap", path);
    (void)close(fd);
}

static bool next_entry(const struct rig_recording *recording, const char *path, size_t *at,
                       struct disk_entry *disk)
{
    static const struct disk_entry nothing;
    if (recording->bytes - *at < RIG_SECTOR)
        return false;
    memcpy(disk, (const uint8_t *)recording->map + *at, sizeof *disk);
    if (memcmp(disk, &nothing, sizeof nothing) == 0)
        return false;
    *at += RIG_SECTOR;
    if (disk->sectors > UINT32_MAX || disk->sector > UINT32_MAX ||
        (disk->flags & ~(uint64_t)(LOG_FLUSH | LOG_DISCARD)) != 0)
        errx(2, "%s: an entry at %zu that this replayer does not know", path, *at);
    return true;
}

void rig_recording_load(struct rig_recording *recording, const char *path)
{
    map_file(recording, path);
    const uint8_t *bytes = recording->map;
    struct super super;
    if (recording->bytes < RIG_SECTOR)
        errx(2, "%s: no superblock", path);
    memcpy(&super, bytes, sizeof super);
    if (super.magic != LOG_MAGIC || super.version != 1 || super.sector_bytes != RIG_SECTOR)
        errx(2, "%s: no log of writes with sectors of %u bytes", path, RIG_SECTOR);
    size_t room = 0, at = RIG_SECTOR;
    struct disk_entry disk;
    while (next_entry(recording, path, &at, &disk)) {
        if (recording->count == room) {
            room = room * 2 + 1024;
            recording->entries = realloc(recording->entries, room * sizeof *recording->entries);
            if (recording->entries == NULL)
                err(2, "%s", path);
        }
        struct rig_entry *entry = &recording->entries[recording->count++];
        *entry = (struct rig_entry){.offset = disk.sector * RIG_SECTOR,
                                    .len = disk.sectors * RIG_SECTOR,
                                    .flush = (disk.flags & LOG_FLUSH) != 0};
        if ((disk.flags & LOG_DISCARD) != 0)
            continue;
        if (recording->bytes - at < entry->len)
            errx(2, "%s: ends inside the data of entry %zu", path, recording->count);
        entry->data = bytes + at;
        at += entry->len;
    }
}
