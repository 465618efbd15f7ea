/*
 * Virtio console with one port or several. A port without a name is a console (hvc0, hvc1, ... in
 * Linux), one with a name a byte pipe between programs (/dev/virtio-ports/NAME). A single console
 * needs no control queues, so MULTIPORT is not offered then.
 *
 * Neither side can flood the other. Input waits in the backend until the driver has buffers (and,
 * with MULTIPORT, has opened the port). Output that the backend does not take stays in the driver's
 * ring: the chain is taken back, and tx_done remembers how much of it has gone. Control messages to
 * the driver are a few pending bits a port, not a queue.
 *
 * The size of port 0 travels in the configuration space; with MULTIPORT, each console's comes as a
 * RESIZE message: columns first, as the specification and Debian 13's kernel have it. Linux used to
 * read rows first; for such guests there is an option.
 *
 * Specification: VIRTIO 1.3, section 5.3.
 */
#include "dev/virtio/console.h"

#include "backend/chr/chr.h"
#include "base/bits.h"
#include "dev/virtio/class.h"

#include <errno.h>

enum {
    PORTS = VR_VIRTIO_CONSOLE_PORTS,
    DATA_SIZE = 128,
    CONTROL_SIZE = 32,
    NAMES_ROOM = 256,
    CONTROL_BYTES = 8, /* le32 id, le16 event, le16 value */
    ID = 3,
};

enum { F_SIZE = 1 << 0, F_MULTIPORT = 1 << 1, F_EMERG_WRITE = 1 << 2 };

enum { C_COLS = 0, C_ROWS = 2, C_PORTS = 4, C_EMERG = 8, CONFIG_LEN = 12 };

/* Queues: receive and transmit of port 0, of control, of port 1, of port 2, ... */
enum { Q_CONTROL_RX = 2, Q_CONTROL_TX = 3, QUEUES = 2 * PORTS + 2 };

enum {
    DEVICE_READY = 0,
    DEVICE_ADD = 1,
    PORT_READY = 3,
    CONSOLE_PORT = 4,
    RESIZE = 5,
    PORT_OPEN = 6,
    PORT_NAME = 7,
};

/* Control messages that a port still has to send: bits of their event numbers. */
enum {
    PENDING = 1 << DEVICE_ADD | 1 << CONSOLE_PORT | 1 << RESIZE | 1 << PORT_OPEN | 1 << PORT_NAME
};

struct console;

struct console_end {
    struct console *s;
    struct vr_chr *chr; /* NULL: nothing is plugged in; output is swallowed */
    bool open;          /* somebody is at the host end */
    uint16_t cols, rows;
    const char *name; /* in the option; not terminated */
    uint8_t name_len; /* 0: a console */
};

