/*
 * Virtio memory balloon (the traditional one): memory that the guest can do without goes back to
 * the host.
 *
 * Pages that the driver puts into the balloon, and free pages that it reports, are given back at
 * once (vr_dma_discard); they come back by being written, so deflating is just noted, and drivers
 * need not tell before they use a page (no MUST_TELL_HOST). Where the host's pages are larger than
 * the 4 KiB of the protocol, neighbours of one request are joined, and only whole pages go.
 *
 * The driver's one statistics buffer stays in its ring until the next ones are wanted: it is looked
 * at and put back, so no chain is ever held.
 *
 * A driver that fills free pages with a value and relies on it (PAGE_POISON) keeps the pages that
 * it reports, unless the value is the zero that a page has when it comes back.
 *
 * Queue 3 is for hints; of a driver that takes none, it takes reports as well: one that does not
 * count queues it does not use (Linux before 6.11) has the reporting queue there.
 *
 * Hints (FREE_PAGE_HINT) say what a migration need not copy. Each round has a command ID of its
 * own, which the driver repeats before its hints: those of another round are ignored. A page may be
 * in use again before its hint is looked at (a driver gives hinted pages away whenever it likes),
 * so a hint speaks of what a page held when its round began, never of what was written since;
 * whoever listens has to know which is which. After the round (STOP) the driver keeps its pages,
 * whose contents may change under it, until nothing of the kind can happen any more (DONE): the
 * machine goes on elsewhere, or here after all. Page poison does not matter there: what a driver
 * fills pages with it fills them with when it lets them go.
 *
 * Specification: VIRTIO 1.3, section 5.5.
 */
#include "dev/virtio/balloon.h"

#include "base/bits.h"
#include "dev/virtio/class.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    QUEUE_SIZE = 128,
    PAGE_SHIFT = 12,
    BATCH = 1024,            /* page numbers looked at together */
    REQUEST_PAGES = 1 << 18, /* of one request (1 GiB); the rest of a longer one is left alone */
    STAT_BYTES = 10,         /* le16 tag, le64 value */
    STATS_MAX = 64,          /* looked at in one buffer */
    ID = 5,
};
_Static_assert((int)VIREO_BALLOON_STATS <= 32, "room in struct vireo_balloon");

enum {
    F_STATS_VQ = 1 << 1,
    F_DEFLATE_ON_OOM = 1 << 2,
    F_FREE_PAGE_HINT = 1 << 3,
    F_PAGE_POISON = 1 << 4,
    F_PAGE_REPORTING = 1 << 5,
};

enum { C_NUM_PAGES = 0, C_ACTUAL = 4, C_HINT_CMD = 8, C_POISON = 12, CONFIG_LEN = 16 };

/* Command IDs: no hints are wanted; nor are the hinted pages; from there on, rounds. */
enum { CMD_STOP = 0, CMD_DONE = 1, CMD_FIRST = 2 };

#define EVENT_NS UINT64_C(1000000000)

enum { Q_INFLATE, Q_DEFLATE, Q_STATS, Q_HINT, Q_REPORT, QUEUES };

