/*
 * 16550A UART. The host end is a fake that stands in for backend/chr at link time, so that a test
 * says byte by byte what it takes and offers.
 */
#include "dev/char/uart16550.h"

#include "backend/chr/chr.h"
#include "rig.h"
#include <stdlib.h>

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };
enum { THRE = 0x60, DR = 1, OE = 2, BI = 0x10, FIFO_ERROR = 0x80 };

struct vr_chr {
    struct vr_chr_user user;
    char out[4096];
    size_t out_len, room; /* what it has got, and takes yet */
    unsigned resumes;
};

void vr_chr_attach(struct vr_chr *chr, const struct vr_chr_user *user)
{
    chr->user = user ? *user : (struct vr_chr_user){0};
}

size_t vr_chr_write(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    if (!chr) {
        return len;
    }
    size_t n = len < chr->room ? len : chr->room;
    n = n < sizeof(chr->out) - chr->out_len ? n : sizeof(chr->out) - chr->out_len;
    memcpy(chr->out + chr->out_len, buf, n);
    chr->out_len += n;
    chr->room -= n;
    return n;
}

void vr_chr_resume(struct vr_chr *chr)
{
    chr->resumes++;
}

struct uart_rig {
    struct rig rig;
    struct vr_dev *dev;
    struct vr_chr chr;
    struct sink irq;
};

static uint8_t get(struct uart_rig *u, unsigned reg)
{
    return (uint8_t)vr_dev_read(u->dev, 0, reg, 1);
}

static void put(struct uart_rig *u, unsigned reg, uint8_t val)
{
    vr_dev_write(u->dev, 0, reg, 1, val);
}

static size_t type(struct uart_rig *u, const char *text)
{
    return u->chr.user.on_input(u->chr.user.opaque, (const uint8_t *)text, strlen(text));
}

static void accept(struct uart_rig *u, size_t room)
{
    u->chr.room = room;
    u->chr.user.on_writable(u->chr.user.opaque);
}

static int setup(void **state)
{
    struct uart_rig *u = calloc(1, sizeof(*u));
    assert_non_null(u);
    rig_init(&u->rig);
    u->dev = rig_dev(&u->rig, &vr_uart16550_class, NULL);
    u->chr.room = SIZE_MAX;
    vr_irq_connect(vr_uart16550_irq(u->dev), sink_set, &u->irq, 10);
    vr_uart16550_attach(u->dev, &u->chr);
    *state = u;
    return 0;
}

static int teardown(void **state)
{
    struct uart_rig *u = *state;
    vr_dev_destroy(u->dev);
    assert_null(u->chr.user.on_input); /* unplugged */
    rig_fini(&u->rig);
    free(u);
    return 0;
}

static void output_and_its_interrupt(void **state)
{
    struct uart_rig *u = *state;
    assert_int_equal(get(u, LSR), THRE);
    put(u, DATA, 'a');
    assert_int_equal(get(u, LSR), THRE);
    assert_false(u->irq.level);
    put(u, IER, 2); /* enabling it interrupts at once */
    assert_true(u->irq.level);
    assert_int_equal(get(u, IIR), 2);
    assert_false(u->irq.level); /* reading IIR is the acknowledgement */
    assert_int_equal(get(u, IIR), 1);
    put(u, DATA, 'b');
    assert_true(u->irq.level);
    put(u, IER, 0);
    assert_false(u->irq.level);
    put(u, IER, 2);
    assert_int_equal(get(u, IIR), 2);
    assert_memory_equal(u->chr.out, "ab", 2);
    assert_int_equal(u->chr.out_len, 2);
}

