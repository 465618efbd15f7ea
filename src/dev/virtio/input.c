/*
 * Virtio input device with one key: a power button, by which a user asks the guest to power off.
 *
 * A press is four events (key down, report, key up, report). Those that the driver has no buffer
 * for wait for one; a press before the last one was delivered is that one.
 *
 * Odd habits: the driver selects a question in the configuration space, whose answer is then read
 * there. An answer of size 0 means that there is nothing of the kind.
 *
 * Specification: VIRTIO 1.2, section 5.8; event types and codes: Linux
 * include/uapi/linux/input-event-codes.h.
 */
#include "dev/virtio/input.h"

#include "base/bits.h"
#include "dev/virtio/class.h"

#include <errno.h>
#include <string.h>

enum { QUEUE_SIZE = 64, ID = 18, EVENTQ = 0, STATUSQ = 1 };
enum { C_SELECT, C_SUBSEL, C_SIZE, C_ANSWER = 8, ANSWER_LEN = 128 };
enum { CFG_NAME = 1, CFG_SERIAL = 2, CFG_DEVIDS = 3, CFG_EV_BITS = 0x11 };
enum { EV_SYN = 0, EV_KEY = 1, KEY_POWER = 116, BUS_VIRTUAL = 6, EVENT_LEN = 8 };

struct input {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[2];
    uint8_t select, subsel;
    uint8_t pending; /* events of a press that were not delivered yet; the last ones of it */
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define INPUT(d) ((struct input *)(d))

static const struct {
    uint16_t type, code;
    uint32_t value;
} input_press[] = {{EV_KEY, KEY_POWER, 1}, {EV_SYN, 0, 0}, {EV_KEY, KEY_POWER, 0}, {EV_SYN, 0, 0}};

static unsigned input_text(uint8_t *answer, const char *text)
{
    memcpy(answer, text, strlen(text));
    return (unsigned)strlen(text);
}

/* 5.8.4: answers to what is selected. */
static void input_config_read(struct vr_dev *d, uint8_t *config)
{
    const struct input *s = INPUT(d);
    uint8_t *answer = config + C_ANSWER;
    unsigned len = 0;
    config[C_SELECT] = s->select;
    config[C_SUBSEL] = s->subsel;
    if (s->select == CFG_NAME && s->subsel == 0) {
        len = input_text(answer, "Vireo power button");
    } else if (s->select == CFG_SERIAL && s->subsel == 0) {
        len = input_text(answer, d->id);
    } else if (s->select == CFG_DEVIDS && s->subsel == 0) {
        vr_store_le16(answer, BUS_VIRTUAL);
        vr_store_le16(answer + 6, 1); /* version; vendor and product are nobody's */
        len = 8;
    } else if (s->select == CFG_EV_BITS && s->subsel == EV_KEY) {
        answer[KEY_POWER / 8] = 1 << KEY_POWER % 8;
        len = KEY_POWER / 8 + 1;
    }
    config[C_SIZE] = (uint8_t)len;
}

static bool input_config_write(struct vr_dev *d, uint32_t off, unsigned width, uint64_t val)
{
    struct input *s = INPUT(d);
    if (width != 1 || off > C_SUBSEL) {
        return false;
    }
    *(off == C_SELECT ? &s->select : &s->subsel) = (uint8_t)val;
    return true;
}

/* Deliver what waits, as far as there are buffers. */
static void input_deliver(struct input *s)
{
    struct vr_virtq *q = &s->vq[EVENTQ];
    struct vr_chain *chain = s->v.host.chain;
    while (s->pending && vr_virtq_pop(q, chain)) {
        uint8_t event[EVENT_LEN];
        unsigned i = (unsigned)VR_COUNT(input_press) - s->pending;
        if (chain->write_bytes < EVENT_LEN) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "event buffer of %u bytes", (unsigned)chain->write_bytes);
            return;
        }
        vr_store_le16(event, input_press[i].type);
        vr_store_le16(event + 2, input_press[i].code);
        vr_store_le32(event + 4, input_press[i].value);
        vr_virtq_push(q, chain->tag, (uint32_t)vr_chain_write(q, chain, 0, event, EVENT_LEN));
        s->pending--;
    }
    vr_virtq_notify(q);
}

/* Lamps and sounds that it does not have. */
static void input_status(struct input *s)
{
    struct vr_virtq *q = &s->vq[STATUSQ];
    struct vr_chain *chain = s->v.host.chain;
    while (vr_virtq_pop(q, chain)) {
        vr_virtq_push(q, chain->tag, 0);
    }
    vr_virtq_notify(q);
}

static void input_handle(struct vr_dev *d, unsigned queue)
{
    if (queue == EVENTQ) {
        input_deliver(INPUT(d));
    } else {
        input_status(INPUT(d));
    }
}

int vr_virtio_input_press(struct vr_dev *d, struct vr_error *err)
{
    struct input *s = INPUT(d);
    vr_dev_lock(d);
    bool driver = (s->v.status & VR_VIRTIO_DRIVER_OK) && !(s->v.status & VR_VIRTIO_NEEDS_RESET);
    if (driver && s->pending == 0) {
        s->pending = (uint8_t)VR_COUNT(input_press);
        vr_virtio_handle(&s->v, EVENTQ);
    }
    vr_dev_unlock(d);
    return driver ? 0
                  : vr_err(err, -ENODEV,
                           "the guest does not listen to its power button: it has no driver "
                           "(virtio_input) for it, or not yet");
}

static const uint16_t input_queue_sizes[] = {QUEUE_SIZE, QUEUE_SIZE};

static const struct vr_virtio_class input_class = {
    .name = "input",
    .device_id = ID,
    .queue_count = 2,
    .queue_sizes = input_queue_sizes,
    .config_len = C_ANSWER + ANSWER_LEN,
    .config_read = input_config_read,
    .config_write = input_config_write,
    .handle = input_handle,
};

static int input_init(struct vr_dev *d, struct vr_error *err)
{
    return vr_virtio_init(d, &input_class, vr_virtio_transport_of(d), INPUT(d)->vq, err);
}

#define VR_SELF struct input
#define INPUT_ROWS                                                      \
    VR_VIRTIO_FIELDS(vq), VR_STATE(select, "what the driver asks for"), \
        VR_STATE(subsel, "of what kind"),                               \
        VR_STATE(pending, "events of a press that wait for buffers", .max = 4)

VR_VIRTIO_CLASSES(input, "virtio input device with a power button", 1, INPUT_ROWS,
                  .init = input_init, .reset = vr_virtio_reset, .loaded = vr_virtio_loaded,
                  .quiesce = vr_virtio_quiesce, .fini = vr_virtio_fini, .counts = vr_virtio_counts);
