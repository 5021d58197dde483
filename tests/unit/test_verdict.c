/* SPDX-License-Identifier: BSD-3-Clause */
/* test_verdict.c: recovery's judgement over every combination of its facts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/verdict.h"

#define FACTS 7u

static struct stele__facts facts_of(unsigned set)
{
    return (struct stele__facts){.contradiction = (set & 1) != 0,
                                 .sealed = (set & 2) != 0,
                                 .vouched = (set & 4) != 0,
                                 .unreadable = (set & 8) != 0,
                                 .gap_then_record = (set & 16) != 0,
                                 .control_lost = (set & 32) != 0,
                                 .residue = (set & 64) != 0};
}

/* Adding a fact to the struct must add it here. */
_Static_assert(sizeof(struct stele__facts) == FACTS * sizeof(bool), "facts_of() names every fact");

static unsigned proofs(const struct stele__facts *facts)
{
    return (unsigned)facts->contradiction + (unsigned)facts->sealed + (unsigned)facts->vouched +
           (unsigned)facts->unreadable + (unsigned)facts->gap_then_record + (unsigned)facts->control_lost;
}

static void no_facts_mean_clean(void **state)
{
    (void)state;
    const struct stele__facts none = {0};
    assert_int_equal(stele__verdict(&none), STELE_CLEAN);
}

static void residue_alone_is_torn(void **state)
{
    (void)state;
    const struct stele__facts facts = {.residue = true};
    assert_int_equal(stele__verdict(&facts), STELE_TORN);
}

static void any_one_proof_of_damage_is_corrupt_whatever_else_is_there(void **state)
{
    (void)state;
    unsigned corrupt = 0, torn = 0, clean = 0;
    for (unsigned set = 0; set < 1u << FACTS; set++) {
        const struct stele__facts facts = facts_of(set);
        enum stele_verdict verdict = stele__verdict(&facts);
        if (proofs(&facts) > 0)
            assert_int_equal(verdict, STELE_CORRUPT);
        else
            assert_int_equal(verdict, facts.residue ? STELE_TORN : STELE_CLEAN);
        corrupt += verdict == STELE_CORRUPT;
        torn += verdict == STELE_TORN;
        clean += verdict == STELE_CLEAN;
    }
    assert_int_equal(corrupt, 126);
    assert_int_equal(torn, 1);
    assert_int_equal(clean, 1);
}

static void one_more_fact_never_makes_the_verdict_better(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 1u << FACTS; set++) {
        for (unsigned bit = 0; bit < FACTS; bit++) {
            const struct stele__facts less = facts_of(set & ~(1u << bit)), more = facts_of(set | 1u << bit);
            assert_true(stele__verdict(&more) >= stele__verdict(&less)); /* clean < torn < corrupt */
        }
    }
}

static void facts_are_only_looked_at(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 1u << FACTS; set++) {
        const struct stele__facts facts = facts_of(set), before = facts;
        enum stele_verdict verdict = stele__verdict(&facts);
        assert_memory_equal(&facts, &before, sizeof facts);
        assert_int_equal(stele__verdict(&facts), verdict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_facts_mean_clean),
        cmocka_unit_test(residue_alone_is_torn),
        cmocka_unit_test(any_one_proof_of_damage_is_corrupt_whatever_else_is_there),
        cmocka_unit_test(one_more_fact_never_makes_the_verdict_better),
        cmocka_unit_test(facts_are_only_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
