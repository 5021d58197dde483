/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/verdict.h"

enum stele_verdict stele__verdict(const struct stele__facts *facts)
{
    /* Each of these alone proves that bytes which had been durable are damaged or missing, or leaves no way
     * to tell. */
    if (facts->contradiction || facts->sealed || facts->vouched || facts->unreadable ||
        facts->gap_then_record || facts->control_lost)
        return STELE_CORRUPT;
    return facts->residue ? STELE_TORN : STELE_CLEAN;
}
