/*
 * The source of a live migration: a thread that copies memory in rounds, and then gives the machine
 * away.
 *
 * Who has the machine: the source, until its VR_MIG_DONE has arrived whole; from then on the
 * target. So the source lets the disks go before it sends it, and may go on only if the target says
 * that it failed, or hangs up without having said that it runs (its process is gone). If nothing is
 * heard at all, nobody here can know: then the machine stays paused.
 */
#include "control/migrate.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "control/migrate_wire.h"
#include "control/vm_priv.h"
#include "core/dirty.h"
#include "core/ram_fork.h"
#include "core/snap.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIG_MS UINT64_C(1000000)
#define MIG_S  UINT64_C(1000000000)

enum {
    MIG_CONNECT_MS = 10000,
    MIG_ANSWER_MS = 60000, /* the other side reads kernels, and maps memory */
    MIG_ABORT_MS = 1000,
    MIG_PERIOD_MS = 10,  /* of slowing down */
    MIG_HOLD_MS = 1000,  /* at a time */
    MIG_BAD_ROUNDS = 2,  /* without progress, before it is slowed down (more) */
    MIG_LAST_ROUNDS = 8, /* slowed down as far as may be, before it is given up */
    MIG_LINGER_S = 3,
    MIG_STATE_CHUNK = 1 << 20,
    MIG_URI_MAX = 300,
    MIG_SCAN = 2 << 20, /* asking the host what is in use costs more than looking at pages */
};

struct vr_migrate {
    struct vireo_vm *vm;
    struct vr_mutex lock; /* guards info, thread, busy, opts */
    struct vr_cond wake;  /* cancelled, or done with slowing down */
    struct vireo_thread *thread;
    bool busy;
    struct vireo_migration info;
    uint64_t begin_ns;
    char uri[MIG_URI_MAX];
    struct vireo_migrate_opts opts;
    atomic_bool cancel;
    /* The thread's */
    struct vr_mig_link link;
    struct vr_dirty *dirty;
    uint64_t round_ns, round_sent; /* when the round began, and what was sent before */
    uint64_t pace_ns, pace_sent;   /* the same since the bandwidth is what it is: */
    uint64_t pace_bytes;
    struct vireo_thread *slow;
    uint64_t slow_ran_ns; /* that thread's: since when the guest runs */
    atomic_uint throttle; /* percent */
    atomic_bool slow_end;
    struct vr_snap snap;
    bool given; /* the disks were let go */
};

static const char *const mig_names[] = {
    [VIREO_MIGRATE_NONE] = "none",           [VIREO_MIGRATE_SETUP] = "setup",
    [VIREO_MIGRATE_ACTIVE] = "active",       [VIREO_MIGRATE_DEVICE] = "device",
    [VIREO_MIGRATE_COMPLETED] = "completed", [VIREO_MIGRATE_FAILED] = "failed",
    [VIREO_MIGRATE_CANCELLED] = "cancelled", [VIREO_MIGRATE_UNKNOWN] = "failed",
};

const char *vr_migrate_status(enum vireo_migrate_status status)
{
    return mig_names[status];
}

static void mig_set_status(struct vr_migrate *mg, enum vireo_migrate_status status)
{
    vr_mutex_lock(&mg->lock);
    mg->info.status = status;
    vr_mutex_unlock(&mg->lock);
    vr_events_note(mg->vm->events, &(struct vr_event){.name = "MIGRATION",
                                                      .field = {{.key = "status",
                                                                 .type = VR_EVENT_TEXT,
                                                                 .text = mig_names[status]}}});
}

/* Sleep until @until_ns; false: *@end (of cancelling, or of slowing down) became true meanwhile. */
static bool mig_sleep(struct vr_migrate *mg, const atomic_bool *end, uint64_t until_ns)
{
    vr_mutex_lock(&mg->lock);
    while (!atomic_load(end) && vr_cond_wait_until(&mg->wake, &mg->lock, until_ns)) {
    }
    vr_mutex_unlock(&mg->lock);
    return !atomic_load(end);
}

/* They may change while it is under way. */
static struct vireo_migrate_opts mig_opts(struct vr_migrate *mg)
{
    vr_mutex_lock(&mg->lock);
    struct vireo_migrate_opts o = mg->opts;
    vr_mutex_unlock(&mg->lock);
    return o;
}

