/* A guest for tests of the debugger: says "go", then each hart counts in a loop that reads its own code, writes,
 * reads and exchanges memory, calls, and uses floating point. */
        .globl  _start
_start: csrr    a0, mhartid
        li      t0, 0x2000              /* mstatus.FS: on */
        csrs    mstatus, t0
        li      t0, 0x1234
        add     t0, t0, a0
        csrw    mscratch, t0
        la      s0, counts
        slli    t0, a0, 6
        add     s0, s0, t0              /* a line of its own for each hart */
        la      s1, loop
        bnez    a0, loop
        li      t1, 0x10000000
        li      t2, 'g'
        sb      t2, (t1)
        li      t2, 'o'
        sb      t2, (t1)
        li      t2, '\n'
        sb      t2, (t1)
        .globl  loop
loop:   addi    s2, s2, 1
        .globl  wrote
        sd      s2, 0(s0)
wrote:  ld      s3, 8(s0)
        .globl  read
read:   lwu     s4, (s1)                /* the instruction at loop, as the guest sees it */
        li      t0, 1
        addi    t1, s0, 16
        .globl  swap
swap:   amoadd.d t2, t0, (t1)
        .globl  swapped
swapped: fcvt.d.l fa0, s2
        .globl  tail
tail:   call    twice
        .globl  back
back:   j       loop

        .globl  twice
        .type   twice, @function
twice:  slli    a1, s2, 1
        ret
        .size   twice, . - twice

        .data
        .balign 4096
        .globl  counts
counts: .space  64 * 8