static void slow_host_loses_nothing(void **state)
{
    struct uart_rig *u = *state;
    put(u, FCR, 7);
    put(u, IER, 2);
    (void)get(u, IIR);
    u->chr.room = 3;
    for (unsigned i = 0; i < 8; i++) {
        put(u, DATA, (uint8_t)('0' + i));
    }
    assert_int_equal(u->chr.out_len, 3);
    assert_int_equal(get(u, LSR), 0);
    (void)get(u, IIR);
    accept(u, 2);
    assert_int_equal(get(u, LSR), 0);
    assert_false(u->irq.level);
    put(u, FCR, 7); /* a transmit FIFO reset discards nothing */
    for (unsigned i = 8; i < 21; i++) {
        put(u, DATA, (uint8_t)('0' + i));
    }
    accept(u, SIZE_MAX);
    assert_int_equal(get(u, LSR), THRE);
    assert_true(u->irq.level);
    assert_int_equal(get(u, IIR), 0xc2);
    assert_int_equal(u->chr.out_len, 21);
    for (unsigned i = 0; i < 21; i++) {
        assert_int_equal(u->chr.out[i], '0' + (int)i);
    }
    assert_int_equal(u->dev->guest_errors, 0);
}

/* THREATS 1 and 17: a guest that ignores THRE fills 16 bytes and no more. */
static void transmit_fifo_is_bounded(void **state)
{
    struct uart_rig *u = *state;
    u->chr.room = 0;
    for (unsigned i = 0; i < 1000; i++) {
        put(u, DATA, (uint8_t)i);
    }
    assert_int_equal(u->dev->guest_errors, 1000 - 16);
    accept(u, SIZE_MAX);
    assert_int_equal(u->chr.out_len, 16);
    assert_int_equal((uint8_t)u->chr.out[15], 15);
}

static void input_triggers_and_timeout(void **state)
{
    static const uint8_t trigger[4] = {1, 4, 8, 14};
    struct uart_rig *u = *state;
    put(u, IER, 1);
    for (unsigned t = 0; t < 4; t++) {
        put(u, FCR, (uint8_t)(t << 6 | 1));
        for (unsigned n = 1; n <= 16; n++) {
            assert_int_equal(type(u, "x"), 1);
            assert_true(u->irq.level);
            assert_int_equal(get(u, IIR), n >= trigger[t] ? 0xc4 : 0xcc);
        }
        assert_int_equal(type(u, "full"), 0);
        u->chr.resumes = 0;
        for (unsigned n = 0; n < 16; n++) {
            assert_int_equal(get(u, LSR), THRE | DR);
            assert_int_equal(u->chr.resumes, 0);
            assert_int_equal(get(u, DATA), 'x');
        }
        assert_int_equal(u->chr.resumes, 1);
        assert_false(u->irq.level);
        assert_int_equal(get(u, DATA), 0);
    }
    assert_int_equal(type(u, "0123456789abcdefghi"), 16);
    put(u, FCR, 3 | 0xc0);
    assert_int_equal(get(u, LSR), THRE);
    assert_int_equal(type(u, "ok"), 2);
    put(u, FCR, 0); /* turning the FIFOs off empties them */
    assert_int_equal(get(u, LSR), THRE);
    assert_int_equal(get(u, IIR), 1);
    assert_int_equal(type(u, "one"), 1); /* a single holding register */
    assert_int_equal(get(u, IIR), 4);
    assert_int_equal(get(u, DATA), 'o');
}

static void input_waits_until_the_guest_listens(void **state)
{
    struct uart_rig *u = *state;
    assert_int_equal(type(u, "early"), 0);
    put(u, FCR, 7); /* a starting driver clears what came before */
    (void)get(u, LSR);
    (void)get(u, DATA);
    assert_int_equal(u->chr.resumes, 0);
    put(u, IER, 1);
    assert_int_equal(u->chr.resumes, 1);
    assert_int_equal(type(u, "early"), 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(get(u, DATA), "early"[i]);
    }
    /* A poller reads LSR again and again; one that writes looks at it once a byte. */
    put(u, IER, 0);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(type(u, "p"), 0);
        assert_int_equal(get(u, LSR), THRE);
        put(u, DATA, '.');
    }
    /* Linux's console looks twice: behind its last byte, and before the next. That is no polling,
     * and what it were given would be lost when the driver proper starts. */
    (void)get(u, LSR);
    (void)get(u, LSR);
    assert_int_equal(u->chr.resumes, 1);
    for (unsigned i = 0; i < 64; i++) {
        (void)get(u, LSR);
    }
    assert_int_equal(u->chr.resumes, 2);
    assert_int_equal(type(u, "p"), 1);
    assert_int_equal(get(u, LSR), THRE | DR);
    assert_int_equal(get(u, DATA), 'p');
}