/* ---- Slowing the guest down ---- */

/* A busy host wakes us late, and the guest ran longer than it was to: it stands as much longer. */
static void mig_hold_up(void *opaque)
{
    struct vr_migrate *mg = opaque;
    const uint64_t now = vireo_monotonic_ns(), part = atomic_load(&mg->throttle);
    uint64_t hold = (now - mg->slow_ran_ns) * part / (100 - part);
    hold = hold < MIG_HOLD_MS * MIG_MS ? hold : MIG_HOLD_MS * MIG_MS;
    (void)mig_sleep(mg, &mg->slow_end, now + hold);
    mg->slow_ran_ns = vireo_monotonic_ns(); /* here: it may run before we do */
}

static void mig_slow_main(void *opaque)
{
    struct vr_migrate *mg = opaque;
    mg->slow_ran_ns = vireo_monotonic_ns();
    while (!atomic_load(&mg->slow_end)) {
        uint64_t part = atomic_load(&mg->throttle);
        (void)mig_sleep(mg, &mg->slow_end,
                        mg->slow_ran_ns + MIG_PERIOD_MS * MIG_MS * (100 - part) / 100);
        vr_machine_still(mg->vm->machine, mig_hold_up, mg);
    }
}

static void mig_slow_stop(struct vr_migrate *mg)
{
    if (mg->slow) {
        atomic_store(&mg->slow_end, true);
        vr_mutex_lock(&mg->lock);
        vr_cond_broadcast(&mg->wake);
        vr_mutex_unlock(&mg->lock);
        vireo_thread_join(mg->slow);
        mg->slow = NULL;
    }
    atomic_store(&mg->slow_end, false);
}

static int mig_slow_start(struct vr_migrate *mg, struct vr_error *err)
{
    return mg->slow || !atomic_load(&mg->throttle)
               ? 0
               : vireo_thread_create("vr-throttle", mig_slow_main, mg, &mg->slow, err);
}

/* False: it is as slow as may be. */
static bool mig_slow_down(struct vr_migrate *mg)
{
    const struct vireo_migrate_opts o = mig_opts(mg);
    unsigned old = atomic_load(&mg->throttle), max = o.throttle_max;
    unsigned want = old ? old + o.throttle_step : o.throttle_initial;
    want = want < max ? want : max;
    atomic_store(&mg->throttle, want);
    vr_mutex_lock(&mg->lock);
    mg->info.throttle = want;
    vr_mutex_unlock(&mg->lock);
    return want > old;
}

/* ---- Memory ---- */

/* Keep to the bandwidth that is allowed. */
static int mig_pace(struct vr_migrate *mg, struct vr_error *err)
{
    uint64_t limit = mig_opts(mg).bandwidth_bytes;
    if (limit != mg->pace_bytes) { /* from here on */
        mg->pace_bytes = limit;
        mg->pace_ns = vireo_monotonic_ns();
        mg->pace_sent = mg->link.sent_bytes;
    }
    uint64_t sent = mg->link.sent_bytes - mg->pace_sent;
    uint64_t due =
        limit ? mg->pace_ns + (uint64_t)((double)sent / (double)limit * (double)MIG_S) : 0;
    if (due > vireo_monotonic_ns() && !mig_sleep(mg, &mg->cancel, due)) {
        return vr_err(err, -ECANCELED, "called off");
    }
    return 0;
}

/* How fast this round has been so far. What is measured over next to nothing says nothing. */
static void mig_note_rate(struct vr_migrate *mg)
{
    uint64_t ns = vireo_monotonic_ns() - mg->round_ns + 1;
    uint64_t sent = mg->link.sent_bytes - mg->round_sent;
    if (sent >= 256 << 10 || (mg->info.rounds && !mg->info.rate_bytes)) {
        mg->info.rate_bytes = (uint64_t)((double)sent * (double)MIG_S / (double)ns) + 1;
    }
}

