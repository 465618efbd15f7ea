/* What a guest, a device or the user may ask of a machine. */
#ifndef VR_CORE_REQUEST_H
#define VR_CORE_REQUEST_H

enum vr_request {
    VR_REQ_NONE,
    VR_REQ_POWEROFF, /* the guest powered off: a good end */
    VR_REQ_RESET,    /* start over */
    VR_REQ_FAIL,     /* the guest reports failure, with a code */
    VR_REQ_PANIC,    /* the guest's kernel panicked */
    VR_REQ_QUIT,     /* the user ends it, with a code */
    VR_REQ_PAUSE,    /* stand still until it is resumed */
    VR_REQ_WATCHDOG, /* the guest hangs, says its watchdog; the code is an enum vr_watchdog */
};

/* What a watchdog does when the guest let it run out. */
enum vr_watchdog {
    VR_WATCHDOG_RESET,
    VR_WATCHDOG_SHUTDOWN, /* ask the guest to power off, as vr_machine_on_button has it */
    VR_WATCHDOG_POWEROFF,
    VR_WATCHDOG_PAUSE,
    VR_WATCHDOG_NONE, /* only tell */
    VR_WATCHDOGS,
};

#endif