struct balloon {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[QUEUES];
    bool reporting, deflate_on_oom, hinting; /* config */
    bool hint_open;                          /* state, from here on */
    uint32_t hint_cmd, hint_round;
    uint32_t num_pages, actual, poison;
    uint32_t stats_known;
    uint64_t stats_ns;
    uint64_t stats[VIREO_BALLOON_STATS];
    uint32_t wanted_pages; /* host, from here on */
    unsigned answers;      /* statistics that came */
    uint32_t told;         /* of `actual`, to who listens */
    struct vr_timer due;   /* not more often than it fires */
    struct vr_cond answered;
    vr_balloon_hint_fn *hint; /* who wants them, or NULL */
    void *hint_opaque;
    struct vr_timer hints_over; /* tells the driver after a load */
    uint64_t hinted_bytes, stray_hints;
    uint64_t given_bytes, reported_bytes, kept_pages, failures;
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define BALLOON(d) ((struct balloon *)(d))

/* [gpa, gpa + len) is the host's again. */
static uint64_t balloon_give(struct balloon *s, uint64_t gpa, uint64_t len)
{
    struct vr_error err;
    uint64_t bytes = 0;
    int r = vr_dma_discard(s->dev.env->mem, &s->dev.dma, gpa, len, &bytes, &err);
    if (r == -EFAULT) {
        vr_guest_error(&s->dev, "page 0x%" PRIx64 ", %" PRIu64 " bytes: not memory", gpa, len);
    } else if (r < 0 && s->failures++ == 0) {
        vr_log(s->dev.env->log, VR_WARN, s->dev.id, "%s", err.msg);
    }
    return bytes;
}

static int balloon_by_number(const void *a, const void *b)
{
    uint32_t x = vr_load_le32(a), y = vr_load_le32(b);
    return x < y ? -1 : x > y;
}

/* @count page numbers, in any order: neighbours go together. */
static void balloon_batch(struct balloon *s, uint8_t *pfns, size_t count)
{
    uint64_t from = 0, to = 0; /* pages that are due */
    qsort(pfns, count, 4, balloon_by_number);
    for (size_t i = 0; i < count; i++) {
        uint64_t pfn = vr_load_le32(pfns + 4 * i);
        if (pfn > to || from == to) {
            s->given_bytes += balloon_give(s, from << PAGE_SHIFT, (to - from) << PAGE_SHIFT);
            from = pfn;
        }
        to = pfn + 1;
    }
    s->given_bytes += balloon_give(s, from << PAGE_SHIFT, (to - from) << PAGE_SHIFT);
}

static void balloon_inflate(struct balloon *s, struct vr_virtq *q, const struct vr_chain *chain)
{
    uint8_t pfns[BATCH * 4];
    uint64_t off = 0;
    if (chain->read_bytes % 4 || chain->read_bytes / 4 > REQUEST_PAGES) {
        vr_guest_error(&s->dev, "page numbers in %" PRIu64 " bytes", chain->read_bytes);
    }
    while (off < (uint64_t)REQUEST_PAGES * 4) {
        size_t len = vr_chain_read(q, chain, off, pfns, sizeof(pfns));
        balloon_batch(s, pfns, len / 4);
        off += len;
        if (len < sizeof(pfns)) {
            break;
        }
    }
}

/* Free pages, as the writable part of a chain. */
static void balloon_report(struct balloon *s, const struct vr_chain *chain)
{
    for (unsigned i = 0; i < chain->write_count; i++) {
        const struct iovec *piece = &vr_chain_writable(chain)[i];
        if (s->poison && vr_virtio_has(&s->v, F_PAGE_POISON)) {
            s->kept_pages += piece->iov_len >> PAGE_SHIFT;
        } else {
            s->reported_bytes += balloon_give(s, chain->gpa[chain->read_count + i], piece->iov_len);
        }
    }
}

/* The driver begins a round by its command ID, or ends it by another. False: that is none. */
static bool balloon_hint_command(struct balloon *s, struct vr_virtq *q,
                                 const struct vr_chain *chain)
{
    uint8_t raw[4];
    s->hint_open = false;
    if (chain->read_bytes != sizeof(raw) ||
        vr_chain_read(q, chain, 0, raw, sizeof(raw)) != sizeof(raw)) {
        return false;
    }
    uint32_t cmd = vr_load_le32(raw);
    s->hint_open = cmd >= CMD_FIRST && cmd == s->hint_cmd;
    return true;
}

static void balloon_hints(struct balloon *s, const struct vr_chain *chain)
{
    bool now = s->hint_open && s->hint;
    for (unsigned i = 0; i < chain->write_count; i++) {
        const struct iovec *piece = &vr_chain_writable(chain)[i];
        s->stray_hints += !now;
        if (now) {
            s->hinted_bytes += piece->iov_len;
            s->hint(s->hint_opaque, piece->iov_base, piece->iov_len);
        }
    }
}

static void balloon_set_hint_cmd(struct balloon *s, uint32_t cmd)
{
    s->hint_open = false;
    s->hint_cmd = cmd;
    vr_virtio_config_changed(&s->v);
}

/* The driver's statistics buffer came (back). */
static void balloon_hear_stats(struct balloon *s)
{
    struct vr_virtq *q = &s->vq[Q_STATS];
    struct vr_chain *chain = s->v.host.chain;
    uint8_t stat[STAT_BYTES];
    if (!vr_virtq_pop(q, chain)) {
        return;
    }
    s->stats_known = 0;
    for (unsigned i = 0; i < STATS_MAX; i++) {
        if (vr_chain_read(q, chain, (uint64_t)i * STAT_BYTES, stat, STAT_BYTES) < STAT_BYTES) {
            break;
        }
        uint16_t tag = vr_load_le16(stat);
        if (tag < VIREO_BALLOON_STATS) { /* others are to be ignored (5.5.6.3.2) */
            s->stats[tag] = vr_load_le64(stat + 2);
            s->stats_known |= UINT32_C(1) << tag;
        }
    }
    s->stats_ns = vr_clock_now(s->dev.env->clock);
    s->answers++;
    vr_virtq_unpop(q, chain->tag);
    vr_cond_broadcast(&s->answered);
}

/* Give the buffer back, which asks for the next one. */
static void balloon_ask(struct balloon *s)
{
    struct vr_virtq *q = &s->vq[Q_STATS];
    struct vr_chain *chain = s->v.host.chain;
    if (!vr_virtq_pop(q, chain)) {
        return; /* on its way already */
    }
    vr_virtq_push(q, chain->tag, 0);
    vr_virtq_notify(q);
    balloon_hear_stats(s); /* so that the driver notifies us of the next one, if it is not there */
}

static void balloon_handle(struct vr_dev *d, unsigned queue)
{
    struct balloon *s = BALLOON(d);
    struct vr_virtq *q = &s->vq[queue];
    struct vr_chain *chain = s->v.host.chain;
    if (queue == Q_STATS) {
        balloon_hear_stats(s);
        return;
    }
    bool hints = queue == Q_HINT && vr_virtio_has(&s->v, F_FREE_PAGE_HINT);
    while (vr_virtq_pop(q, chain)) {
        uint64_t read = queue <= Q_DEFLATE || hints ? chain->read_bytes : 0;
        if (read + (queue > Q_DEFLATE ? chain->write_bytes : 0) == 0) {
            q->host.stats.errors++;
            vr_virtio_break(&s->v, "queue %u: a request without pages", queue);
            return;
        }
        if (queue == Q_INFLATE) {
            balloon_inflate(s, q, chain);
        } else if (hints) {
            if (read && !balloon_hint_command(s, q, chain)) {
                q->host.stats.errors++;
                vr_virtio_break(&s->v, "queue %u: a command ID of %" PRIu64 " bytes", queue, read);
                return;
            }
            balloon_hints(s, chain);
        } else if (queue != Q_DEFLATE) {
            balloon_report(s, chain);
        }
        vr_virtq_push(q, chain->tag, 0);
    }
    vr_virtq_notify(q);
}

static uint64_t balloon_features(struct vr_dev *d)
{
    const struct balloon *s = BALLOON(d);
    return F_STATS_VQ | F_PAGE_POISON | (s->reporting ? F_PAGE_REPORTING : 0) |
           (s->deflate_on_oom ? F_DEFLATE_ON_OOM : 0) | (s->hinting ? F_FREE_PAGE_HINT : 0);
}

static void balloon_config_read(struct vr_dev *d, uint8_t *config)
{
    const struct balloon *s = BALLOON(d);
    vr_store_le32(config + C_NUM_PAGES, s->num_pages);
    vr_store_le32(config + C_ACTUAL, s->actual);
    vr_store_le32(config + C_HINT_CMD, s->hint_cmd);
    vr_store_le32(config + C_POISON, s->poison);
}

/* Memory that the guest has in all. */
static uint64_t balloon_memory(struct balloon *s)
{
    const struct vr_view *view = vr_space_view(s->dev.env->mem, &s->dev.dma);
    uint64_t bytes = 0;
    for (size_t i = 0; i < view->count; i++) {
        bytes += view->flat[i].region->kind == VR_REGION_RAM ? view->flat[i].len : 0;
    }
    return bytes;
}

/* BALLOON_CHANGE: what the guest is left with. A driver may change its mind as often as it likes;
 * it is told once a second, and what it came to is told in the end. */
static void balloon_tell(struct balloon *s)
{
    const struct vr_env *env = s->dev.env;
    uint64_t all = balloon_memory(s), taken = (uint64_t)s->actual << PAGE_SHIFT;
    s->told = s->actual;
    vr_timer_arm(&s->due, vr_clock_now(env->clock) + EVENT_NS);
    if (env->event) {
        env->event(env->opaque,
                   &(struct vr_event){.name = "BALLOON_CHANGE",
                                      .field = {{.key = "actual",
                                                 .type = VR_EVENT_NUMBER,
                                                 .number = taken < all ? all - taken : 0}}});
    }
}

static void balloon_due(void *arg)
{
    struct balloon *s = arg;
    if (s->told != s->actual) {
        balloon_tell(s);
    }
}

static bool balloon_config_write(struct vr_dev *d, uint32_t off, unsigned width, uint64_t val)
{
    struct balloon *s = BALLOON(d);
    if (width != 4 || (off != C_ACTUAL && off != C_POISON)) {
        return false;
    }
    if (off == C_ACTUAL) {
        s->actual = (uint32_t)val;
        if (s->told != s->actual && !s->due.armed) {
            balloon_tell(s);
        }
        return true;
    }
    /* 5.5.6.6.1: with the feature, and before DRIVER_OK. */
    if (!vr_virtio_has(&s->v, F_PAGE_POISON) || (s->v.status & VR_VIRTIO_DRIVER_OK)) {
        return false;
    }
    s->poison = (uint32_t)val;
    return true;
}

static void balloon_reset(struct vr_dev *d)
{
    BALLOON(d)->num_pages = BALLOON(d)->wanted_pages;
}

static const uint16_t balloon_queue_sizes[QUEUES] = {QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE,
                                                     QUEUE_SIZE};

static const struct vr_virtio_class balloon_class = {
    .name = "balloon",
    .device_id = ID,
    .queue_count = QUEUES,
    .queue_sizes = balloon_queue_sizes,
    .config_len = CONFIG_LEN,
    .features = balloon_features,
    .config_read = balloon_config_read,
    .config_write = balloon_config_write,
    .handle = balloon_handle,
    .reset = balloon_reset,
};

static void balloon_hints_over(void *arg)
{
    struct balloon *s = arg;
    if (s->hint_cmd == CMD_DONE) {
        vr_virtio_config_changed(&s->v);
    }
}

static int balloon_init(struct vr_dev *d, struct vr_error *err)
{
    vr_cond_init(&BALLOON(d)->answered);
    int r = vr_virtio_init(d, &balloon_class, vr_virtio_transport_of(d), BALLOON(d)->vq, err);
    if (r < 0) {
        vr_cond_fini(&BALLOON(d)->answered);
    } else {
        vr_timer_init(&BALLOON(d)->due, d->env->clock, &d->lock, balloon_due, BALLOON(d));
        vr_timer_init(&BALLOON(d)->hints_over, d->env->clock, &d->lock, balloon_hints_over,
                      BALLOON(d));
    }
    return r;
}

static int balloon_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct balloon *s = BALLOON(d);
    s->wanted_pages = s->num_pages;
    int r = vr_virtio_loaded(d, err);
    vr_timer_cancel(&s->hints_over);
    if (r == 0 && s->hint_round && s->hint_cmd != CMD_DONE) {
        /* Hints were for whoever saved this: nobody here wants them, and memory is what it will
         * stay. The driver is told as soon as the clock runs. */
        s->hint_cmd = CMD_DONE;
        s->hint_open = false;
        vr_timer_arm(&s->hints_over, 0);
    }
    return r;
}