/* Send the run of pages of one kind that begins at @page; *ret_count: how long it was. */
static int mig_send_run(struct vr_migrate *mg, unsigned i, uint64_t page, uint64_t max,
                        uint64_t *ret_count, struct vr_error *err)
{
    const uint8_t *at = vr_dirty_ram(mg->dirty, i)->hva + (page << VR_PAGE_SHIFT);
    bool zero = vr_is_zero(at, VR_PAGE_SIZE);
    uint64_t n = 1;
    while (n < max && vr_is_zero(at + (n << VR_PAGE_SHIFT), VR_PAGE_SIZE) == zero) {
        n++;
    }
    uint8_t head[24] = {0};
    vr_store_le32(head, i);
    vr_store_le64(head + 8, page);
    vr_store_le64(head + 16, n);
    /* The guest goes on writing: a page is copied before its sum is taken. */
    if (!zero) {
        memcpy(mg->link.buf, at, n << VR_PAGE_SHIFT);
    }
    int r = zero ? vr_mig_send(&mg->link, VR_MIG_ZEROS, head, 24, NULL, 0, MIG_ANSWER_MS, err)
                 : vr_mig_send(&mg->link, VR_MIG_PAGES, head, 16, mg->link.buf,
                               (uint32_t)(n << VR_PAGE_SHIFT), MIG_ANSWER_MS, err);
    vr_mutex_lock(&mg->lock);
    *(zero ? &mg->info.zero_pages : &mg->info.pages) += n;
    mg->info.sent_bytes = mg->link.sent_bytes;
    uint64_t done = n << VR_PAGE_SHIFT;
    mg->info.left_bytes -= done < mg->info.left_bytes ? done : mg->info.left_bytes;
    if (mg->info.rounds == 0) { /* the longest one: nobody waits for its end to know how fast */
        mig_note_rate(mg);
    }
    vr_mutex_unlock(&mg->lock);
    *ret_count = n;
    return r;
}

/* Send all that is in the account. */
static int mig_send_account(struct vr_migrate *mg, bool paced, struct vr_error *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < vr_dirty_ram_count(mg->dirty); i++) {
        uint64_t n = 0, done;
        for (uint64_t page = 0;
             r == 0 && (n = vr_dirty_take(mg->dirty, i, &page, VR_MIG_RUN)) != 0;) {
            for (; r == 0 && n; n -= done, page += done) {
                r = mig_send_run(mg, i, page, n, &done, err);
                r = r < 0 || !paced ? r : mig_pace(mg, err);
            }
        }
    }
    return r;
}

/* The guest's balloon driver says that it had no use for what is in memory there. */
static void mig_hinted(void *opaque, const void *hva, uint64_t len)
{
    struct vr_migrate *mg = opaque;
    uintptr_t begin = (uintptr_t)hva, end = begin + len;
    uint64_t pages = 0;
    for (unsigned i = 0; i < vr_dirty_ram_count(mg->dirty); i++) {
        const struct vr_ram *ram = vr_dirty_ram(mg->dirty, i);
        uintptr_t first = (uintptr_t)ram->hva, last = first + ram->len;
        uintptr_t from = begin > first ? begin : first, to = end < last ? end : last;
        pages += from < to ? vr_dirty_drop(mg->dirty, ram, from - first, to - from) : 0;
    }
    uint64_t bytes = pages << VR_PAGE_SHIFT;
    vr_mutex_lock(&mg->lock);
    mg->info.hinted_pages += pages;
    mg->info.left_bytes -= bytes < mg->info.left_bytes ? bytes : mg->info.left_bytes;
    vr_mutex_unlock(&mg->lock);
}

/* At first all that the host keeps anything for: the target's memory is empty. */
static void mig_fill_account(struct vr_migrate *mg)
{
    for (unsigned i = 0; i < vr_dirty_ram_count(mg->dirty); i++) {
        const struct vr_ram *ram = vr_dirty_ram(mg->dirty, i);
        for (uint64_t off = 0; off < ram->len; off += MIG_SCAN) {
            off = vr_align_down(vr_ram_next_data(ram, off), MIG_SCAN);
            if (off < ram->len) {
                uint64_t len = ram->len - off < MIG_SCAN ? ram->len - off : MIG_SCAN;
                vr_dirty_add(mg->dirty, i, off >> VR_PAGE_SHIFT, len >> VR_PAGE_SHIFT);
            }
        }
    }
}