struct console {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[QUEUES];
    char ports[NAMES_ROOM]; /* config */
    bool resize_rows_first;
    uint32_t tx_done[PORTS]; /* state, from here on */
    uint8_t pending[PORTS];
    bool added[PORTS], ready[PORTS], guest_open[PORTS], told_open[PORTS];
    struct console_end end[PORTS]; /* host, from here on */
    unsigned port_count;
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define CONSOLE(d) ((struct console *)(d))

static struct vr_virtq *console_rx(struct console *s, unsigned port)
{
    return &s->vq[port ? 2 + 2 * port : 0];
}

static struct vr_virtq *console_tx(struct console *s, unsigned port)
{
    return &s->vq[port ? 3 + 2 * port : 1];
}

static bool console_multiport(const struct console *s)
{
    return vr_virtio_has(&s->v, F_MULTIPORT);
}

/* May input go to this port now? */
static bool console_listens(const struct console *s, unsigned port)
{
    return console_multiport(s) ? s->guest_open[port] : port == 0;
}

/* One message to the driver; false: it has no buffer for it now. */
static bool console_tell(struct console *s, unsigned port, unsigned event)
{
    struct vr_virtq *q = &s->vq[Q_CONTROL_RX];
    struct vr_chain *chain = s->v.host.chain;
    uint8_t msg[CONTROL_BYTES + NAMES_ROOM] = {0};
    size_t len = CONTROL_BYTES;
    const struct console_end *end = &s->end[port];
    bool open = end->chr && end->open;
    if (!vr_virtq_pop(q, chain)) {
        return false;
    }
    vr_store_le32(msg, port);
    vr_store_le16(msg + 4, (uint16_t)event);
    if (event == CONSOLE_PORT) {
        vr_store_le16(msg + 6, 1);
    } else if (event == PORT_OPEN) {
        vr_store_le16(msg + 6, open);
    } else if (event == RESIZE) {
        vr_store_le16(msg + 8, s->resize_rows_first ? end->rows : end->cols);
        vr_store_le16(msg + 10, s->resize_rows_first ? end->cols : end->rows);
        len += 4;
    } else if (event == PORT_NAME) {
        memcpy(msg + CONTROL_BYTES, end->name, end->name_len);
        len += end->name_len;
    }
    if (chain->write_bytes < len) {
        vr_tally(&q->host.stats.errors, 1);
        vr_virtio_break(&s->v, "control buffer of %u bytes", (unsigned)chain->write_bytes);
        return false;
    }
    vr_virtq_push(q, chain->tag, (uint32_t)vr_chain_write(q, chain, 0, msg, len));
    if (event == PORT_OPEN) {
        s->told_open[port] = open;
    }
    return true;
}

/* The driver shall know whether somebody is at the host end. */
static void console_note_open(struct console *s, unsigned port)
{
    if (s->ready[port] && s->told_open[port] != (s->end[port].chr && s->end[port].open)) {
        s->pending[port] |= 1 << PORT_OPEN;
    }
}

static bool console_is_console(const struct console *s, unsigned port)
{
    return s->end[port].name_len == 0;
}

/* And how large its screen is. */
static void console_note_size(struct console *s, unsigned port)
{
    if (s->ready[port] && console_is_console(s, port) && s->end[port].cols) {
        s->pending[port] |= 1 << RESIZE;
    }
}

/* Send what is pending, as far as the driver has buffers. A port is added first, and hears of the
 * rest when it said that it is ready. */
static void console_control(struct console *s)
{
    static const uint8_t order[] = {CONSOLE_PORT, PORT_NAME, PORT_OPEN, RESIZE};
    bool room = console_multiport(s);
    for (unsigned port = 0; port < s->port_count && room; port++) {
        if (s->pending[port] & 1 << DEVICE_ADD) {
            room = s->added[port] = console_tell(s, port, DEVICE_ADD);
            s->pending[port] &= (uint8_t) ~(room << DEVICE_ADD);
        }
        for (unsigned i = 0; i < VR_COUNT(order) && room && s->ready[port]; i++) {
            if (s->pending[port] & 1 << order[i]) {
                room = console_tell(s, port, order[i]);
                s->pending[port] &= (uint8_t) ~(room << order[i]);
            }
        }
    }
    vr_virtq_notify(&s->vq[Q_CONTROL_RX]);
}

static void console_guest_opens(struct console *s, unsigned port, bool open)
{
    s->guest_open[port] = open;
    if (open) {
        vr_chr_resume(s->end[port].chr);
    }
}

/* A message from the driver. */
static void console_hear(struct console *s, const uint8_t *msg)
{
    uint32_t port = vr_load_le32(msg);
    uint16_t event = vr_load_le16(msg + 4), value = vr_load_le16(msg + 6);
    if (event == DEVICE_READY) { /* its port number means nothing */
        for (unsigned i = 0; i < s->port_count && value == 1; i++) {
            s->pending[i] |= s->added[i] ? 0 : 1 << DEVICE_ADD; /* 5.3.6.2.1: not again */
        }
        return;
    }
    if (port >= s->port_count || value > 1 || (event != PORT_READY && event != PORT_OPEN)) {
        vr_guest_error(&s->dev, "control message: port %u, event %u, value %u", port, event, value);
        return;
    }
    if (event == PORT_OPEN) {
        console_guest_opens(s, port, value);
        return;
    }
    s->ready[port] = value;
    if (value) {
        s->pending[port] |= console_is_console(s, port) ? 1 << CONSOLE_PORT : 1 << PORT_NAME;
        console_note_open(s, port);
        console_note_size(s, port);
    }
}

static void console_hear_all(struct console *s)
{
    struct vr_virtq *q = &s->vq[Q_CONTROL_TX];
    struct vr_chain *chain = s->v.host.chain;
    while (vr_virtq_pop(q, chain)) {
        uint8_t msg[CONTROL_BYTES];
        if (vr_chain_read(q, chain, 0, msg, sizeof(msg)) < sizeof(msg)) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "control message of %u bytes", (unsigned)chain->read_bytes);
            return;
        }
        console_hear(s, msg);
        vr_virtq_push(q, chain->tag, 0);
    }
    vr_virtq_notify(q);
    console_control(s);
}