static void balloon_fini(struct vr_dev *d)
{
    vr_timer_fini(&BALLOON(d)->due);
    vr_timer_fini(&BALLOON(d)->hints_over);
    vr_virtio_fini(d);
    vr_cond_fini(&BALLOON(d)->answered);
}

void vr_virtio_balloon_target(struct vr_dev *dev, uint64_t bytes)
{
    struct balloon *s = BALLOON(dev);
    uint64_t pages = bytes >> PAGE_SHIFT;
    vr_dev_lock(dev);
    s->wanted_pages = pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
    if (s->num_pages != s->wanted_pages) {
        s->num_pages = s->wanted_pages;
        vr_virtio_config_changed(&s->v);
    }
    vr_dev_unlock(dev);
}

void vr_virtio_balloon_info(struct vr_dev *dev, struct vireo_balloon *ret_info)
{
    struct balloon *s = BALLOON(dev);
    vr_dev_lock(dev);
    *ret_info = (struct vireo_balloon){
        .target_bytes = (uint64_t)s->num_pages << PAGE_SHIFT,
        .actual_bytes = (uint64_t)s->actual << PAGE_SHIFT,
        .given_bytes = s->given_bytes,
        .reported_bytes = s->reported_bytes,
        .stats_ns = s->stats_ns,
        .stats_known = s->stats_known,
    };
    memcpy(ret_info->stat, s->stats, sizeof(s->stats));
    vr_dev_unlock(dev);
}

