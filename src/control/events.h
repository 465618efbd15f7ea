/*
 * The record of what happened to a machine: events get a number and two time stamps as they happen,
 * the last ones are kept, and listeners hear each on the I/O thread, in order.
 */
#ifndef VR_CONTROL_EVENTS_H
#define VR_CONTROL_EVENTS_H

#include "core/event.h"
#include "core/machine.h"
#include "vireo/vm.h"

struct vr_events;

enum { VR_EVENTS_KEPT = 256 };

/* A record of what @machine tells from now on. It must outlive @machine. -ENOMEM. */
int vr_events_create(struct vr_machine *machine, struct vr_events **ret_events,
                     struct vr_error *err) VR_MUST;
void vr_events_destroy(struct vr_events *events); /* after the machine; NULL is fine */
/* Note @event now. Any thread, any lock held. */
void vr_events_note(struct vr_events *events, const struct vr_event *event);

/* A listener; the memory is its owner's. */
struct vr_events_hear {
    void (*fn)(void *opaque, const struct vireo_event *event); /* I/O thread, no locks held */
    void *opaque;
    struct vr_events_hear *next; /* ours */
};
/* From now on; on the I/O thread. */
void vr_events_listen(struct vr_events *events, struct vr_events_hear *hear);
void vr_events_unlisten(struct vr_events *events, struct vr_events_hear *hear); /* the same */
/* All that are kept, without any lock: for the handler of a crash. */
void vr_events_dump(struct vr_events *events,
                    void (*fn)(void *opaque, const struct vireo_event *event), void *opaque);

/* Call @fn for each event that is kept and has a number above @after, in order, no locks held.
 * Returns the number of the last event there was; 0: none yet. Any thread. */
uint64_t vr_events_each(struct vr_events *events, uint64_t after,
                        void (*fn)(void *opaque, const struct vireo_event *event), void *opaque);
uint64_t vr_events_last(struct vr_events *events); /* the number that vr_events_each returns */

#endif