/* Output: the backend reads guest RAM itself. Stops where it takes no more. */
static void console_send(struct console *s, unsigned port)
{
    struct vr_virtq *q = console_tx(s, port);
    struct vr_chain *chain = s->v.host.chain;
    while (vr_virtq_pop(q, chain)) {
        uint64_t skip = s->tx_done[port], took = 0;
        bool full = false;
        for (unsigned i = 0; i < chain->read_count && !full; i++) {
            size_t len = chain->iov[i].iov_len, off = skip < len ? (size_t)skip : len;
            const uint8_t *bytes = (const uint8_t *)chain->iov[i].iov_base + off;
            size_t n = off < len ? vr_chr_write(s->end[port].chr, bytes, len - off) : 0;
            skip -= off;
            took += n;
            full = n < len - off;
        }
        if (full) {
            s->tx_done[port] += (uint32_t)took;
            vr_virtq_unpop(q, chain->tag);
            break;
        }
        s->tx_done[port] = 0;
        vr_virtq_push(q, chain->tag, 0);
    }
    vr_virtq_notify(q);
}

static void console_handle(struct vr_dev *d, unsigned queue)
{
    struct console *s = CONSOLE(d);
    if (queue == Q_CONTROL_RX) {
        console_control(s);
    } else if (queue == Q_CONTROL_TX) {
        if (console_multiport(s)) {
            console_hear_all(s);
        }
    } else {
        unsigned port = queue < 2 ? 0 : queue / 2 - 1;
        if (queue % 2) {
            console_send(s, port);
        } else {
            vr_chr_resume(s->end[port].chr);
        }
    }
}

static void console_queue_stopped(struct vr_dev *d, unsigned queue)
{
    if (queue % 2 && queue != Q_CONTROL_TX) {
        CONSOLE(d)->tx_done[queue < 2 ? 0 : queue / 2 - 1] = 0;
    }
}

static size_t console_on_input(void *opaque, const uint8_t *buf, size_t len)
{
    struct console_end *end = opaque;
    struct console *s = end->s;
    unsigned port = (unsigned)(end - s->end);
    struct vr_virtq *q = console_rx(s, port);
    size_t took = 0;
    vr_dev_lock(&s->dev);
    while (took < len && console_listens(s, port) && vr_virtq_pop(q, s->v.host.chain)) {
        size_t n = vr_chain_write(q, s->v.host.chain, 0, buf + took, len - took);
        if (n == 0) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "receive buffer without room");
            break;
        }
        vr_virtq_push(q, s->v.host.chain->tag, (uint32_t)n);
        took += n;
    }
    vr_virtq_notify(q);
    vr_dev_unlock(&s->dev);
    return took;
}

static void console_on_writable(void *opaque)
{
    struct console_end *end = opaque;
    struct console *s = end->s;
    vr_dev_lock(&s->dev);
    vr_virtio_handle(&s->v, console_tx(s, (unsigned)(end - s->end))->host.index);
    vr_dev_unlock(&s->dev);
}

