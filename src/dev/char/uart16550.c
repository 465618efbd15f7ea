/*
 * 16550A UART: 16-byte FIFOs both ways, byte-wide registers 1 byte apart.
 *
 * What differs from the chip, because there is no line with a speed behind it:
 * - A byte written to THR goes to the host at once, so that THR is empty again before the guest
 * looks. When the host end takes no more, the transmit FIFO fills, and LSR says so until it has
 * drained. A transmit FIFO reset does not discard such bytes: on a real line they would be long
 * gone.
 * - The receive timeout has no length: fewer bytes than the trigger level interrupt at once, as a
 *   timeout. Parity and framing errors never happen, breaks only in loopback.
 * - Host input waits until the guest listens: it has enabled the receive interrupt, or polls LSR
 * (many reads with no write between them; a driver that transmits makes two at most, one behind its
 * last byte and one before the next). A driver that starts throws
 * away what is in the receiver; so what was typed, or piped in, before that is not lost.
 * - Host input waits while DTR is on and RTS off: hardware flow control by the guest.
 * - DCD, DSR and CTS are always on; modem status changes come from loopback alone. MCR's OUT2 does
 * not gate the interrupt, which is how a PC wires it, and other machines do not.
 *
 * Specification: PC16550D data sheet (National Semiconductor, 1995), section 8.
 */
#include "dev/char/uart16550.h"

#include "backend/chr/chr.h"
#include <inttypes.h>

enum { FIFO = 16, POLLING = 64 };
enum { IER_RX = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8 };
enum { IIR_NONE = 1, IIR_THRE = 2, IIR_RX = 4, IIR_LINE = 6, IIR_TIMEOUT = 0xc, IIR_FIFOS = 0xc0 };
enum { FCR_ENABLE = 1, FCR_RX_RESET = 2, FCR_TX_RESET = 4, FCR_KEPT = 0xc9 };
enum { LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 0x10 };
enum { LSR_DR = 1, LSR_OE = 2, LSR_BI = 0x10, LSR_THRE = 0x20, LSR_TEMT = 0x40, LSR_FIFO = 0x80 };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

struct uart {
    struct vr_dev dev;
    struct vr_chr *chr; /* NULL: what is sent vanishes */
    bool stalled;       /* the backend holds input back for us */
    struct vr_irq irq;
    uint8_t ier, fcr, lcr, mcr, scr, dll, dlm; /* state, from here on */
    uint8_t rx[FIFO], rx_break[FIFO], rx_head, rx_len;
    uint8_t tx[FIFO], tx_head, tx_len;
    uint8_t overrun, msr_delta, polls;
    bool thre_event;
};
#define UART(d) ((struct uart *)(d))

static unsigned uart_room(const struct uart *s)
{
    unsigned cap = s->fcr & FCR_ENABLE ? FIFO : 1;
    return s->rx_len < cap ? cap - s->rx_len : 0;
}

static bool uart_line_error(const struct uart *s)
{
    return s->overrun || (s->rx_len && s->rx_break[s->rx_head]);
}

/* What IIR reports: the enabled cause of the highest priority. */
static uint8_t uart_cause(const struct uart *s)
{
    static const uint8_t trigger[4] = {1, 4, 8, 14};
    if ((s->ier & IER_LINE) && uart_line_error(s)) {
        return IIR_LINE;
    }
    if ((s->ier & IER_RX) && s->rx_len) {
        bool full = !(s->fcr & FCR_ENABLE) || s->rx_len >= trigger[s->fcr >> 6];
        return full ? IIR_RX : IIR_TIMEOUT;
    }
    if ((s->ier & IER_THRE) && s->thre_event) {
        return IIR_THRE;
    }
    return (s->ier & IER_MODEM) && s->msr_delta ? 0 : IIR_NONE;
}

static void uart_update_irq(struct uart *s)
{
    vr_irq_set(&s->irq, uart_cause(s) != IIR_NONE);
}

static void uart_push(struct uart *s, uint8_t c, bool is_break)
{
    if (uart_room(s) == 0) {
        s->overrun = 1;
        return;
    }
    unsigned i = (s->rx_head + s->rx_len++) % FIFO;
    s->rx[i] = c;
    s->rx_break[i] = is_break;
}

