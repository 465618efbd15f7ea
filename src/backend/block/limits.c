/*
 * Limits of a disk: requests and bytes a second. What is too much waits in line, reads apart from
 * writes, until the clock lets the first of a line go. Flushes wait for nothing.
 *
 * Waiting requests are in flight. Whoever waits until nothing is (vr_blk_drain) has them go at
 * once, whatever the limits: the clock may be standing then.
 */
#include "backend/block/block_impl.h"
#include "backend/throttle.h"
#include "base/alloc.h"
#include "core/clock.h"
#include "platform/lock.h"

#include <errno.h>

enum { LINE_READ, LINE_WRITE, LINES };

struct vr_blk_throttle {
    struct vr_blk *blk;
    struct vr_clock *clock;
    struct vr_mutex lock; /* nothing is taken under it but the clock's */
    struct vr_blk_limits limits;
    struct vr_throttle bytes[VR_BLK_LIMITED], count[VR_BLK_LIMITED];
    struct {
        struct vr_blk_req *first, **last;
    } line[LINES];
    unsigned draining;
    unsigned turn; /* the line that is looked at first */
    struct vr_timer timer;
};

static unsigned limits_line(const struct vr_blk_req *req)
{
    return req->op == VR_BLK_READ ? LINE_READ : LINE_WRITE;
}

/* The buckets of a line: of all, and its own. */
static unsigned limits_own(unsigned line)
{
    return line == LINE_READ ? VR_BLK_LIMIT_READ : VR_BLK_LIMIT_WRITE;
}

static uint64_t limits_longest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t limits_wait(const struct vr_blk_throttle *t, unsigned line, uint64_t now)
{
    unsigned own = limits_own(line);
    uint64_t all = limits_longest(vr_throttle_wait(&t->bytes[VR_BLK_LIMIT_ALL], now),
                                  vr_throttle_wait(&t->count[VR_BLK_LIMIT_ALL], now));
    return limits_longest(all, limits_longest(vr_throttle_wait(&t->bytes[own], now),
                                              vr_throttle_wait(&t->count[own], now)));
}

static void limits_take(struct vr_blk_throttle *t, const struct vr_blk_req *req, uint64_t now)
{
    bool data = req->op == VR_BLK_READ || req->op == VR_BLK_WRITE;
    const unsigned which[] = {VR_BLK_LIMIT_ALL, limits_own(limits_line(req))};
    for (unsigned i = 0; i < 2; i++) {
        vr_throttle_take(&t->count[which[i]], now, 1);
        vr_throttle_take(&t->bytes[which[i]], now, data ? req->len_bytes : 0);
    }
}

/* The first of a line that may go, the lines in turn; NULL: none, until *ret_wait has passed
 * (UINT64_MAX: nobody waits). */
static struct vr_blk_req *limits_next_locked(struct vr_blk_throttle *t, uint64_t now,
                                             uint64_t *ret_wait)
{
    *ret_wait = UINT64_MAX;
    for (unsigned k = 0; k < LINES; k++) {
        unsigned i = (t->turn + k) % LINES;
        struct vr_blk_req *req = t->line[i].first;
        uint64_t wait = req && !t->draining ? limits_wait(t, i, now) : 0;
        if (req && wait == 0) {
            t->line[i].first = req->next;
            t->line[i].last = req->next ? t->line[i].last : &t->line[i].first;
            t->turn = i + 1;
            return req;
        }
        *ret_wait = req && wait < *ret_wait ? wait : *ret_wait;
    }
    return NULL;
}

/* Take what may go off the lines, and have the timer come for the next. */
static struct vr_blk_req *limits_release_locked(struct vr_blk_throttle *t)
{
    struct vr_blk_req *go = NULL, **last = &go, *req;
    uint64_t now = vr_clock_now(t->clock), wait;
    while ((req = limits_next_locked(t, now, &wait)) != NULL) {
        limits_take(t, req, now);
        req->next = NULL;
        *last = req;
        last = &req->next;
    }
    if (wait != UINT64_MAX) {
        vr_timer_arm(&t->timer, wait < UINT64_MAX - now ? now + wait : UINT64_MAX);
    } else {
        vr_timer_cancel(&t->timer);
    }
    return go;
}

