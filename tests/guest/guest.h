/* Guests for programs of the public interface: their text is kept, waited for, and they are typed
 * to. Each result is a line of TAP. */
#ifndef VR_TEST_GUEST_H
#define VR_TEST_GUEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <vireo/vm.h>

enum { GUEST_LONG_S = 300 };

struct guest {
    const char *name;
    struct vireo_vm *vm;
    pthread_mutex_t lock;
    pthread_cond_t grown;
    char text[256 * 1024]; /* what it said so far */
    size_t len;
};
#define GUEST(n)                                                                          \
    {                                                                                     \
        .name = (n), .lock = PTHREAD_MUTEX_INITIALIZER, .grown = PTHREAD_COND_INITIALIZER \
    }

/* Settings end with a NULL key. */
struct guest_setting {
    const char *key, *value;
};

bool guest_start(struct guest *g, const struct guest_setting *settings);
/* Wait until the guest said @marker @times times. */
bool guest_expect(struct guest *g, const char *marker, unsigned times);
bool guest_said(struct guest *g, const char *text);
bool guest_type(struct guest *g, const char *text);
bool guest_ended(struct guest *g, enum vireo_end expected, unsigned expected_code);
/* One line of TAP; returns @ok. */
bool result(bool ok, const char *what);
/* The plan, at the end; the exit code. */
int results_end(bool ok);

#endif
