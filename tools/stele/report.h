/* SPDX-License-Identifier: BSD-3-Clause */
/* report.h: what verify and repair found, for people and as JSON. */
#ifndef REPORT_H
#define REPORT_H

#include "json.h"
#include "tool.h"

struct report {
    struct json json;
    int as_json;
};

/* The stele_problem_fn: prints one problem; ctx is the struct report. In JSON it is an element of the
 * array that the caller has opened. */
void report_problem(void *ctx, const struct stele_problem *problem);

const char *report_verdict(enum stele_verdict verdict); /* clean torn corrupt */
const char *report_colour(enum stele_verdict verdict);
int report_exit(enum stele_verdict verdict);

#endif