static void limits_go(struct vr_blk *blk, struct vr_blk_req *req)
{
    while (req) {
        struct vr_blk_req *next = req->next;
        req->next = NULL;
        vr_blk_begin(blk, req);
        req = next;
    }
}

static void limits_fire(void *arg)
{
    struct vr_blk_throttle *t = arg;
    vr_mutex_lock(&t->lock);
    struct vr_blk_req *go = limits_release_locked(t);
    vr_mutex_unlock(&t->lock);
    limits_go(t->blk, go);
}

bool vr_blk_limits_hold(struct vr_blk_throttle *t, struct vr_blk_req *req)
{
    unsigned i = limits_line(req);
    if (!t || req->op == VR_BLK_FLUSH) {
        return false;
    }
    vr_mutex_lock(&t->lock);
    uint64_t now = vr_clock_now(t->clock);
    bool hold = !t->draining && (t->line[i].first || limits_wait(t, i, now));
    if (!hold) {
        limits_take(t, req, now);
    } else {
        req->next = NULL;
        *t->line[i].last = req;
        t->line[i].last = &req->next;
    }
    struct vr_blk_req *go = hold ? limits_release_locked(t) : NULL;
    vr_mutex_unlock(&t->lock);
    limits_go(t->blk, go);
    return hold;
}

bool vr_blk_limits_on(struct vr_blk_throttle *t)
{
    bool on = false;
    if (t) {
        vr_mutex_lock(&t->lock);
        for (unsigned i = 0; i < VR_BLK_LIMITED; i++) {
            on = on || t->limits.bytes_s[i] || t->limits.requests_s[i];
        }
        vr_mutex_unlock(&t->lock);
    }
    return on;
}

void vr_blk_limits_drain(struct vr_blk_throttle *t, bool on)
{
    if (!t) {
        return;
    }
    vr_mutex_lock(&t->lock);
    t->draining += on ? 1 : -1;
    struct vr_blk_req *go = on ? limits_release_locked(t) : NULL;
    vr_mutex_unlock(&t->lock);
    limits_go(t->blk, go);
}

int vr_blk_limits_create(struct vr_blk *blk, struct vr_clock *clock,
                         struct vr_blk_throttle **ret_throttle, struct vr_error *err)
{
    struct vr_blk_throttle *t = vr_zalloc(sizeof(*t));
    if (!t) {
        return vr_err(err, -ENOMEM, "disk %s: no memory", blk->path);
    }
    t->blk = blk;
    t->clock = clock;
    vr_mutex_init(&t->lock);
    for (unsigned i = 0; i < LINES; i++) {
        t->line[i].last = &t->line[i].first;
    }
    vr_timer_init(&t->timer, clock, NULL, limits_fire, t);
    *ret_throttle = t;
    return 0;
}

void vr_blk_limits_set(struct vr_blk_throttle *t, const struct vr_blk_limits *limits)
{
    vr_mutex_lock(&t->lock);
    t->limits = *limits;
    for (unsigned i = 0; i < VR_BLK_LIMITED; i++) {
        t->bytes[i] = (struct vr_throttle){.rate = limits->bytes_s[i]};
        t->count[i] = (struct vr_throttle){.rate = limits->requests_s[i]};
    }
    struct vr_blk_req *go = limits_release_locked(t);
    vr_mutex_unlock(&t->lock);
    limits_go(t->blk, go);
}

void vr_blk_limits_get(struct vr_blk_throttle *t, struct vr_blk_limits *ret_limits)
{
    *ret_limits = (struct vr_blk_limits){0};
    if (t) {
        vr_mutex_lock(&t->lock);
        *ret_limits = t->limits;
        vr_mutex_unlock(&t->lock);
    }
}

void vr_blk_limits_destroy(struct vr_blk_throttle *t)
{
    if (t) {
        vr_timer_fini(&t->timer);
        vr_mutex_fini(&t->lock);
        free(t);
    }
}