static void input_waits_for_rts(void **state)
{
    struct uart_rig *u = *state;
    put(u, FCR, 1);
    put(u, IER, 1);
    assert_int_equal(type(u, "a"), 1); /* neither line: not every program knows of them */
    put(u, MCR, 3);
    assert_int_equal(type(u, "b"), 1);
    put(u, MCR, 1); /* DTR alone: stop */
    assert_int_equal(type(u, "c"), 0);
    assert_int_equal(get(u, DATA), 'a');
    assert_int_equal(get(u, DATA), 'b');
    assert_int_equal(get(u, LSR), THRE);
    unsigned resumes = u->chr.resumes;
    put(u, MCR, 3);
    assert_int_equal(u->chr.resumes, resumes + 1);
    assert_int_equal(type(u, "c"), 1);
    assert_int_equal(get(u, DATA), 'c');
}

static void loopback(void **state)
{
    struct uart_rig *u = *state;
    put(u, FCR, 1);
    put(u, MCR, 0x10 | 8 | 2);
    assert_int_equal(get(u, MSR) & 0xf0,
                     0x90); /* OUT2 is DCD, RTS is CTS: how drivers look for a UART */
    put(u, MCR, 0x10 | 4 | 1);
    assert_int_equal(get(u, MSR), 0x60 | 8 | 2 | 1);
    put(u, MCR, 0x10);
    assert_int_equal(get(u, MSR), 4 | 2); /* RI tells of its falling edge only */
    assert_int_equal(get(u, MSR), 0);
    put(u, IER, 0xd);
    put(u, DATA, 'L');
    assert_int_equal(u->chr.out_len, 0);
    assert_int_equal(type(u, "host"), 0); /* the line is cut */
    assert_int_equal(get(u, DATA), 'L');
    /* Overrun: the 17th byte is lost, and says so, above all other causes. */
    for (unsigned i = 0; i < 17; i++) {
        put(u, DATA, (uint8_t)i);
    }
    assert_int_equal(get(u, IIR), 0xc6);
    assert_int_equal(get(u, LSR), THRE | DR | OE);
    assert_int_equal(get(u, LSR), THRE | DR);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(get(u, DATA), i);
    }
    /* A break comes back as a zero with BI, reported when it is at the head. */
    put(u, DATA, 'x');
    put(u, LCR, 0x43);
    put(u, LCR, 0x03);
    assert_int_equal(get(u, LSR), THRE | DR | FIFO_ERROR);
    assert_int_equal(get(u, DATA), 'x');
    assert_int_equal(get(u, IIR), 0xc6);
    assert_int_equal(get(u, LSR), THRE | DR | FIFO_ERROR | BI);
    assert_int_equal(get(u, LSR), THRE | DR);
    assert_int_equal(get(u, DATA), 0);
    put(u, MCR, 0);
    assert_true(u->irq.level); /* the lines came back: modem status */
    assert_int_equal(get(u, IIR), 0xc0);
    assert_int_equal(get(u, MSR), 0xb0 | 8 | 2 | 1);
    assert_false(u->irq.level);
    assert_int_equal(u->chr.resumes, 1);
    assert_int_equal(type(u, "host"), 4);
    put(u, LCR, 0x43); /* a break to the host: nowhere to go */
    assert_int_equal(u->chr.out_len, 0);
}

