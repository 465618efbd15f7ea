/* The virtio console: bytes both ways with flow control, two ports and their control messages,
 * sizes. VIRTIO 1.2, section 5.3. */
#include "virtq_driver.h"

#include "backend/chr/chr_impl.h"
#include "base/bits.h"
#include "dev/virtio/console.h"

#include <errno.h>
#include <stdlib.h>

enum { RX0 = 0, TX0 = 1, CRX = 2, CTX = 3, RX1 = 4, TX1 = 5 };
enum { F_SIZE = 1, F_MULTIPORT = 2, F_EMERG = 4 };
enum {
    DEVICE_READY = 0,
    DEVICE_ADD = 1,
    PORT_READY = 3,
    CONSOLE_PORT = 4,
    RESIZE = 5,
    PORT_OPEN = 6,
    PORT_NAME = 7
};

struct end {
    struct vr_chr *chr;
    uint8_t *out; /* what came out at the host */
    size_t len;
};

struct fixture {
    struct rig rig;
    struct vr_loop *loop;
    struct end end[2];
    struct vr_dev *dev;
    struct vd d;
    struct vd_buf next; /* control buffer that the next message goes to */
};

enum { OUT_ROOM = 4 << 20 };

static void take_output(void *opaque, const uint8_t *buf, size_t len)
{
    struct end *e = opaque;
    assert_true(len <= OUT_ROOM - e->len);
    memcpy(e->out + e->len, buf, len);
    e->len += len;
}

static int setup(void **state)
{
    static struct fixture f;
    rig_init(&f.rig);
    assert_int_equal(vr_loop_create(&f.loop, NULL), 0);
    f.dev = rig_dev(&f.rig, VD_CLASS(console), "ports=/org.vireo.test," VD_OPTS);
    for (unsigned i = 0; i < 2; i++) {
        const struct vr_chr_opts opts = {.spec = "mem"};
        f.end[i] = (struct end){.out = malloc(OUT_ROOM)};
        assert_non_null(f.end[i].out);
        assert_int_equal(vr_chr_open(&opts, f.loop, &f.end[i].chr, NULL), 0);
        vr_chr_mem_on_output(f.end[i].chr, take_output, &f.end[i]);
        vr_virtio_console_attach(f.dev, i, f.end[i].chr);
    }
    vd_init(&f.d, &f.rig, f.dev);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    vr_dev_destroy(f->dev);
    for (unsigned i = 0; i < 2; i++) {
        vr_chr_close(f->end[i].chr);
        free(f->end[i].out);
    }
    vr_loop_destroy(f->loop);
    rig_fini(&f->rig);
    return 0;
}

static void turn(struct fixture *f)
{
    for (unsigned i = 0; i < 50; i++) {
        vr_loop_turn(f->loop, 0);
    }
}

static struct vd_buf post(struct vd *d, unsigned queue, uint32_t len)
{
    struct vd_buf in = vd_in(d, len);
    vd_add(d, queue, &in, 1);
    return in;
}

static void tell(struct fixture *f, uint32_t port, uint16_t event, uint16_t value)
{
    uint8_t msg[8];
    vr_store_le32(msg, port);
    vr_store_le16(msg + 4, event);
    vr_store_le16(msg + 6, value);
    struct vd_buf out = vd_out(&f->d, msg, sizeof(msg)), bufs[8];
    vd_do(&f->d, CTX, bufs, vd_split(out, 3, bufs, 8));
}

/* The next control message to the driver must be this one. */
static void expect(struct fixture *f, struct vd_buf buf, uint32_t port, uint16_t event,
                   uint16_t value, const char *more)
{
    uint32_t len;
    uint8_t *msg = vd_hva(&f->d, buf.gpa);
    assert_true(vd_used(&f->d, CRX, NULL, &len));
    assert_int_equal(len, 8 + strlen(more));
    assert_int_equal(vr_load_le32(msg), port);
    assert_int_equal(vr_load_le16(msg + 4), event);
    assert_int_equal(vr_load_le16(msg + 6), value);
    assert_memory_equal(msg + 8, more, strlen(more));
}

