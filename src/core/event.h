/*
 * What happens to a machine, told upwards: to the run-time controller, its clients, embedders.
 *
 * Names and members are those of QMP where it has such an event (QEMU, qapi/run-state.json), so
 * that they go out as they are; others are called x-vireo-....
 */
#ifndef VR_CORE_EVENT_H
#define VR_CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

enum vr_event_type { VR_EVENT_NONE, VR_EVENT_TEXT, VR_EVENT_NUMBER, VR_EVENT_BOOL };

struct vr_event_field {
    const char *key; /* static */
    enum vr_event_type type;
    const char *text; /* read during the call only */
    uint64_t number;  /* NUMBER, BOOL */
};

enum { VR_EVENT_FIELDS = 4 };

struct vr_event {
    const char *name;                             /* static: "RESET" */
    struct vr_event_field field[VR_EVENT_FIELDS]; /* until a NONE */
};

#endif
