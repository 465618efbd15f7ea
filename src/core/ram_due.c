/* Checking RAM when it is needed, or in the background. See ram_due.h. */
#include "core/ram_due.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum due_state { DUE_WAITS, DUE_GOOD, DUE_BAD };

struct vr_ram_due {
    struct vr_ram *ram;
    struct vr_ram_due_how how;
    uint64_t *end;
    _Atomic uint8_t *state; /* of parts: enum due_state */
    atomic_bool stop, any_bad, told;
    struct vr_mutex lock;
    struct vr_cond left;
    unsigned users; /* in how.check, but for the thread; under the lock */
    struct vireo_thread *thread;
};

/* The part that holds @off. */
static size_t due_part(const struct vr_ram_due *d, uint64_t off)
{
    size_t lo = 0, hi = d->how.count - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (off < d->end[mid]) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

static void due_check(struct vr_ram_due *d, size_t i)
{
    struct vr_error err = {0};
    int r = d->how.check(d->how.opaque, i, &err);
    if (r < 0) {
        atomic_store(&d->any_bad, true);
        if (!atomic_exchange(&d->told, true)) {
            d->how.bad(d->how.opaque, &err);
        }
    }
    atomic_store(&d->state[i], r < 0 ? DUE_BAD : DUE_GOOD);
}

static bool due_waits(const struct vr_ram_due *d, size_t i)
{
    return atomic_load(&d->state[i]) == DUE_WAITS;
}

/* Part @i is checked when this returns; is it good? Nobody waits for the thread, which a busy host
 * may not let run for long: what it is at may be checked twice. */
static bool due_settle(struct vr_ram_due *d, size_t i)
{
    if (due_waits(d, i)) {
        vr_mutex_lock(&d->lock);
        d->users++;
        vr_mutex_unlock(&d->lock);
        if (due_waits(d, i)) { /* then the thread has not come to its end, and waits for us there */
            due_check(d, i);
        }
        vr_mutex_lock(&d->lock);
        if (--d->users == 0) {
            vr_cond_broadcast(&d->left);
        }
        vr_mutex_unlock(&d->lock);
    }
    return atomic_load(&d->state[i]) == DUE_GOOD;
}

bool vr_ram_due_ready(struct vr_ram *ram, uint64_t off, uint64_t len)
{
    struct vr_ram_due *d = atomic_load(&ram->due);
    bool good = true;
    if (!d || len == 0) { /* all was good, a moment ago */
        return true;
    }
    vr_assert(vr_in_range(off, len, ram->len));
    for (size_t i = due_part(d, off); good; i++) {
        good = due_settle(d, i);
        if (off + len <= d->end[i]) {
            break;
        }
    }
    return good;
}

static void due_main(void *opaque)
{
    struct vr_ram_due *d = opaque;
    (void)!vireo_priority_self(VIREO_PRIORITY_LOW, NULL); /* else at the usual one */
    for (size_t i = 0; i < d->how.count && !atomic_load(&d->stop); i++) {
        if (due_waits(d, i)) {
            due_check(d, i);
        }
    }
    if (!atomic_load(&d->stop) && !atomic_load(&d->any_bad)) {
        /* Nobody looks any more; who does so just now finds that all is good. */
        atomic_store(&d->ram->due, NULL);
    }
    vr_mutex_lock(&d->lock);
    while (d->users) {
        vr_cond_wait(&d->left, &d->lock);
    }
    vr_mutex_unlock(&d->lock);
    d->how.done(d->how.opaque);
}

static void due_free(struct vr_ram_due *d)
{
    vr_cond_fini(&d->left);
    vr_mutex_fini(&d->lock);
    free(d->end);
    free((void *)d->state);
    free(d);
}

int vr_ram_due_begin(struct vr_ram *ram, const struct vr_ram_due_how *how, struct vr_error *err)
{
    vr_assert(how->count && how->end[how->count - 1] == ram->len && !ram->due_owned);
    struct vr_ram_due *d = vr_zalloc(sizeof(*d));
    if (!d) {
        return vr_err(err, -ENOMEM, "no memory to check memory");
    }
    d->ram = ram;
    d->how = *how;
    d->end = vr_zalloc_array(how->count, sizeof(*d->end));
    d->state = vr_zalloc_array(how->count, sizeof(*d->state));
    vr_mutex_init(&d->lock);
    vr_cond_init(&d->left);
    if (!d->end || !d->state) {
        due_free(d);
        return vr_err(err, -ENOMEM, "no memory to check memory");
    }
    for (size_t i = 0; i < how->count; i++) {
        vr_assert(vr_is_aligned(how->end[i], VR_PAGE_SIZE)); /* who asks for a byte gets its page */
    }
    memcpy(d->end, how->end, how->count * sizeof(*d->end));
    ram->due_owned = d;
    atomic_store(&ram->due, d);
    return 0;
}

int vr_ram_due_run(struct vr_ram *ram, struct vr_error *err)
{
    struct vr_ram_due *d = ram->due_owned;
    return vireo_thread_create("vr-verify", due_main, d, &d->thread, err);
}

int vr_ram_due_all(struct vr_ram *ram, struct vr_error *err)
{
    return vr_ram_ready(ram, 0, ram->len)
               ? 0
               : vr_err(err, -EPROTO, "its memory is damaged: it is not what the snapshot held");
}

void vr_ram_due_destroy(struct vr_ram *ram)
{
    struct vr_ram_due *d = ram->due_owned;
    if (d) {
        atomic_store(&d->stop, true);
        vireo_thread_join(d->thread);
        if (!d->thread) {
            d->how.done(d->how.opaque);
        }
        due_free(d);
        ram->due_owned = NULL;
    }
}