static int mig_answer(struct vr_migrate *mg, enum vr_mig_type want, int timeout_ms,
                      struct vr_error *err)
{
    struct vr_mig_frame f;
    int r = vr_mig_recv(&mg->link, timeout_ms, &f, err);
    if (r < 0) {
        return r;
    }
    if (f.type == VR_MIG_FAILED) {
        char why[200];
        snprintf(why, sizeof(why), "%.*s", (int)f.len, (const char *)f.data);
        vr_mig_plain(why);
        return vr_err(err, -EREMOTEIO, "the other side: %s", why);
    }
    return f.type == want ? 0 : vr_err(err, -EPROTO, "the other side answers nonsense");
}

/* ---- The rounds ---- */

static int mig_hello(struct vr_migrate *mg, struct vr_error *err)
{
    char *text = NULL;
    uint8_t head[4 + 8 * VR_MIG_RAMS];
    unsigned count = vr_dirty_ram_count(mg->dirty);
    struct vireo_config *config = NULL; /* devices may come and go while it is read */
    int r = count > VR_MIG_RAMS ? vr_err(err, -ENOTSUP, "more than %d memories", VR_MIG_RAMS)
                                : vireo_vm_config(mg->vm, &config, err);
    r = r < 0 ? r : vireo_config_save(config, &text, err);
    vireo_config_destroy(config);
    if (r == 0) {
        vr_store_le32(head, count);
        for (unsigned i = 0; i < count; i++) {
            vr_store_le64(head + 4 + 8 * i, vr_dirty_ram(mg->dirty, i)->len);
        }
        r = vr_mig_send(&mg->link, VR_MIG_HELLO, head, 4 + 8 * count, text, (uint32_t)strlen(text),
                        MIG_ANSWER_MS, err);
        vireo_config_text_free(text);
    }
    return r < 0 ? r : mig_answer(mg, VR_MIG_READY, MIG_ANSWER_MS, err);
}

static void mig_begin_round(struct vr_migrate *mg)
{
    uint64_t left = vr_dirty_count(mg->dirty) << VR_PAGE_SHIFT;
    mg->round_ns = vireo_monotonic_ns();
    mg->round_sent = mg->link.sent_bytes;
    mg->pace_ns = mg->round_ns;
    mg->pace_sent = mg->round_sent;
    vr_mutex_lock(&mg->lock);
    mg->info.left_bytes = left;
    vr_mutex_unlock(&mg->lock);
}

/* One round: send what there is, wait until it has arrived, see what was written meanwhile. */
static int mig_round(struct vr_migrate *mg, struct vr_error *err)
{
    uint8_t number[8];
    mig_begin_round(mg);
    vr_store_le64(number, mg->info.rounds);
    int r = mig_send_account(mg, true, err);
    r = r < 0 ? r : vr_mig_send(&mg->link, VR_MIG_ROUND, number, 8, NULL, 0, MIG_ANSWER_MS, err);
    r = r < 0 ? r : mig_answer(mg, VR_MIG_ROUND_OK, MIG_ANSWER_MS, err);
    if (r < 0) {
        return r;
    }
    uint64_t ns = vireo_monotonic_ns() - mg->round_ns + 1;
    if (mg->info.rounds == 0) { /* hints do not speak of what the next look finds */
        vr_virt_hints_end(mg->vm->virt, false);
    }
    uint64_t found = vr_dirty_fetch(mg->dirty);
    vr_mutex_lock(&mg->lock);
    struct vireo_migration *info = &mg->info;
    info->rounds++;
    mig_note_rate(mg);
    info->dirty_rate = (uint64_t)((double)found * (double)MIG_S / (double)ns);
    info->left_bytes = found << VR_PAGE_SHIFT;
    /* At the end nobody paces: then it is at least as fast. */
    info->expected_ns =
        (uint64_t)((double)info->left_bytes / (double)info->rate_bytes * (double)MIG_S);
    vr_mutex_unlock(&mg->lock);
    return 0;
}