/* RTS off with DTR on is how a driver says that it has no room. Simple software sets neither. */
static bool uart_listens(const struct uart *s)
{
    return ((s->ier & IER_RX) || s->polls >= POLLING) && !(s->mcr & MCR_LOOP) &&
           (s->mcr & (MCR_DTR | MCR_RTS)) != MCR_DTR;
}

/* Ask the backend for the input that it keeps for us, once the receiver is empty. */
static void uart_hear(struct uart *s)
{
    if (s->stalled && s->rx_len == 0 && uart_listens(s)) {
        s->stalled = false;
        if (s->chr) {
            vr_chr_resume(s->chr);
        }
    }
}

/* Hand the transmit FIFO to the backend as far as it takes it. */
static void uart_drain(struct uart *s)
{
    while (s->tx_len) {
        unsigned n = FIFO - s->tx_head;
        n = n < s->tx_len ? n : s->tx_len;
        size_t took = vr_chr_write(s->chr, &s->tx[s->tx_head], n);
        s->tx_head = (s->tx_head + took) % FIFO;
        s->tx_len -= (uint8_t)took;
        if (took < n) {
            return; /* uart_on_writable goes on */
        }
    }
    s->thre_event = true;
}

static size_t uart_on_input(void *opaque, const uint8_t *buf, size_t len)
{
    struct uart *s = opaque;
    size_t n = 0;
    vr_dev_lock(&s->dev);
    if (uart_listens(s)) {
        for (; n < len && uart_room(s); n++) {
            uart_push(s, buf[n], false);
        }
        uart_update_irq(s);
    }
    s->stalled = n < len;
    vr_dev_unlock(&s->dev);
    return n;
}

static void uart_on_writable(void *opaque)
{
    struct uart *s = opaque;
    vr_dev_lock(&s->dev);
    if (s->tx_len) {
        uart_drain(s);
        uart_update_irq(s);
    }
    vr_dev_unlock(&s->dev);
}

