/* tohost with a failing code, 5 << 1 | 1: the run must end with code 4 (Vireo only). */
#include "priv.inc"
main:
    lla a0, tohost
    li a1, 11
    sd a1, 0(a0)
1:  j 1b
