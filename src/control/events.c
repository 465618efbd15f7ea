/* The record of what happened to a machine. */
#include "control/events.h"
#include "base/alloc.h"
#include "core/loop.h"
#include "platform/lock.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { EVENTS_NAME_LEN = 64, EVENTS_TEXT_MAX = 64, EVENTS_DATA_LEN = 768 };

struct events_item {
    uint64_t seq, real_ns, time_ns;
    char name[EVENTS_NAME_LEN], cause[EVENTS_NAME_LEN], data[EVENTS_DATA_LEN];
};

struct vr_events {
    struct vr_machine *machine;
    struct vr_events_hear *first; /* I/O thread */
    uint64_t told;                /* I/O thread: number of the last one that listeners heard */
    struct vr_mutex lock;         /* of what follows */
    uint64_t last;                /* number of the newest; 0: none */
    bool posted;
    struct events_item item[VR_EVENTS_KEPT]; /* at seq % VR_EVENTS_KEPT */
};

/* @text as a JSON string, its first EVENTS_TEXT_MAX characters. What a machine's parts tell is
 * ASCII; other bytes become '?'. */
static void events_put_text(char *buf, const char *text)
{
    size_t len = 0;
    buf[len++] = '"';
    for (const char *end = text + EVENTS_TEXT_MAX; *text && text < end; text++) {
        if (*text == '"' || *text == '\\') {
            buf[len++] = '\\';
        }
        buf[len++] = *text >= ' ' && *text < 127 ? *text : '?';
    }
    buf[len++] = '"';
    buf[len] = '\0';
}

static void events_data(struct events_item *item, const struct vr_event *event)
{
    char value[EVENTS_TEXT_MAX * 2 + 3];
    size_t at = 0;
    for (unsigned i = 0; i < VR_EVENT_FIELDS && event->field[i].type != VR_EVENT_NONE; i++) {
        const struct vr_event_field *f = &event->field[i];
        if (f->type == VR_EVENT_TEXT) {
            events_put_text(value, f->text);
        } else if (f->type == VR_EVENT_NUMBER) {
            snprintf(value, sizeof(value), "%" PRIu64, f->number);
        } else {
            snprintf(value, sizeof(value), "%s", f->number ? "true" : "false");
        }
        int n = snprintf(item->data + at, sizeof(item->data) - at - 1, "%s\"%s\": %s",
                         at ? ", " : "{", f->key, value);
        vr_assert(n > 0 && (size_t)n < sizeof(item->data) - at - 1);
        at += (size_t)n;
        if (strcmp(f->key, "reason") == 0 && f->type == VR_EVENT_TEXT) {
            snprintf(item->cause, sizeof(item->cause), "%s", f->text);
        }
    }
    snprintf(item->data + at, sizeof(item->data) - at, "%s", at ? "}" : "");
}

static struct vireo_event events_view(const struct events_item *item)
{
    return (struct vireo_event){.seq = item->seq,
                                .real_ns = item->real_ns,
                                .time_ns = item->time_ns,
                                .name = item->name,
                                .cause = item->cause,
                                .data = item->data};
}

uint64_t vr_events_each(struct vr_events *ev, uint64_t after,
                        void (*fn)(void *opaque, const struct vireo_event *event), void *opaque)
{
    struct events_item copy;
    vr_mutex_lock(&ev->lock);
    for (;;) {
        if (after >= ev->last) {
            break;
        }
        uint64_t oldest = ev->last > VR_EVENTS_KEPT ? ev->last - VR_EVENTS_KEPT + 1 : 1;
        uint64_t seq = after + 1 > oldest ? after + 1 : oldest;
        copy = ev->item[seq % VR_EVENTS_KEPT];
        vr_mutex_unlock(&ev->lock);
        struct vireo_event view = events_view(&copy);
        fn(opaque, &view);
        after = seq;
        vr_mutex_lock(&ev->lock);
    }
    uint64_t last = ev->last;
    vr_mutex_unlock(&ev->lock);
    return last;
}

void vr_events_dump(struct vr_events *ev, void (*fn)(void *opaque, const struct vireo_event *event),
                    void *opaque)
{
    uint64_t last = ev->last;
    for (uint64_t seq = last > VR_EVENTS_KEPT ? last - VR_EVENTS_KEPT + 1 : 1; seq <= last; seq++) {
        struct vireo_event view = events_view(&ev->item[seq % VR_EVENTS_KEPT]);
        fn(opaque, &view);
    }
}

uint64_t vr_events_last(struct vr_events *ev)
{
    vr_mutex_lock(&ev->lock);
    uint64_t last = ev->last;
    vr_mutex_unlock(&ev->lock);
    return last;
}

static void events_to_listeners(void *opaque, const struct vireo_event *event)
{
    struct vr_events *ev = opaque;
    ev->told = event->seq;
    for (struct vr_events_hear *h = ev->first, *next; h; h = next) {
        next = h->next; /* it may leave */
        h->fn(h->opaque, event);
    }
}

static void events_posted(void *opaque)
{
    struct vr_events *ev = opaque;
    vr_mutex_lock(&ev->lock);
    ev->posted = false;
    vr_mutex_unlock(&ev->lock);
    (void)vr_events_each(ev, ev->told, events_to_listeners, ev);
}

void vr_events_note(struct vr_events *ev, const struct vr_event *event)
{
    struct events_item item = {.real_ns = vireo_realtime_ns(),
                               .time_ns = vr_clock_now(vr_machine_clock(ev->machine))};
    vr_assert(strlen(event->name) < sizeof(item.name));
    snprintf(item.name, sizeof(item.name), "%s", event->name);
    events_data(&item, event);
    vr_mutex_lock(&ev->lock);
    item.seq = ++ev->last;
    ev->item[item.seq % VR_EVENTS_KEPT] = item;
    bool post = !ev->posted;
    ev->posted = true;
    vr_mutex_unlock(&ev->lock);
    if (post) {
        vr_loop_post(vr_machine_loop(ev->machine), events_posted, ev);
    }
}

static void events_from_machine(void *opaque, const struct vr_event *event)
{
    vr_events_note(opaque, event);
}

int vr_events_create(struct vr_machine *machine, struct vr_events **ret_events,
                     struct vr_error *err)
{
    struct vr_events *ev = vr_zalloc(sizeof(*ev));
    if (!ev) {
        return vr_err(err, -ENOMEM, "no memory for the record of events");
    }
    ev->machine = machine;
    vr_mutex_init(&ev->lock);
    vr_machine_on_event(machine, events_from_machine, ev);
    *ret_events = ev;
    return 0;
}

void vr_events_destroy(struct vr_events *ev)
{
    if (ev) {
        vr_mutex_fini(&ev->lock);
        free(ev);
    }
}

void vr_events_listen(struct vr_events *ev, struct vr_events_hear *hear)
{
    hear->next = ev->first;
    ev->first = hear;
}

void vr_events_unlisten(struct vr_events *ev, struct vr_events_hear *hear)
{
    struct vr_events_hear **at = &ev->first;
    while (*at && *at != hear) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = hear->next;
    }
}