int vr_virtio_balloon_ask(struct vr_dev *dev, uint64_t timeout_ns, struct vr_error *err)
{
    struct balloon *s = BALLOON(dev);
    uint64_t now = vireo_monotonic_ns();
    uint64_t until = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
    vr_dev_lock(dev);
    unsigned before = s->answers;
    bool late = false;
    balloon_ask(s);
    while (s->answers == before && !late) {
        late = !vr_cond_wait_until(&s->answered, &dev->lock, until);
    }
    bool came = s->answers != before;
    vr_dev_unlock(dev);
    return came ? 0
                : vr_err(err, -ETIMEDOUT,
                         "%s: the guest gave no statistics: has it a driver for the balloon, and "
                         "does it run?",
                         dev->id);
}

bool vr_virtio_balloon_hints_begin(struct vr_dev *dev, vr_balloon_hint_fn *hint, void *opaque)
{
    struct balloon *s = BALLOON(dev);
    vr_dev_lock(dev);
    bool can = vr_virtio_has(&s->v, F_FREE_PAGE_HINT) && (s->v.status & VR_VIRTIO_DRIVER_OK);
    if (can) {
        s->hint = hint;
        s->hint_opaque = opaque;
        s->hint_round = s->hint_round < CMD_FIRST || s->hint_round == UINT32_MAX
                            ? CMD_FIRST
                            : s->hint_round + 1;
        balloon_set_hint_cmd(s, s->hint_round);
    }
    vr_dev_unlock(dev);
    return can;
}