static void console_on_open(void *opaque, bool open)
{
    struct console_end *end = opaque;
    struct console *s = end->s;
    vr_dev_lock(&s->dev);
    end->open = open;
    console_note_open(s, (unsigned)(end - s->end));
    console_control(s);
    vr_dev_unlock(&s->dev);
}

static void console_on_resize(void *opaque, uint16_t cols, uint16_t rows)
{
    struct console_end *end = opaque;
    struct console *s = end->s;
    vr_dev_lock(&s->dev);
    if (end->cols != cols || end->rows != rows) {
        end->cols = cols;
        end->rows = rows;
        if (end == s->end && vr_virtio_has(&s->v, F_SIZE)) {
            vr_virtio_config_changed(&s->v);
        }
        console_note_size(s, (unsigned)(end - s->end));
        console_control(s);
    }
    vr_dev_unlock(&s->dev);
}

static uint64_t console_features(struct vr_dev *d)
{
    const struct console *s = CONSOLE(d);
    bool alone = s->port_count == 1 && console_is_console(s, 0);
    return F_SIZE | F_EMERG_WRITE | (alone ? 0 : F_MULTIPORT);
}

static void console_config_read(struct vr_dev *d, uint8_t *config)
{
    const struct console *s = CONSOLE(d);
    const struct console_end *end = &s->end[0];
    vr_store_le16(config + C_COLS, end->cols);
    vr_store_le16(config + C_ROWS, end->rows);
    vr_store_le32(config + C_PORTS, s->port_count);
}

/* Works at any time, also before the driver is up (5.3.5.1). */
static bool console_config_write(struct vr_dev *d, uint32_t off, unsigned width, uint64_t val)
{
    uint8_t c = (uint8_t)val;
    if (off != C_EMERG || width != 4) {
        return false;
    }
    (void)vr_chr_write(CONSOLE(d)->end[0].chr, &c,
                       1); /* when the host does not listen, it is lost */
    return true;
}

static const uint16_t console_queue_sizes[QUEUES] = {
    DATA_SIZE, DATA_SIZE, CONTROL_SIZE, CONTROL_SIZE, DATA_SIZE, DATA_SIZE,
    DATA_SIZE, DATA_SIZE, DATA_SIZE,    DATA_SIZE,    DATA_SIZE, DATA_SIZE,
    DATA_SIZE, DATA_SIZE, DATA_SIZE,    DATA_SIZE,    DATA_SIZE, DATA_SIZE,
};
_Static_assert(QUEUES == 18, "sizes of all queues");

static const struct vr_virtio_class console_class = {
    .name = "console",
    .device_id = ID,
    .queue_count = QUEUES,
    .queue_sizes = console_queue_sizes,
    .config_len = CONFIG_LEN,
    .features = console_features,
    .config_read = console_config_read,
    .config_write = console_config_write,
    .handle = console_handle,
    .queue_stopped = console_queue_stopped,
};

/* "/org.vireo.0//x": a console, a port org.vireo.0, a console, a port x. */
static int console_parse_ports(struct console *s, struct vr_error *err)
{
    const char *at = s->ports;
    for (;; at++) {
        size_t len = strcspn(at, "/");
        if (s->port_count == PORTS) {
            return vr_err(err, -ERANGE, "ports=%s: at most %d", s->ports, PORTS);
        }
        struct console_end *end = &s->end[s->port_count++];
        *end = (struct console_end){.s = s, .name = at, .name_len = (uint8_t)len};
        for (const struct console_end *other = s->end; len && other < end; other++) {
            if (other->name_len == len && memcmp(other->name, at, len) == 0) {
                return vr_err(err, -EEXIST, "ports=%s: two have one name", s->ports);
            }
        }
        at += len;
        if (*at == 0) {
            return 0;
        }
    }
}

static int console_init(struct vr_dev *d, struct vr_error *err)
{
    struct console *s = CONSOLE(d);
    int r = console_parse_ports(s, err);
    r = r < 0 ? r : vr_virtio_init(d, &console_class, vr_virtio_transport_of(d), s->vq, err);
    if (r == 0) {
        s->v.host.queue_count =
            console_features(d) & F_MULTIPORT ? 2 * s->port_count + 2 : 2 * s->port_count;
    }
    return r;
}

