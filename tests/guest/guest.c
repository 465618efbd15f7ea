/* Guests for programs of the public interface. */
#include "guest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void guest_output(void *opaque, const void *buf, size_t len)
{
    struct guest *g = opaque;
    pthread_mutex_lock(&g->lock);
    size_t room = sizeof(g->text) - 1 - g->len;
    len = len < room ? len : room;
    memcpy(g->text + g->len, buf, len);
    g->len += len;
    pthread_cond_signal(&g->grown);
    pthread_mutex_unlock(&g->lock);
}

bool guest_expect(struct guest *g, const char *marker, unsigned times)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GUEST_LONG_S;
    bool late = false;
    pthread_mutex_lock(&g->lock);
    for (;;) {
        unsigned seen = 0;
        for (const char *p = g->text; (p = strstr(p, marker)) && seen < times; p++) {
            seen++;
        }
        if (seen == times || late) {
            pthread_mutex_unlock(&g->lock);
            if (seen < times) {
                printf("# %s did not say '%s' %u times:\n# %s\n", g->name, marker, times, g->text);
            }
            return seen == times;
        }
        late = pthread_cond_timedwait(&g->grown, &g->lock, &until) != 0;
    }
}

bool guest_said(struct guest *g, const char *text)
{
    pthread_mutex_lock(&g->lock);
    bool said = strstr(g->text, text) != NULL;
    pthread_mutex_unlock(&g->lock);
    return said;
}

bool guest_type(struct guest *g, const char *text)
{
    return vireo_vm_feed(g->vm, 0, text, strlen(text)) == strlen(text);
}

bool guest_start(struct guest *g, const struct guest_setting *settings)
{
    struct vireo_config *config;
    struct vr_error err;
    bool ok = vireo_config_create(&config, &err) == 0;
    if (ok) {
        ok = vireo_config_set(config, "name", g->name, &err) == 0;
        for (; ok && settings->key; settings++) {
            ok = vireo_config_set(config, settings->key, settings->value, &err) == 0;
        }
        ok = ok && vireo_vm_create(config, &g->vm, &err) == 0 &&
             vireo_vm_on_output(g->vm, 0, guest_output, g, &err) == 0 &&
             vireo_vm_start(g->vm, &err) == 0;
        vireo_config_destroy(config);
    }
    if (!ok) {
        printf("# %s: %s\n", g->name, err.msg);
    }
    return ok;
}

bool guest_ended(struct guest *g, enum vireo_end expected, unsigned expected_code)
{
    enum vireo_end end;
    unsigned code;
    if (!vireo_vm_wait(g->vm, GUEST_LONG_S * UINT64_C(1000000000), &end, &code)) {
        printf("# %s did not end\n", g->name);
        return false;
    }
    if (end != expected || code != expected_code) {
        printf("# %s ended with %d, code %u\n", g->name, (int)end, code);
    }
    return end == expected && code == expected_code;
}

static unsigned result_count;

bool result(bool ok, const char *what)
{
    printf("%sok %u - %s\n", ok ? "" : "not ", ++result_count, what);
    fflush(stdout);
    return ok;
}

int results_end(bool ok)
{
    printf("1..%u\n", result_count);
    return ok ? 0 : 1;
}