void vr_virtio_balloon_hints_end(struct vr_dev *dev, bool done)
{
    struct balloon *s = BALLOON(dev);
    vr_dev_lock(dev);
    s->hint = NULL;
    if (s->hint_cmd >= CMD_FIRST || (done && s->hint_round && s->hint_cmd == CMD_STOP)) {
        balloon_set_hint_cmd(s, done ? CMD_DONE : CMD_STOP);
    }
    vr_dev_unlock(dev);
}

static void balloon_counts(struct vr_dev *dev, struct vr_counts *to)
{
    struct balloon *s = BALLOON(dev);
    vr_dev_lock(dev);
    const struct {
        const char *name, *help;
        uint64_t value;
    } rows[] = {
        {"given_bytes", "memory that came back out of the balloon", s->given_bytes},
        {"reported_bytes", "memory that came back as free pages that the guest reported",
         s->reported_bytes},
        {"kept_pages", "pages that were reported, but are filled with what has to stay",
         s->kept_pages},
        {"hinted_bytes", "memory of which the guest said that a migration need not copy it",
         s->hinted_bytes},
        {"stray_hints", "hints that came when none were wanted: they were ignored", s->stray_hints},
        {"failures", "times that the host did not take pages back", s->failures},
    };
    vr_dev_unlock(dev);
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        to->put(to, -1, rows[i].name, true, rows[i].value, rows[i].help);
    }
    vr_virtio_counts(dev, to);
}