/* The modem lines as MSR shows them. */
static uint8_t uart_lines(const struct uart *s)
{
    if (!(s->mcr & MCR_LOOP)) {
        return MSR_DCD | MSR_DSR | MSR_CTS;
    }
    return (s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
           (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static uint64_t uart_read_data(struct vr_dev *d, unsigned index)
{
    struct uart *s = UART(d);
    (void)index;
    if (s->lcr & LCR_DLAB) {
        return s->dll;
    }
    if (s->rx_len == 0) {
        return 0;
    }
    uint8_t c = s->rx[s->rx_head];
    s->rx_head = (s->rx_head + 1) % FIFO;
    s->rx_len--;
    uart_hear(s);
    uart_update_irq(s);
    return c;
}

static void uart_write_data(struct vr_dev *d, unsigned index, uint64_t val)
{
    struct uart *s = UART(d);
    (void)index;
    s->polls = 0;
    if (s->lcr & LCR_DLAB) {
        s->dll = (uint8_t)val;
        return;
    }
    s->thre_event = false;
    if (s->mcr & MCR_LOOP) {
        uart_push(s, (uint8_t)val, false);
        s->thre_event = s->tx_len == 0;
    } else if (s->tx_len == FIFO) {
        vr_guest_error(d, "byte 0x%02x sent to a full transmit FIFO is lost", (unsigned)val);
    } else {
        s->tx[(s->tx_head + s->tx_len++) % FIFO] = (uint8_t)val;
        uart_drain(s);
    }
    uart_update_irq(s);
}

static uint64_t uart_read_ier(struct vr_dev *d, unsigned index)
{
    (void)index;
    return UART(d)->lcr & LCR_DLAB ? UART(d)->dlm : UART(d)->ier;
}

static void uart_write_ier(struct vr_dev *d, unsigned index, uint64_t val)
{
    struct uart *s = UART(d);
    (void)index;
    s->polls = 0;
    if (s->lcr & LCR_DLAB) {
        s->dlm = (uint8_t)val;
        return;
    }
    /* Drivers probe by enabling it: an empty THR interrupts each time it is enabled. */
    if ((val & ~s->ier & IER_THRE) && s->tx_len == 0) {
        s->thre_event = true;
    }
    s->ier = val & (IER_RX | IER_THRE | IER_LINE | IER_MODEM);
    uart_hear(s);
    uart_update_irq(s);
}

static uint64_t uart_read_iir(struct vr_dev *d, unsigned index)
{
    struct uart *s = UART(d);
    uint8_t cause = uart_cause(s);
    (void)index;
    if (cause == IIR_THRE) {
        s->thre_event = false;
        uart_update_irq(s);
    }
    return cause | (s->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static void uart_write_fcr(struct vr_dev *d, unsigned index, uint64_t val)
{
    struct uart *s = UART(d);
    (void)index;
    s->polls = 0;
    if (((val ^ s->fcr) & FCR_ENABLE) || (val & FCR_RX_RESET)) {
        s->rx_head = s->rx_len = 0;
    }
    s->fcr = val & FCR_ENABLE ? val & FCR_KEPT : 0;
    uart_hear(s);
    uart_update_irq(s);
}

static uint64_t uart_read_lcr(struct vr_dev *d, unsigned index)
{
    (void)index;
    return UART(d)->lcr;
}

static void uart_write_lcr(struct vr_dev *d, unsigned index, uint64_t val)
{
    struct uart *s = UART(d);
    (void)index;
    s->polls = 0;
    if ((val & ~s->lcr & LCR_BREAK) && (s->mcr & MCR_LOOP)) {
        uart_push(s, 0, true);
    }
    s->lcr = (uint8_t)val;
    uart_update_irq(s);
}

static uint64_t uart_read_mcr(struct vr_dev *d, unsigned index)
{
    (void)index;
    return UART(d)->mcr;
}

static void uart_write_mcr(struct vr_dev *d, unsigned index, uint64_t val)
{
    struct uart *s = UART(d);
    uint8_t before = uart_lines(s);
    (void)index;
    s->polls = 0;
    s->mcr = val & 0x1f;
    uint8_t after = uart_lines(s), changed = before ^ after;
    /* DCTS, DDSR and DDCD tell of both edges, TERI only of RI's falling edge. */
    s->msr_delta |=
        (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4 | (before & ~after & MSR_RI) >> 4;
    uart_hear(s);
    uart_update_irq(s);
}

static uint64_t uart_read_lsr(struct vr_dev *d, unsigned index)
{
    struct uart *s = UART(d);
    uint8_t lsr = s->tx_len ? 0 : LSR_THRE | LSR_TEMT;
    (void)index;
    if (s->rx_len) {
        lsr |= LSR_DR;
        for (unsigned i = 0; i < s->rx_len && (s->fcr & FCR_ENABLE); i++) {
            lsr |= s->rx_break[(s->rx_head + i) % FIFO] ? LSR_FIFO : 0;
        }
        lsr |= s->rx_break[s->rx_head] ? LSR_BI : 0;
        s->rx_break[s->rx_head] = 0;
    } else if (s->tx_len == 0 && s->polls < POLLING) {
        s->polls++;
        uart_hear(s);
    }
    lsr |= s->overrun ? LSR_OE : 0;
    s->overrun = 0;
    uart_update_irq(s);
    return lsr;
}

static uint64_t uart_read_msr(struct vr_dev *d, unsigned index)
{
    struct uart *s = UART(d);
    uint8_t msr = uart_lines(s) | s->msr_delta;
    (void)index;
    s->msr_delta = 0;
    uart_update_irq(s);
    return msr;
}

static void uart_reset(struct vr_dev *d)
{
    UART(d)->stalled = true;
    uart_update_irq(UART(d));
}

static int uart_loaded(struct vr_dev *d, struct vr_error *err)
{
    (void)err;
    if (UART(d)->tx_len) {
        uart_drain(UART(d));
    }
    UART(d)->stalled = true;
    uart_hear(UART(d));
    uart_update_irq(UART(d));
    return 0;
}

struct uart_plug {
    struct uart *s;
    struct vr_chr *chr;
};

/* On the loop's thread, where no callback of the old host end can be under way. */
static void uart_replug(void *arg)
{
    struct uart *s = ((struct uart_plug *)arg)->s;
    struct vr_chr *chr = ((struct uart_plug *)arg)->chr;
    const struct vr_chr_user user = {
        .on_input = uart_on_input, .on_writable = uart_on_writable, .opaque = s};
    if (s->chr) {
        vr_chr_attach(s->chr, NULL);
    }
    vr_dev_lock(&s->dev);
    s->chr = chr;
    s->stalled = false;
    vr_dev_unlock(&s->dev);
    if (chr) {
        vr_chr_attach(chr, &user);
    }
}

void vr_uart16550_attach(struct vr_dev *dev, struct vr_chr *chr)
{
    struct uart_plug plug = {.s = UART(dev), .chr = chr};
    if (dev->env->loop) {
        vr_loop_call(dev->env->loop, uart_replug, &plug);
    } else {
        uart_replug(&plug);
    }
}

static void uart_fini(struct vr_dev *d)
{
    if (UART(d)->chr) {
        vr_uart16550_attach(d, NULL);
    }
}

struct vr_irq *vr_uart16550_irq(struct vr_dev *dev)
{
    return &UART(dev)->irq;
}

static int uart_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    (void)d;
    vr_fdt_begin(fdt, "serial@%" PRIx64, at->gpa[0]);
    vr_fdt_str(fdt, "compatible", "ns16550a");
    vr_fdt_reg(fdt, at);
    vr_fdt_u32(fdt, "clock-frequency", VR_UART16550_CLOCK_HZ);
    vr_fdt_end(fdt);
    return 0;
}

#define VR_SELF struct uart
static const struct vr_field uart_fields[] = {
    VR_HOST(chr, "the board plugs the backend in"),
    VR_HOST(stalled, "the backend's affair: uart_loaded() asks it again"),
    VR_HOST(irq, "a wire, driven again by uart_loaded()"),
    VR_STATE(ier, "interrupt enable", .max = 0x0f),
    VR_STATE(fcr, "FIFO control: enable, DMA mode, trigger level"),
    VR_STATE(lcr, "line control"),
    VR_STATE(mcr, "modem control", .max = 0x1f),
    VR_STATE(scr, "scratch"),
    VR_STATE(dll, "divisor, low byte", .def = 12),
    VR_STATE(dlm, "divisor, high byte"),
    VR_STATE_ARRAY(rx, "receive FIFO, a ring"),
    VR_STATE_ARRAY(rx_break, "which bytes of rx are breaks", .max = 1),
    VR_STATE(rx_head, "oldest byte in rx", .max = FIFO - 1),
    VR_STATE(rx_len, "bytes in rx", .max = FIFO),
    VR_STATE_ARRAY(tx, "transmit FIFO, a ring: what the host has not taken yet"),
    VR_STATE(tx_head, "oldest byte in tx", .max = FIFO - 1),
    VR_STATE(tx_len, "bytes in tx", .max = FIFO),
    VR_STATE(overrun, "a byte came and found the receiver full", .max = 1),
    VR_STATE(msr_delta, "modem lines that changed", .max = 0x0f),
    VR_STATE(polls, "reads of an empty LSR in a row", .max = POLLING),
    VR_STATE(thre_event, "transmitter-empty interrupt is pending"),
    VR_FIELD_END,
};
static const struct vr_reg uart_regs[] = {
    VR_REG(0, 1, "RBR/THR/DLL", "data; divisor low when DLAB", .read = uart_read_data,
           .write = uart_write_data),
    VR_REG(1, 1, "IER/DLM", "interrupt enable; divisor high when DLAB", .read = uart_read_ier,
           .write = uart_write_ier),
    VR_REG(2, 1, "IIR/FCR", "interrupt cause; FIFO control", .read = uart_read_iir,
           .write = uart_write_fcr),
    VR_REG(3, 1, "LCR", "line control", .read = uart_read_lcr, .write = uart_write_lcr),
    VR_REG(4, 1, "MCR", "modem control", .read = uart_read_mcr, .write = uart_write_mcr),
    VR_REG(5, 1, "LSR", "line status", .read = uart_read_lsr),
    VR_REG(6, 1, "MSR", "modem status", .read = uart_read_msr),
    VR_REG_OF(7, 1, "SCR", scr, "scratch", .wmask = 0xff),
    VR_REG_END,
};

const struct vr_dev_class vr_uart16550_class = {
    .name = "uart16550",
    .help = "16550A serial port",
    .size = sizeof(struct uart),
    .version = 1,
    .fields = uart_fields,
    .windows = {{.name = "uart", .len = 0x100, .regs = uart_regs}},
    .reset = uart_reset,
    .loaded = uart_loaded,
    .fini = uart_fini,
    .describe = uart_describe,
};