/* What Linux does when it finds the device. */
static void multiport(struct fixture *f, uint64_t features)
{
    struct vd_buf in[8];
    turn(f);
    vd_start(&f->d, features | F_MULTIPORT, 32);
    for (unsigned i = 0; i < 8; i++) {
        in[i] = post(&f->d, CRX, 64);
    }
    vd_kick(&f->d, CRX);
    tell(f, UINT32_MAX, DEVICE_READY, 1);
    expect(f, in[0], 0, DEVICE_ADD, 0, "");
    expect(f, in[1], 1, DEVICE_ADD, 0, "");
    tell(f, 0, PORT_READY, 1);
    expect(f, in[2], 0, CONSOLE_PORT, 1, "");
    expect(f, in[3], 0, PORT_OPEN, 1, "");
    tell(f, 1, PORT_READY, 1);
    expect(f, in[4], 1, PORT_NAME, 0, "org.vireo.test");
    expect(f, in[5], 1, PORT_OPEN, 1, "");
    assert_false(vd_used(&f->d, CRX, NULL, NULL));
    tell(f, 0, PORT_OPEN, 1);
    tell(f, 1, PORT_OPEN, 1);
    assert_int_equal(f->dev->guest_errors, 0);
    f->next = in[6];
}

static void output_in_every_mode(void **state)
{
    struct fixture *f = *state;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        struct vd_buf bufs[32];
        vd_start(&f->d, vd_modes[m].features, 32);
        for (unsigned cut = 1; cut < 8; cut++) {
            f->end[0].len = 0;
            struct vd_buf out = vd_out(&f->d, "Hello from the guest\r\n", 22);
            assert_int_equal(vd_do(&f->d, TX0, bufs, vd_split(out, cut, bufs, 32)), 0);
            turn(f);
            assert_int_equal(f->end[0].len, 22);
            assert_memory_equal(f->end[0].out, "Hello from the guest\r\n", 22);
        }
    }
    assert_int_equal(vd_stats(&f->d, TX0)->copied, 0); /* by us; the backend copies once */
}

static void input_in_every_mode(void **state)
{
    struct fixture *f = *state;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        uint32_t len;
        vd_start(&f->d, vd_modes[m].features, 32);
        struct vd_buf a = post(&f->d, RX0, 4), b = post(&f->d, RX0, 100);
        vd_kick(&f->d, RX0);
        assert_int_equal(vr_chr_mem_feed(f->end[0].chr, (const uint8_t *)"typed here", 10), 10);
        turn(f);
        assert_true(vd_used(&f->d, RX0, NULL, &len));
        assert_int_equal(len, 4);
        assert_true(vd_used(&f->d, RX0, NULL, &len));
        assert_int_equal(len, 6);
        assert_memory_equal(vd_hva(&f->d, a.gpa), "type", 4);
        assert_memory_equal(vd_hva(&f->d, b.gpa), "d here", 6);
        assert_int_equal(vd_isr(&f->d), VR_VIRTIO_ISR_USED);
    }
}

/* Typed before the driver is there, or faster than it reads: it waits. */
static void input_waits_for_buffers(void **state)
{
    struct fixture *f = *state;
    uint32_t len;
    assert_int_equal(vr_chr_mem_feed(f->end[0].chr, (const uint8_t *)"early", 5), 5);
    turn(f);
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(&f->d, vd_modes[m].features, 32);
        for (unsigned i = 0; i < 5; i++) {
            turn(f);
            assert_false(vd_used(&f->d, RX0, NULL, NULL));
            struct vd_buf in = post(&f->d, RX0, 1);
            vd_kick(&f->d, RX0);
            turn(f);
            assert_true(vd_used(&f->d, RX0, NULL, &len));
            assert_int_equal(*vd_hva(&f->d, in.gpa), "early"[i]);
        }
        vr_chr_mem_feed(f->end[0].chr, (const uint8_t *)"early", 5);
    }
}

