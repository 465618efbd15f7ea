/* Two runners of the same batch, compared (see diff.c). */
#ifndef TESTS_CPU_DIFF_H
#define TESTS_CPU_DIFF_H

#include "batch.h"
#include <stddef.h>

/* A batch in memory: cases and their code, BATCH_CODE_MAX bytes each. */
struct batch {
    uint32_t count, cap;
    uint32_t features;
    struct batch_case *c;
    uint8_t *code;
};

/* Whoever can run a batch. start() may return before the work is done; finish() has the answers in
 * out. */
struct runner {
    const char *name;
    int (*start)(struct runner *r, const struct batch *b, struct batch_result *out);
    int (*finish)(struct runner *r, const struct batch *b, struct batch_result *out);
    void *priv;
};

/* The command line: @second is compared with --oracle unless --against names another command. */
int diff_main(int argc, char **argv, struct runner *second);

/* report.c: print one difference. names: of the two sides. */
void report_case(const char *const names[2], const struct batch *b, uint32_t i,
                 const struct batch_result *r0, const struct batch_result *r1);
const char *report_cause(uint32_t cause);

#endif
