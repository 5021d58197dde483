/* SPDX-License-Identifier: BSD-3-Clause */
/* core/scan.h: what is in a log's directory: names, control file, headers and footers. Reads, changes
 * nothing, judges nothing beyond "does this file decode". */
#ifndef STELE_CORE_SCAN_H
#define STELE_CORE_SCAN_H

#include "format/control.h"
#include "format/name.h"

struct stele__found {
    uint64_t sequence;
    stele_lsn base; /* from the name */
    /* A repair thinks of files under the names it will give them: where the contents are until then. */
    bool elsewhere;
    uint64_t elsewhere_sequence;
    stele_lsn elsewhere_base;
    bool broken; /* NAME.broken: a quarantined segment, not read */
    uint64_t file_bytes, disk_bytes;
    bool size_right;
    int io_error; /* 0, or -errno of opening or reading it */
    enum stele__decode header;
    uint32_t header_copies;
    bool named_right;      /* the header says what the name says */
    bool same_log;         /* the header's uuid and segment size are the control file's */
    uint64_t own_sequence; /* what the header says */
    uint64_t ro_compat;
    uint32_t salt, incarnation;
    uint8_t data_log2;
    uint64_t created_ns;
    bool footer_trace; /* footer pages hold something */
    uint32_t footer_copies;
    bool sealed; /* a footer copy is valid and fits the header */
    struct stele__footer footer;
};

struct stele__scan {
    int dirfd;
    const char *path;           /* borrowed, for messages */
    struct stele__found *found; /* by sequence; at most one whole and one broken entry each */
    size_t count, capacity;
    bool control_present;
    enum stele__decode control_result;
    uint32_t control_copies;
    struct stele__control control;  /* when control_result is OK */
    uint8_t uuid[16];               /* the control file's, else that of the first sound header */
    uint8_t data_log2;              /* 0: unknown, nothing decodes */
    size_t foreign;                 /* files that are not ours */
    char (*temps)[STELE__NAME_MAX]; /* *.stele.tmp */
    size_t temp_count, temp_capacity;
};

/* 0; STELE_ENOTLOG (neither control file nor segment), STELE_EVERSION, STELE_EIO, STELE_EACCES, STELE_ENOMEM.
 */
int stele__scan(struct stele__scan *scan, int dirfd, const char *path);
void stele__scan_free(struct stele__scan *scan);

/* The readable (not quarantined) segment of this sequence, or NULL. */
struct stele__found *stele__scan_find(struct stele__scan *scan, uint64_t sequence);
bool stele__scan_is_broken(const struct stele__scan *scan, uint64_t sequence);

/* Bring `found` into its order again after an entry was changed or added. */
void stele__scan_sort(struct stele__scan *scan);

/* May its records be read: header sound, names and log agree? */
bool stele__found_readable(const struct stele__found *found);

/* Read a segment's data area into `image` (data_bytes long); what the file does not have stays zero. 0 or
 * -errno. */
int stele__scan_load(const struct stele__scan *scan, const struct stele__found *found, uint8_t *image);
/* Read its index: footer.index_entries entries. 0 or -errno. */
int stele__scan_index(const struct stele__scan *scan, const struct stele__found *found,
                      struct stele__index_entry *out);

void stele__found_name(const struct stele__found *found, char out[STELE__NAME_MAX]);

#endif