/* The host end stands still: the guest's buffers stay in its ring, and nothing is lost or doubled.
 */
static void output_waits_for_the_host(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    enum { CHUNK = 100000, CHUNKS = 30 };
    uint64_t seed = 5, gpa;
    uint8_t *all = malloc((size_t)CHUNK * CHUNKS);
    assert_non_null(all);
    for (size_t i = 0; i < (size_t)CHUNK * CHUNKS; i++) {
        all[i] = (uint8_t)rig_random(&seed);
    }
    vd_start(d, VR_VIRTIO_F_EVENT_IDX, 32);
    gpa = vd_alloc(d, 8 * CHUNK, 1);
    unsigned sent = 0, used = 0;
    while (used < CHUNKS) {
        while (sent < CHUNKS && sent - used < 8) { /* 8 in flight: no more than the RAM holds */
            struct vd_buf buf = {.gpa = gpa + sent % 8 * CHUNK, .len = CHUNK}, bufs[3];
            memcpy(vd_hva(d, buf.gpa), all + (size_t)sent * CHUNK, CHUNK);
            vd_add(d, TX0, bufs, vd_split(buf, 33334, bufs, 3));
            sent++;
        }
        vd_kick(d, TX0);
        unsigned before = used;
        while (vd_used(d, TX0, NULL, NULL)) {
            used++;
        }
        if (used == before) { /* stuck: only now does the host read, and not all at once */
            vr_loop_turn(f->loop, 0);
        }
        if (sent == 14) { /* in the middle of it, move to another process */
            sent = 14;
            struct vr_dev *twin =
                rig_dev(&f->rig, VD_CLASS(console), "ports=/org.vireo.test," VD_OPTS);
            assert_int_equal(rig_copy(f->dev, twin), 0);
            vr_virtio_console_attach(f->dev, 0, NULL);
            vr_dev_destroy(f->dev);
            vr_virtio_console_attach(twin, 0, f->end[0].chr);
            f->dev = d->dev = twin;
        }
    }
    turn(f);
    assert_int_equal(f->end[0].len, (size_t)CHUNK * CHUNKS);
    assert_memory_equal(f->end[0].out, all, (size_t)CHUNK * CHUNKS);
    free(all);
}

/* --- Two ports --- */

static void two_ports(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    uint32_t len;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        multiport(f, vd_modes[m].features);
        assert_int_equal(vd_config(d, 4, 4), 2);
        f->end[0].len = f->end[1].len = 0;
        struct vd_buf out = vd_out(d, "to port 1", 9), in = post(d, RX1, 64);
        vd_do(d, TX1, &out, 1);
        vr_chr_mem_feed(f->end[1].chr, (const uint8_t *)"from port 1", 11);
        turn(f);
        assert_int_equal(f->end[0].len, 0);
        assert_int_equal(f->end[1].len, 9);
        assert_true(vd_used(d, RX1, NULL, &len));
        assert_int_equal(len, 11);
        assert_memory_equal(vd_hva(d, in.gpa), "from port 1", 11);
        assert_false(vd_used(d, RX0, NULL, NULL));
    }
}

static void input_waits_until_the_guest_opens(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    multiport(f, 0);
    tell(f, 1, PORT_OPEN, 0);
    struct vd_buf in = post(d, RX1, 64);
    vd_kick(d, RX1);
    vr_chr_mem_feed(f->end[1].chr, (const uint8_t *)"hello", 5);
    turn(f);
    assert_false(vd_used(d, RX1, NULL, NULL));
    tell(f, 1, PORT_OPEN, 1);
    turn(f);
    assert_true(vd_used(d, RX1, NULL, NULL));
    assert_memory_equal(vd_hva(d, in.gpa), "hello", 5);
}

