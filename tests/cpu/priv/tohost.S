/* The other way to end: a store of 1 to the symbol `tohost` (Vireo only; QEMU's virt has no such). */
#include "priv.inc"
main:
    lla a0, tohost
    li a1, 1
    sd a1, 0(a0)
1:  j 1b
