/* A model without weights for tests of what lies above forward(): it stands in for forward.c, model.c and tokenizer.c.
 *
 * Its logits are a hash of the tokens of the sequence as read back from the KV pages, so a page that is missing, stale
 * or somebody else's shows as another text. fake_expect() computes the same from the tokens alone. */
#pragma once

#include <stdatomic.h>

#include "engine.h"
#include "model.h"

#define FAKE_N_VOCAB   262u
#define FAKE_END       256u /* ends a generation; ids below are the bytes */
#define FAKE_THINK     257u
#define FAKE_END_THINK 258u
#define FAKE_WORD      259u /* "the " */
#define FAKE_CONTROL   260u
#define FAKE_BEYOND    261u /* the tokenizer's vocabulary ends here; the embedding has one row more */

typedef struct FakeModel {
    Model model;
    atomic_bool failed;
    bool never_ends;              /* never gives FAKE_END */
    bool all_nan;                 /* gives nothing but NaN */
    unsigned step_usec;           /* how long a step sleeps */
    atomic_uint n_steps;          /* so far */
    atomic_uint step_limit;       /* the step after so many waits until this is raised */
    atomic_uint max_rows;         /* the most rows of a step so far */
    atomic_uint fail_after_steps; /* 0: never */
} FakeModel;

void fake_model_init(FakeModel *m, uint32_t n_ctx_train);
void fake_logits(const FakeModel *m, const Token *tokens, size_t n, float *ret);