/* Messages wait for buffers; a port that is unplugged meanwhile is not told open. */
static void control_messages_wait(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    turn(f);
    vd_start(d, F_MULTIPORT | VR_VIRTIO_F_EVENT_IDX, 32);
    tell(f, 0, DEVICE_READY, 1);
    tell(f, 1, PORT_READY, 1);
    vr_virtio_console_attach(f->dev, 1, NULL);
    static const uint16_t events[] = {DEVICE_ADD, DEVICE_ADD, PORT_NAME};
    for (unsigned i = 0; i < 3; i++) {
        assert_false(vd_used(d, CRX, NULL, NULL));
        struct vd_buf in = post(d, CRX, 64);
        vd_kick(d, CRX);
        assert_true(vd_used(d, CRX, NULL, NULL));
        assert_int_equal(vr_load_le16(vd_hva(d, in.gpa) + 4), events[i]);
    }
    struct vd_buf in = post(d, CRX, 64);
    vd_kick(d, CRX);
    turn(f);
    /* Told open before it was gone, or not at all; then gone. */
    if (vd_used(d, CRX, NULL, NULL)) {
        assert_int_equal(vr_load_le16(vd_hva(d, in.gpa) + 4), PORT_OPEN);
        assert_int_equal(vr_load_le16(vd_hva(d, in.gpa) + 6), 0);
        in = post(d, CRX, 64);
        vd_kick(d, CRX);
    }
    vr_virtio_console_attach(f->dev, 1, f->end[1].chr);
    turn(f);
    expect(f, in, 1, PORT_OPEN, 1, "");
}

/* A driver that says twice that it is there hears once of each port (5.3.6.2.1), also if half of
 * them had to wait, and after a restore. */
static void ports_are_added_once(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, F_MULTIPORT, 32);
    tell(f, 0, DEVICE_READY, 1);
    struct vd_buf in = post(d, CRX, 64);
    vd_kick(d, CRX);
    expect(f, in, 0, DEVICE_ADD, 0, "");
    tell(f, 0, DEVICE_READY, 1);
    in = post(d, CRX, 64);
    vd_kick(d, CRX);
    expect(f, in, 1, DEVICE_ADD, 0, "");
    in = post(d, CRX, 64);
    vd_kick(d, CRX);
    tell(f, 0, DEVICE_READY, 1);
    assert_false(vd_used(d, CRX, NULL, NULL));
    assert_int_equal(rig_copy(f->dev, f->dev), 0);
    tell(f, 0, DEVICE_READY, 1);
    assert_false(vd_used(d, CRX, NULL, NULL));
    vd_start(d, F_MULTIPORT, 32); /* another driver has to hear of them */
    tell(f, 0, DEVICE_READY, 1);
    in = post(d, CRX, 64);
    vd_kick(d, CRX);
    expect(f, in, 0, DEVICE_ADD, 0, "");
}

static void bad_messages_are_counted(void **state)
{
    struct fixture *f = *state;
    multiport(f, 0);
    static const struct {
        uint32_t port;
        uint16_t event, value;
    } bad[] = {{2, PORT_READY, 1},         {UINT32_MAX, PORT_OPEN, 1},
               {0, DEVICE_ADD, 0},         {0, 2, 0},
               {0, CONSOLE_PORT, 1},       {0, RESIZE, 0},
               {0, PORT_NAME, 0},          {0, 8, 1},
               {0, UINT16_MAX, 1},         {0, PORT_OPEN, 2},
               {1, PORT_READY, UINT16_MAX}};
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        uint64_t before = f->dev->guest_errors;
        tell(f, bad[i].port, bad[i].event, bad[i].value);
        assert_int_equal(f->dev->guest_errors, before + 1);
    }
    assert_false(vd_used(&f->d, CRX, NULL, NULL));
    assert_false(vd_needs_reset(&f->d));
    tell(f, 0, DEVICE_READY, 0); /* the driver gave up: not an error of form */
    tell(f, 0, PORT_READY, 0);
    assert_false(vd_needs_reset(&f->d));
}

/* --- Size, emergency --- */

static void resize(struct fixture *f, uint16_t cols, uint16_t rows)
{
    const struct vr_chr_user *user = &f->end[0].chr->user;
    user->on_resize(user->opaque, cols, rows);
}