static int console_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct console *s = CONSOLE(d);
    int r = vr_virtio_loaded(d, err);
    for (unsigned i = 0; i < PORTS && r == 0; i++) {
        bool some =
            s->pending[i] || s->added[i] || s->ready[i] || s->guest_open[i] || s->told_open[i];
        if (i >= s->port_count && some) {
            return vr_err(err, -ERANGE, "port %u: there are %u here", i, s->port_count);
        }
        if (s->pending[i] & ~PENDING) {
            return vr_err(err, -ERANGE, "port %u: unknown messages are pending", i);
        }
        console_note_open(s, i); /* the host end may be another one now */
    }
    return r;
}

/* On the loop's thread. */
static void console_unplug(void *arg)
{
    struct console_end *end = arg;
    if (end->chr) {
        vr_chr_attach(end->chr, NULL);
        console_on_open(end, false);
        vr_dev_lock(&end->s->dev);
        end->chr = NULL;
        vr_dev_unlock(&end->s->dev);
    }
}

static void console_fini(struct vr_dev *d)
{
    vr_virtio_halt(d);
    for (unsigned i = 0; i < CONSOLE(d)->port_count; i++) {
        vr_virtio_on_loop(d->env->loop, console_unplug, &CONSOLE(d)->end[i]);
    }
    vr_virtio_fini(d);
}

struct console_plug {
    struct console_end *end;
    struct vr_chr *chr;
};

static void console_plug_in(void *arg)
{
    const struct console_plug *plug = arg;
    const struct vr_chr_user user = {
        .on_input = console_on_input,
        .on_writable = console_on_writable,
        .on_open = console_on_open,
        .on_resize = console_on_resize,
        .opaque = plug->end,
    };
    console_unplug(plug->end);
    vr_dev_lock(&plug->end->s->dev);
    plug->end->chr = plug->chr;
    vr_dev_unlock(&plug->end->s->dev);
    if (plug->chr) {
        vr_chr_attach(plug->chr, &user);
    }
}

void vr_virtio_console_attach(struct vr_dev *dev, unsigned port, struct vr_chr *chr)
{
    vr_assert(port < CONSOLE(dev)->port_count);
    struct console_plug plug = {.end = &CONSOLE(dev)->end[port], .chr = chr};
    vr_virtio_on_loop(dev->env->loop, console_plug_in, &plug);
}

#define VR_SELF struct console
#define CONSOLE_ROWS                                                                         \
    VR_VIRTIO_FIELDS(vq),                                                                    \
        VR_CONFIG_STR(                                                                       \
            ports,                                                                           \
            "names of the ports, with / between them; one without a name is a console, one " \
            "with a name is /dev/virtio-ports/NAME in Linux; not given: one console"),       \
        VR_CONFIG(resize_rows_first, "in resize messages, for kernels that read them so"),   \
        VR_STATE_ARRAY(tx_done, "bytes of the next chain that have gone out already"),       \
        VR_STATE_ARRAY(pending, "control messages to send, a bit each"),                     \
        VR_STATE_ARRAY(added, "the driver knows of the port", .since = 2),                   \
        VR_STATE_ARRAY(ready, "the driver set the port up"),                                 \
        VR_STATE_ARRAY(guest_open, "a program in the guest has the port open"),              \
        VR_STATE_ARRAY(told_open, "the driver was told that the host end is open"),          \
        VR_HOST(end, "host ends, attached by the board, and names"),                         \
        VR_HOST(port_count, "from the option")

VR_VIRTIO_CLASSES(console, "virtio console with one port or several", 2, CONSOLE_ROWS,
                  .init = console_init, .reset = vr_virtio_reset, .loaded = console_loaded,
                  .quiesce = vr_virtio_quiesce, .fini = console_fini, .counts = vr_virtio_counts);
