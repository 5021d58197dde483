/* SPDX-License-Identifier: BSD-3-Clause */
/* rig/disk_server.h: answers the kernel until the export is unmounted. */
#ifndef STELE_RIG_DISK_SERVER_H
#define STELE_RIG_DISK_SERVER_H

#include "disk.h"

void disk_serve(int fuse, int backing, uint64_t bytes, struct disk_control *control);

#endif
