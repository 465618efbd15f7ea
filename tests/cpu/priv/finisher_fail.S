/* The harness itself: a failing check ends the run with a failure. */
#include "priv.inc"
main:
    li a0, 1
    EXPECT(a0, 2)
    j pass