static void size_by_configuration(void **state)
{
    struct fixture *f = *state;
    vd_start(&f->d, F_SIZE, 32);
    uint32_t gen = vd_get(&f->d, VD_GENERATION);
    resize(f, 132, 43);
    assert_int_equal(vd_isr(&f->d), VR_VIRTIO_ISR_CONFIG);
    assert_int_not_equal(vd_get(&f->d, VD_GENERATION), gen);
    assert_int_equal(vd_config(&f->d, 0, 2), 132);
    assert_int_equal(vd_config(&f->d, 2, 2), 43);
    resize(f, 132, 43);
    assert_int_equal(vd_isr(&f->d), 0); /* nothing new */
    vd_start(&f->d, 0, 32);
    resize(f, 80, 24);
    assert_int_equal(vd_isr(&f->d), 0); /* not negotiated */
}

/* One console alone needs no control queues; a driver of it finds two queues, and the size in the
 * configuration. */
static void a_console_alone(void **state)
{
    struct fixture *f = *state;
    struct vr_dev *dev = rig_dev(&f->rig, VD_CLASS(console), NULL);
    struct vd d;
    vd_init(&d, &f->rig, dev);
    assert_int_equal(vd_offered(&d) & 7, F_SIZE | F_EMERG);
    assert_int_equal(vd_config(&d, 4, 4), 1);
    vd_start(&d, F_SIZE, 32);
    vd_set(&d, VD_QUEUE_SEL, TX0);
    assert_int_not_equal(vd_get(&d, VD_QUEUE_SIZE_MAX), 0);
    vd_set(&d, VD_QUEUE_SEL, CRX);
    assert_int_equal(vd_get(&d, VD_QUEUE_SIZE_MAX), 0);
    assert_int_equal(dev->guest_errors, 0);
    vd_set(&d, VD_QUEUE_NOTIFY, CTX);
    assert_int_equal(dev->guest_errors, 1);
    vr_dev_destroy(dev);
}