/* Until little enough is left. */
static int mig_rounds(struct vr_migrate *mg, struct vr_error *err)
{
    unsigned bad = 0, last = 0;
    for (;;) {
        uint64_t before = mg->link.sent_bytes;
        int r = mig_round(mg, err);
        if (r < 0) {
            return r;
        }
        const struct vireo_migration *i = &mg->info; /* written by this thread alone */
        if (i->expected_ns <= mig_opts(mg).downtime_ns) {
            return 0;
        }
        bad += i->left_bytes > (mg->link.sent_bytes - before) / 2;
        if (bad < MIG_BAD_ROUNDS) {
            continue;
        }
        bad = 0;
        if (!mig_slow_down(mg) && ++last >= MIG_LAST_ROUNDS / MIG_BAD_ROUNDS) {
            return vr_err(err, -ETIME,
                          "the guest writes %llu MiB a second, though slowed down by %u %%, and "
                          "%llu can be copied: allow more bandwidth, or a longer downtime (%llu ms "
                          "would do)",
                          (unsigned long long)(i->dirty_rate >> 8), i->throttle,
                          (unsigned long long)(i->rate_bytes >> 20),
                          (unsigned long long)(i->expected_ns / MIG_MS + 1));
        }
        r = mig_slow_start(mg, err);
        if (r < 0) {
            return r;
        }
    }
}

/* ---- The end ---- */

static int mig_send_state(struct vr_migrate *mg, struct vr_error *err)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < mg->snap.len;) {
        size_t n = mg->snap.len - at < MIG_STATE_CHUNK ? mg->snap.len - at : MIG_STATE_CHUNK;
        r = vr_mig_send(&mg->link, VR_MIG_STATE, NULL, 0, mg->snap.buf + at, (uint32_t)n,
                        MIG_ANSWER_MS, err);
        at += n;
    }
    return r;
}

/* The disks come back; if they do not, somebody else has them. */
static int mig_take_back(struct vr_migrate *mg, int why, struct vr_error *err)
{
    struct vr_error hold = {0};
    if (!mg->given) {
        return why;
    }
    if (vr_virt_hold_disks(mg->vm->virt, true, &hold) < 0) {
        return vr_err(err, -EINPROGRESS,
                      "the other side does not say that the machine runs there, but its disks are "
                      "in use (%s): it is paused here; look there, then 'stop' or 'resume' it here",
                      hold.msg);
    }
    mg->given = false;
    return why;
}

/* With everything standing still. */
static int mig_give(void *opaque, struct vr_error *err)
{
    struct vr_migrate *mg = opaque;
    uint8_t done[16];
    (void)vr_dirty_fetch(mg->dirty);
    mig_begin_round(mg);
    int r = mig_send_account(mg, false, err);
    r = r < 0 ? r : mig_send_state(mg, err);
    if (r < 0) {
        return r;
    }
    r = vr_virt_hold_disks(mg->vm->virt, false, err);
    if (r < 0) {
        return r;
    }
    mg->given = true;
    vr_store_le64(done, mg->snap.len);
    vr_store_le64(done + 8, vr_machine_state(mg->vm->machine) == VR_STATE_RUNNING);
    r = vr_mig_send(&mg->link, VR_MIG_DONE, done, 16, NULL, 0, MIG_ANSWER_MS, err);
    if (r < 0) { /* not all of it can arrive */
        return mig_take_back(mg, r, err);
    }
    mg->link.cancel = NULL; /* too late */
    r = mig_answer(mg, VR_MIG_RUNNING, MIG_ANSWER_MS, err);
    switch (r) {
    case 0:
        return 0;
    case -EREMOTEIO:
    case -EPIPE:
    case -ENODATA:
    case -ECONNRESET:
        return mig_take_back(mg, r, err); /* it said so, or its process is gone */
    default:
        return vr_err(err, -EINPROGRESS,
                      "the machine was given to %s, and nothing is heard from there: it is paused "
                      "here; look there, then 'stop' or 'resume' it here",
                      mg->uri);
    }
}

/* The guest stands still for the rest. */
static int mig_hand_over(struct vr_migrate *mg, struct vr_error *err)
{
    mig_slow_stop(mg);
    mig_set_status(mg, VIREO_MIGRATE_DEVICE);
    uint64_t begin = vireo_monotonic_ns(), sent = mg->link.sent_bytes;
    vr_snap_init(&mg->snap);
    int r = vr_machine_hand_over(mg->vm->machine, &mg->snap, mig_give, mg, err);
    vr_snap_fini(&mg->snap);
    vr_mutex_lock(&mg->lock);
    mg->info.sent_bytes = mg->link.sent_bytes;
    mg->info.still_bytes = mg->link.sent_bytes - sent;
    mg->info.downtime_ns = vireo_monotonic_ns() - begin;
    vr_mutex_unlock(&mg->lock);
    return r;
}

