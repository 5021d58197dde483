/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/pin.h"

#include "core/owner.h"
#include "os/file.h"
#include "os/lock.h"

#include <errno.h>
#include <stdlib.h>

int stele__pin_open(struct stele *log, struct stele_pin *pin)
{
    *pin = (struct stele_pin){.log = log, .fd = -1};
    int fd = stele__file_open(log->dirfd, STELE__LOCK_NAME, false);
    if (fd < 0 && fd != -ENOENT)
        return stele__fail_errno(-fd, "%s/" STELE__LOCK_NAME ": cannot open it", log->path);
    pin->fd = fd < 0 ? -1 : fd;
    atomic_fetch_add(&log->handles, 1);
    return 0;
}

int stele__pin_move(struct stele_pin *pin, uint64_t sequence)
{
    struct stele *log = pin->log;
    if (pin->held && pin->sequence == sequence)
        return 0;
    if (pin->fd >= 0) {
        int rc = stele__lock_shared(pin->fd, STELE__LOCK_PIN_BASE + sequence, 1);
        if (rc == -EAGAIN || rc == -EACCES)
            return stele__fail(STELE_ETRIMMED, "%s: segment %llu is being trimmed", log->path,
                               (unsigned long long)sequence);
        if (rc != 0)
            return stele__fail_errno(-rc, "%s/" STELE__LOCK_NAME ": cannot pin segment %llu", log->path,
                                     (unsigned long long)sequence);
        if (pin->held && !(pin->anchored && pin->sequence == pin->anchor))
            (void)stele__lock_release(pin->fd, STELE__LOCK_PIN_BASE + pin->sequence, 1);
    }
    pin->held = true;
    pin->sequence = sequence;
    return 0;
}

void stele__pin_anchor(struct stele_pin *pin)
{
    pin->anchored = pin->held;
    pin->anchor = pin->sequence;
}

void stele__pin_raise(struct stele_pin *pin)
{
    if (pin->anchored && pin->sequence != pin->anchor && pin->fd >= 0)
        (void)stele__lock_release(pin->fd, STELE__LOCK_PIN_BASE + pin->anchor, 1);
    pin->anchored = false;
}

void stele__pin_close(struct stele_pin *pin)
{
    if (pin->fd >= 0 && pin->held) { /* by name: a forked child may still hold a copy of the descriptor */
        stele__pin_raise(pin);
        (void)stele__lock_release(pin->fd, STELE__LOCK_PIN_BASE + pin->sequence, 1);
    }
    stele__file_close(pin->fd);
    pin->fd = -1;
    atomic_fetch_sub(&pin->log->handles, 1);
}

int stele_pin(struct stele *log, stele_lsn lsn, struct stele_pin **out)
{
    *out = NULL;
    if (lsn > stele_tail(log))
        return stele__fail(STELE_EINVAL, "%s: lsn %llu is beyond the tail", log->path,
                           (unsigned long long)lsn);
    struct stele_pin *pin = malloc(sizeof *pin);
    if (pin == NULL)
        return stele__fail(STELE_ENOMEM, "%s: no memory for a pin", log->path);
    int rc = stele__pin_open(log, pin);
    if (rc != 0) {
        free(pin);
        return rc;
    }
    rc = stele__pin_move(pin, stele__sequence_of(log, lsn));
    /* Locked too late when a trim came first: the new beginning is published before its locks are dropped. */
    if (rc == 0 && lsn < stele_first(log))
        rc = stele__fail(STELE_ETRIMMED, "%s: lsn %llu lies before the first one, %llu", log->path,
                         (unsigned long long)lsn, (unsigned long long)stele_first(log));
    if (rc != 0) {
        stele__pin_close(pin);
        free(pin);
        return rc;
    }
    *out = pin;
    return 0;
}

void stele_unpin(struct stele_pin *pin)
{
    if (pin == NULL)
        return;
    stele__pin_close(pin);
    free(pin);
}
