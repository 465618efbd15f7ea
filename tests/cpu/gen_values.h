/* Starting values: those at which arithmetic changes its mind. */
#ifndef TESTS_CPU_GEN_VALUES_H
#define TESTS_CPU_GEN_VALUES_H

#include <stdint.h>

/* An integer from a random word. */
uint64_t value_x(uint64_t r);
/* A float register: boxed half or single, double, badly boxed, or anything. */
uint64_t value_f(uint64_t r);

#endif
