/*
 * Coalescing of the network card's interrupts: a queue with both parameters set interrupts the
 * driver when so many packets have come together, or so many microseconds after the first of them.
 * What the driver does not want to hear of (event suppression) does not count as wanted.
 *
 * Specification: VIRTIO 1.3, section 5.1.6.5.9 (Notifications Coalescing).
 */
#include "dev/virtio/net_priv.h"

enum { NS_PER_US = 1000 };

static void coal_fire(struct net *s, unsigned queue)
{
    struct net_coal *c = &s->coal[queue];
    bool wanted = c->wanted;
    c->pending = 0;
    c->wanted = false;
    if (wanted && vr_virtio_running(&s->v)) {
        vr_virtq_interrupt(&s->vq[queue]);
    }
}

static bool coal_on(const struct net_coal *c)
{
    return c->max_packets && c->max_usecs;
}

void net_coal_arm(struct net *s)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < 2u * s->queues; i++) {
        if (s->coal[i].pending && s->coal[i].deadline_ns < first) {
            first = s->coal[i].deadline_ns;
        }
    }
    if (first == UINT64_MAX) {
        vr_timer_cancel(&s->coal_timer);
    } else {
        vr_timer_arm(&s->coal_timer, first);
    }
}

static void coal_due(void *arg)
{
    struct net *s = arg;
    uint64_t now = vr_clock_now(s->dev.env->clock);
    for (unsigned i = 0; i < 2u * s->queues; i++) {
        if (s->coal[i].pending && s->coal[i].deadline_ns <= now) {
            coal_fire(s, i);
        }
    }
    net_coal_arm(s);
}

void net_coal_init(struct net *s)
{
    vr_timer_init(&s->coal_timer, s->dev.env->clock, &s->dev.lock, coal_due, s);
}

void net_coal_notify(struct net *s, unsigned queue, uint32_t packets)
{
    struct net_coal *c = &s->coal[queue];
    bool wanted = vr_virtq_show(&s->vq[queue]);
    if (!coal_on(c)) {
        if (wanted) {
            vr_virtq_interrupt(&s->vq[queue]);
        }
        return;
    }
    if (packets == 0) {
        return;
    }
    bool first = c->pending == 0;
    c->wanted |= wanted;
    c->pending = packets < UINT32_MAX - c->pending ? c->pending + packets : UINT32_MAX;
    if (c->pending >= c->max_packets) {
        coal_fire(s, queue);
        net_coal_arm(s);
    } else if (first) {
        c->deadline_ns = vr_clock_now(s->dev.env->clock) + (uint64_t)c->max_usecs * NS_PER_US;
        net_coal_arm(s);
    }
}

void net_coal_set(struct net *s, unsigned queue, uint32_t max_packets, uint32_t max_usecs)
{
    struct net_coal *c = &s->coal[queue];
    c->max_packets = max_packets;
    c->max_usecs = max_usecs;
    if (c->pending && (!coal_on(c) || c->pending >= max_packets)) {
        coal_fire(s, queue);
        net_coal_arm(s);
    }
}

void net_coal_stopped(struct net *s, unsigned queue)
{
    const struct net_coal *anew = &s->coal_new[queue % 2];
    s->coal[queue] =
        (struct net_coal){.max_packets = anew->max_packets, .max_usecs = anew->max_usecs};
    net_coal_arm(s);
}

#define VR_SELF struct net_coal
const struct vr_field net_coal_fields[] = {
    VR_STATE(deadline_ns, "when the waiting interrupt is due, guest time"),
    VR_STATE(max_packets, "packets that are worth an interrupt; 0: each"),
    VR_STATE(max_usecs, "longest wait, microseconds; 0: none"),
    VR_STATE(pending, "packets that the driver was not told of"),
    VR_STATE(wanted, "it wants to hear of one of them"),
    VR_FIELD_END,
};