/* As many as there can be, in any mix; each says what it is, and has a size of its own. */
static void eight_ports(void **state)
{
    static const char *const names[] = {"one", "", "three", "four", "", "", "seven", ""};
    struct fixture *f = *state;
    struct vr_chr *chr[8];
    struct vd d;
    struct vr_dev *dev =
        rig_dev(&f->rig, VD_CLASS(console), "ports=one//three/four///seven/,resize_rows_first=on");
    vd_init(&d, &f->rig, dev);
    for (unsigned i = 0; i < 8; i++) {
        const struct vr_chr_opts opts = {.spec = "mem"};
        assert_int_equal(vr_chr_open(&opts, f->loop, &chr[i], NULL), 0);
        vr_chr_mem_resize(chr[i], (uint16_t)(100 + i), (uint16_t)(50 + i));
        vr_virtio_console_attach(dev, i, chr[i]);
    }
    turn(f);
    struct fixture g = {.rig = f->rig, .loop = f->loop, .dev = dev, .d = d};
    vd_start(&g.d, F_SIZE | F_MULTIPORT, 32);
    assert_int_equal(vd_config(&g.d, 4, 4), 8);
    for (unsigned i = 0; i < 8; i++) {
        struct vd_buf in = post(&g.d, CRX, 64);
        vd_kick(&g.d, CRX);
        if (i == 0) {
            tell(&g, UINT32_MAX, DEVICE_READY, 1);
        }
        expect(&g, in, i, DEVICE_ADD, 0, "");
    }
    for (unsigned i = 0; i < 8; i++) {
        struct vd_buf in[4];
        for (unsigned k = 0; k < 4; k++) {
            in[k] = post(&g.d, CRX, 64);
        }
        vd_kick(&g.d, CRX);
        tell(&g, i, PORT_READY, 1);
        if (*names[i]) {
            expect(&g, in[0], i, PORT_NAME, 0, names[i]);
            expect(&g, in[1], i, PORT_OPEN, 1, "");
            assert_false(vd_used(&g.d, CRX, NULL, NULL)); /* no screen */
            vr_chr_mem_resize(chr[i], 1, 1);
            turn(f);
        } else {
            expect(&g, in[0], i, CONSOLE_PORT, 1, "");
            expect(&g, in[1], i, PORT_OPEN, 1, "");
            uint32_t len;
            assert_true(vd_used(&g.d, CRX, NULL, &len));
            assert_int_equal(len, 12);
            assert_int_equal(vr_load_le32(vd_hva(&g.d, in[2].gpa)), i);
            assert_int_equal(vr_load_le16(vd_hva(&g.d, in[2].gpa) + 4), RESIZE);
            assert_int_equal(vr_load_le16(vd_hva(&g.d, in[2].gpa) + 8), 50 + i);
            assert_int_equal(vr_load_le16(vd_hva(&g.d, in[2].gpa) + 10), 100 + i);
        }
        /* Bytes go where they belong. */
        uint8_t byte = (uint8_t)('a' + i);
        struct vd_buf rx = post(&g.d, i ? 2 + 2 * i : 0, 8);
        tell(&g, i, PORT_OPEN, 1);
        vr_chr_mem_feed(chr[i], &byte, 1);
        turn(f);
        assert_true(vd_used(&g.d, i ? 2 + 2 * i : 0, NULL, NULL));
        assert_int_equal(*vd_hva(&g.d, rx.gpa), byte);
        vd_start(&g.d, F_SIZE | F_MULTIPORT, 32); /* the posted buffers go with the rings */
        tell(&g, UINT32_MAX, DEVICE_READY, 1);
        for (unsigned k = 0; k < 8; k++) {
            post(&g.d, CRX, 64);
        }
        vd_kick(&g.d, CRX);
        while (vd_used(&g.d, CRX, NULL, NULL)) {
        }
    }
    assert_int_equal(dev->guest_errors, 0);
    vr_dev_destroy(dev);
    for (unsigned i = 0; i < 8; i++) {
        vr_chr_close(chr[i]);
    }
}

static void bad_port_names(void **state)
{
    struct fixture *f = *state;
    struct vr_dev *dev = NULL;
    struct vr_error err;
    assert_int_equal(
        vr_dev_create(VD_CLASS(console), "x", "ports=////////", &f->rig.env, &dev, &err), -ERANGE);
    assert_int_equal(vr_dev_create(VD_CLASS(console), "x", "ports=a/b/a", &f->rig.env, &dev, &err),
                     -EEXIST);
    assert_null(dev);
}

static void size_by_message(void **state)
{
    struct fixture *f = *state;
    multiport(f, F_SIZE);
    resize(f, 0x184, 0x12b);
    assert_int_equal(vd_isr(&f->d) & VR_VIRTIO_ISR_CONFIG, VR_VIRTIO_ISR_CONFIG);
    expect(f, f->next, 0, RESIZE, 0, "\x84\x01\x2b\x01"); /* columns first */
    assert_int_equal(vd_config(&f->d, 0, 4), 0x12b0184);
}

static void emergency_write(void **state)
{
    struct fixture *f = *state;
    vd_config_set(&f->d, 8, 4, 'A'); /* nobody has set the device up */
    vd_start(&f->d, F_EMERG, 32);
    vd_config_set(&f->d, 8, 4, 0xffffff00 | 'B');
    turn(f);
    assert_int_equal(f->end[0].len, 2);
    assert_memory_equal(f->end[0].out, "AB", 2);
    assert_int_equal(f->dev->guest_errors, 0);
    vd_config_set(&f->d, 8, 1, 'C');
    vd_config_set(&f->d, 0, 4, 'D');
    assert_int_equal(f->dev->guest_errors, 2);
}