static int mig_copy(struct vr_migrate *mg, struct vr_error *err)
{
    int fd, r = vr_mig_connect(mg->uri, MIG_CONNECT_MS, &fd, err);
    r = r < 0 ? r : vr_mig_link_init(&mg->link, fd, &mg->cancel, err);
    r = r < 0 ? r : vr_dirty_start(mg->vm->machine, &mg->dirty, err);
    r = r < 0 ? r : mig_hello(mg, err);
    if (r < 0) {
        return r;
    }
    mig_fill_account(mg);
    /* Nobody waits for hints: those that come during the first round save what is still to be sent
     * in it. */
    (void)vr_virt_hints_begin(mg->vm->virt, mig_hinted, mg);
    vr_mutex_lock(&mg->lock);
    mg->info.setup_ns = vireo_monotonic_ns() - mg->begin_ns;
    vr_mutex_unlock(&mg->lock);
    do {
        mig_set_status(mg, VIREO_MIGRATE_ACTIVE);
        r = mig_rounds(mg, err);
        r = r < 0 ? r : mig_hand_over(mg, err);
    } while (r == -EAGAIN &&
             mig_sleep(mg, &mg->cancel, vireo_monotonic_ns() + MIG_PERIOD_MS * MIG_MS));
    if (r < 0 && r != -EINPROGRESS && r != -EPIPE && r != -ECONNRESET && mg->link.buf) {
        mg->link.cancel = NULL;
        (void)!vr_mig_send(&mg->link, VR_MIG_ABORT, NULL, 0, err->msg, (uint32_t)strlen(err->msg),
                           MIG_ABORT_MS, NULL);
    }
    return r;
}

static void mig_main(void *opaque)
{
    struct vr_migrate *mg = opaque;
    struct vr_error err = {0};
    mig_set_status(mg, VIREO_MIGRATE_SETUP);
    int r = mig_copy(mg, &err);
    mig_slow_stop(mg);
    /* Here, memory is what it was. On the other side the device knows by itself, as it is loaded.
     */
    vr_virt_hints_end(mg->vm->virt, true);
    vr_dirty_stop(mg->dirty);
    mg->dirty = NULL;
    vr_mig_link_fini(&mg->link);
    vr_mutex_lock(&mg->lock);
    mg->info.total_ns = vireo_monotonic_ns() - mg->begin_ns;
    mg->info.throttle = 0;
    snprintf(mg->info.error, sizeof(mg->info.error), "%s", r == -ECANCELED ? "" : err.msg);
    vr_mutex_unlock(&mg->lock);
    if (r < 0 && r != -ECANCELED) {
        vr_log(&mg->vm->log, r == -EINPROGRESS ? VR_ERROR : VR_WARN, vr_vm_name(mg->vm),
               "migration to %s failed: %s", mg->uri, err.msg);
    }
    mig_set_status(mg, r == 0              ? VIREO_MIGRATE_COMPLETED
                       : r == -EINPROGRESS ? VIREO_MIGRATE_UNKNOWN
                       : r == -ECANCELED   ? VIREO_MIGRATE_CANCELLED
                                           : VIREO_MIGRATE_FAILED);
    vr_mutex_lock(&mg->lock);
    bool end = r == 0 && mg->opts.end;
    mg->busy = false;
    vr_mutex_unlock(&mg->lock);
    if (end) { /* whoever watches wants to ask how it went */
        (void)mig_sleep(mg, &mg->cancel, vireo_monotonic_ns() + MIG_LINGER_S * MIG_S);
        vr_vm_stop_as(mg->vm, 0, "host-ui");
    }
}

/* ---- The public side ---- */

int vr_migrate_create(struct vireo_vm *vm, struct vr_migrate **ret_migrate, struct vr_error *err)
{
    struct vr_migrate *mg = vr_zalloc(sizeof(*mg));
    if (!mg) {
        return vr_err(err, -ENOMEM, "no memory for a machine");
    }
    mg->vm = vm;
    mg->link.stream.fd = -1;
    vr_mutex_init(&mg->lock);
    vr_cond_init(&mg->wake);
    *ret_migrate = mg;
    return 0;
}

static void mig_cancel(struct vr_migrate *mg)
{
    vr_mutex_lock(&mg->lock);
    atomic_store(&mg->cancel, true);
    vr_cond_broadcast(&mg->wake);
    vr_mutex_unlock(&mg->lock);
}

