/* SPDX-License-Identifier: BSD-3-Clause */
/* stop.h: SIGINT and SIGTERM as something to look at, for commands that must finish their work first. */
#ifndef STOP_H
#define STOP_H

/* From here on the two signals wait to be seen. Call it before threads are started. Returns a descriptor
 * to poll (readable: somebody wants us to stop), or -1 with errno. */
int stop_begin(void);

/* The signal that arrived, or 0. The first is taken; a second one ends the process as usual. */
int stop_seen(void);

#endif