#define VR_SELF struct balloon
#define BALLOON_ROWS                                                                             \
    VR_VIRTIO_FIELDS(vq),                                                                        \
        VR_CONFIG(reporting,                                                                     \
                  "offer free page reporting: what the guest frees goes back by itself",         \
                  .def = true),                                                                  \
        VR_CONFIG(deflate_on_oom, "the guest may take pages back before it kills programs",      \
                  .def = true),                                                                  \
        VR_CONFIG(hinting, "offer free page hints: what the guest does not use is not migrated", \
                  .def = true, .since = 2),                                                      \
        VR_STATE(hint_open, "the driver's hints are of this round", .since = 2),                 \
        VR_STATE(hint_cmd, "command ID of hints that the driver sees", .since = 2),              \
        VR_STATE(hint_round, "the last round of hints; 0: there was none", .since = 2),          \
        VR_STATE(num_pages, "pages that shall be in the balloon"),                               \
        VR_STATE(actual, "pages that are, as the driver says"),                                  \
        VR_STATE(poison, "what the driver fills free pages with"),                               \
        VR_STATE(stats_known, "statistics that the driver gave, a bit each",                     \
                 .max = (UINT32_C(1) << VIREO_BALLOON_STATS) - 1),                               \
        VR_STATE(stats_ns, "guest time of the statistics"),                                      \
        VR_STATE_ARRAY(stats, "statistics by tag"),                                              \
        VR_HOST(wanted_pages, "num_pages after a reset: the host's wish"),                       \
        VR_HOST(answers, "statistics that came, for those who wait for them"),                   \
        VR_HOST(told, "what listeners know"), VR_HOST(due, "when they may be told again"),       \
        VR_HOST(answered, "wakes those who wait"), VR_HOST(hint, "who wants hints"),             \
        VR_HOST(hint_opaque, "its"),                                                             \
        VR_HOST(hints_over, "when the driver hears that they are not wanted any more"),          \
        VR_HOST(hinted_bytes, "statistics"),                                                     \
        VR_HOST(stray_hints, "statistics: when none were wanted"),                               \
        VR_HOST(given_bytes, "statistics"), VR_HOST(reported_bytes, "statistics"),               \
        VR_HOST(kept_pages, "statistics: reported, but filled with a value that has to stay"),   \
        VR_HOST(failures, "statistics: the host did not take pages back")

VR_VIRTIO_CLASSES(balloon, "virtio memory balloon", 2, BALLOON_ROWS, .init = balloon_init,
                  .reset = vr_virtio_reset, .loaded = balloon_loaded, .quiesce = vr_virtio_quiesce,
                  .fini = balloon_fini, .counts = balloon_counts);