void vr_migrate_destroy(struct vr_migrate *mg)
{
    if (mg) {
        mig_cancel(mg);
        vireo_thread_join(mg->thread);
        vr_cond_fini(&mg->wake);
        vr_mutex_fini(&mg->lock);
        free(mg);
    }
}

void vr_migrate_defaults(struct vireo_migrate_opts *o)
{
    o->downtime_ns = o->downtime_ns ? o->downtime_ns : 300 * MIG_MS;
    o->throttle_initial = o->throttle_initial ? o->throttle_initial : 20;
    o->throttle_step = o->throttle_step ? o->throttle_step : 10;
    o->throttle_max = o->throttle_max ? o->throttle_max : 99;
}

void vr_migrate_tune(struct vr_migrate *mg, const struct vireo_migrate_opts *opts)
{
    vr_mutex_lock(&mg->lock);
    bool end = mg->opts.end;
    mg->opts = *opts;
    mg->opts.end = end;
    vr_mutex_unlock(&mg->lock);
}

static int mig_check_opts(const struct vireo_migrate_opts *o, struct vr_error *err)
{
    return o->throttle_initial > 99 || o->throttle_step > 99 || o->throttle_max > 99
               ? vr_err(err, -ERANGE, "a guest can be slowed down by 1 to 99 percent")
               : 0;
}

static int mig_check_here(struct vireo_vm *vm, struct vr_error *err)
{
    return vm->incoming || vr_machine_state(vm->machine) == VR_STATE_STOPPED ||
                   vr_machine_moved(vm->machine)
               ? vr_err(err, -EINVAL, "machine '%s' does not run here", vr_vm_name(vm))
               : 0;
}

int vireo_vm_migrate(struct vireo_vm *vm, const char *uri, const struct vireo_migrate_opts *opts,
                     struct vr_error *err)
{
    struct vr_migrate *mg = vm->migrate;
    struct vireo_migrate_opts o = opts ? *opts : (struct vireo_migrate_opts){0};
    vr_migrate_defaults(&o);
    int r = mig_check_opts(&o, err);
    r = r < 0 ? r : vr_mig_check_uri(uri, err);
    if (r == 0 && strlen(uri) >= MIG_URI_MAX) {
        r = vr_err(err, -EINVAL, "'%.80s...': at most %d characters", uri, MIG_URI_MAX - 1);
    }
    r = r < 0 ? r : mig_check_here(vm, err);
    r = r < 0 ? r : vr_virt_can_move(vm->virt, err);
    if (r < 0) {
        return r;
    }
    vr_mutex_lock(&mg->lock);
    if (mg->busy) {
        r = vr_err(err, -EBUSY, "machine '%s' is being migrated already", vr_vm_name(vm));
    }
    /* It may have moved since we looked. Then the last thread lingers, with this lock: we must not
     * wait for it. Otherwise it is at its end. */
    r = r < 0 ? r : mig_check_here(vm, err);
    if (r == 0) {
        vireo_thread_join(mg->thread);
        mg->thread = NULL;
        mg->info = (struct vireo_migration){.status = VIREO_MIGRATE_SETUP,
                                            .memory_bytes = vm->memory_bytes};
        mg->begin_ns = vireo_monotonic_ns();
        mg->opts = o;
        mg->given = false;
        atomic_store(&mg->cancel, false);
        atomic_store(&mg->throttle, 0);
        snprintf(mg->uri, sizeof(mg->uri), "%s", uri);
        r = vireo_thread_create("vr-migrate", mig_main, mg, &mg->thread, err);
        mg->busy = r == 0;
    }
    vr_mutex_unlock(&mg->lock);
    return r;
}

void vireo_vm_migrate_cancel(struct vireo_vm *vm)
{
    mig_cancel(vm->migrate);
}

void vireo_vm_migration(struct vireo_vm *vm, struct vireo_migration *ret_migration)
{
    struct vr_migrate *mg = vm->migrate;
    vr_mutex_lock(&mg->lock);
    *ret_migration = mg->info;
    if (mg->busy) {
        ret_migration->total_ns = vireo_monotonic_ns() - mg->begin_ns;
    }
    vr_mutex_unlock(&mg->lock);
}