static void restored_with_two_ports(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    multiport(f, 0);
    struct vr_dev *twin = rig_dev(&f->rig, VD_CLASS(console), "ports=/org.vireo.test," VD_OPTS);
    assert_int_equal(rig_copy(f->dev, twin), 0);
    vr_dev_destroy(f->dev);
    f->dev = d->dev = twin;
    for (unsigned i = 0; i < 2; i++) {
        vr_virtio_console_attach(twin, i, f->end[i].chr);
    }
    turn(f);
    struct vd_buf in = post(d, RX1, 64), out = vd_out(d, "still", 5);
    vd_kick(d, RX1);
    vr_chr_mem_feed(f->end[1].chr, (const uint8_t *)"open", 4);
    vd_do(d, TX1, &out, 1);
    turn(f);
    assert_true(vd_used(d, RX1, NULL, NULL));
    assert_memory_equal(vd_hva(d, in.gpa), "open", 4);
    assert_memory_equal(f->end[1].out, "still", 5);
}

static void without_host_ends(void **state)
{
    struct fixture *f = *state;
    vr_virtio_console_attach(f->dev, 0, NULL);
    vr_virtio_console_attach(f->dev, 1, NULL);
    vd_start(&f->d, 0, 32);
    struct vd_buf out = vd_out(&f->d, "nobody", 6);
    vd_do(&f->d, TX0, &out, 1);
    vd_config_set(&f->d, 8, 4, 'A');
    assert_int_equal(f->dev->guest_errors, 0);
}

/* Between quiesce and the clock's next run nothing gets into memory; then it all does. */
static void quiesced_it_takes_no_input(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    multiport(f, 0);
    struct vd_buf in = post(d, RX0, 64), out = vd_out(d, "out", 3);
    vd_kick(d, RX0);
    vr_dev_quiesce(f->dev);
    vr_chr_mem_feed(f->end[0].chr, (const uint8_t *)"in", 2);
    vr_virtio_console_attach(f->dev, 1, NULL); /* the driver shall hear of that */
    vd_add(d, TX0, &out, 1);
    vd_kick(d, TX0);
    turn(f);
    assert_false(vd_used(d, RX0, NULL, NULL));
    assert_false(vd_used(d, TX0, NULL, NULL));
    assert_false(vd_used(d, CRX, NULL, NULL));
    vr_clock_step(f->rig.env.clock, 1);
    turn(f);
    assert_true(vd_used(d, RX0, NULL, NULL));
    assert_memory_equal(vd_hva(d, in.gpa), "in", 2);
    assert_true(vd_used(d, TX0, NULL, NULL));
    assert_memory_equal(f->end[0].out, "out", 3);
    expect(f, f->next, 1, PORT_OPEN, 0, "");
}

/* A device that goes tells the driver nothing any more: what its wire leads to may be gone, too. */
static void it_goes_in_silence(void **state)
{
    struct fixture *f = *state;
    multiport(f, 0);
    post(&f->d, RX0, 64);
    vd_isr(&f->d);
    unsigned rises = f->d.irq.rises;
    vr_chr_mem_feed(f->end[0].chr, (const uint8_t *)"too late", 8);
    vr_dev_destroy(f->dev);
    turn(f);
    assert_int_equal(f->d.irq.rises, rises);
    assert_false(f->d.irq.level);
    assert_false(vd_used(&f->d, CRX, NULL, NULL));
    assert_false(vd_used(&f->d, RX0, NULL, NULL));
    f->dev = rig_dev(&f->rig, VD_CLASS(console), "ports=/org.vireo.test");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(output_in_every_mode),
        T(input_in_every_mode),
        T(input_waits_for_buffers),
        T(output_waits_for_the_host),
        T(two_ports),
        T(input_waits_until_the_guest_opens),
        T(control_messages_wait),
        T(ports_are_added_once),
        T(bad_messages_are_counted),
        T(size_by_configuration),
        T(size_by_message),
        T(a_console_alone),
        T(eight_ports),
        T(bad_port_names),
        T(emergency_write),
        T(restored_with_two_ports),
        T(without_host_ends),
        T(quiesced_it_takes_no_input),
        T(it_goes_in_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