static void registers_hold(void **state)
{
    struct uart_rig *u = *state;
    put(u, SCR, 0x5a);
    assert_int_equal(get(u, SCR), 0x5a);
    put(u, IER, 0xff);
    assert_int_equal(get(u, IER), 0x0f);
    put(u, MCR, 0xef);
    assert_int_equal(get(u, MCR), 0x0f);
    put(u, LCR, 0x83);
    assert_int_equal(get(u, LCR), 0x83);
    put(u, DATA, 2);
    put(u, IER, 1);
    assert_int_equal(get(u, DATA), 2);
    assert_int_equal(get(u, IER), 1);
    put(u, LCR, 3);
    assert_int_equal(get(u, IER), 0x0f);
    assert_int_equal(u->chr.out_len, 0);
    put(u, LSR, 0xff);
    put(u, MSR, 0xff);
    (void)vr_dev_read(u->dev, 0, 0, 4);
    (void)vr_dev_read(u->dev, 0, 8, 1);
    assert_int_equal(u->dev->guest_errors, 4);
    vr_dev_reset(u->dev);
    assert_int_equal(get(u, SCR), 0);
    assert_int_equal(get(u, IER), 0);
    assert_false(u->irq.level);
}

static void restored_with_bytes_both_ways(void **state)
{
    struct uart_rig *u = *state;
    struct sink irq = {0};
    struct vr_chr chr = {.room = 2};
    put(u, FCR, 0xc1);
    put(u, IER, 1);
    assert_int_equal(type(u, "in"), 2);
    u->chr.room = 0;
    put(u, DATA, 'o');
    put(u, DATA, 'u');
    put(u, DATA, 't');
    struct vr_dev *b = rig_dev(&u->rig, &vr_uart16550_class, NULL);
    vr_irq_connect(vr_uart16550_irq(b), sink_set, &irq, 10);
    vr_uart16550_attach(b, &chr);
    assert_int_equal(rig_copy(u->dev, b), 0);
    assert_true(irq.level);
    assert_int_equal(chr.out_len, 2);
    chr.room = 9;
    chr.user.on_writable(chr.user.opaque);
    assert_memory_equal(chr.out, "out", 3);
    assert_int_equal(vr_dev_read(b, 0, DATA, 1), 'i');
    assert_int_equal(vr_dev_read(b, 0, DATA, 1), 'n');
    assert_int_equal(chr.resumes, 1); /* the new host end may have kept something for it */
    vr_dev_destroy(b);
}

static void without_a_host_output_vanishes(void **state)
{
    struct uart_rig *u = *state;
    vr_uart16550_attach(u->dev, NULL);
    assert_null(u->chr.user.on_input);
    for (unsigned i = 0; i < 100; i++) {
        put(u, DATA, 'x');
        assert_int_equal(get(u, LSR), THRE);
    }
    assert_int_equal(u->chr.out_len, 0);
}

/* THREATS 1 and 19: any register, any width, any value, with a host that types and stalls. */
static void random_accesses_do_no_harm(void **state)
{
    struct uart_rig *u = *state;
    for (unsigned i = 0; i < 300; i++) {
        rig_storm(&u->rig, u->dev, 8, 100);
        (void)type(u, "storm and stress");
        u->chr.out_len = 0;
        accept(u, i % 20);
    }
    accept(u, SIZE_MAX);
    vr_dev_reset(u->dev);
    put(u, DATA, '!');
    assert_int_equal(get(u, LSR), THRE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(output_and_its_interrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_host_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(transmit_fifo_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(input_triggers_and_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(input_waits_until_the_guest_listens, setup, teardown),
        cmocka_unit_test_setup_teardown(input_waits_for_rts, setup, teardown),
        cmocka_unit_test_setup_teardown(loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(registers_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(restored_with_bytes_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_host_output_vanishes, setup, teardown),
        cmocka_unit_test_setup_teardown(random_accesses_do_no_harm, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
