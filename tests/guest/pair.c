/*
 * Two Debian kernels side by side in one process, through the public interface alone. Prints TAP.
 *
 *     pair KERNEL INITRAMFS
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <vireo/vm.h>

enum { LONG_S = 300 };

struct guest {
    const char *name;
    struct vireo_vm *vm;
    pthread_mutex_t lock;
    pthread_cond_t grown;
    char text[256 * 1024]; /* what it said so far */
    size_t len;
};

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

/* Wait until the guest said @marker @times times. */
static bool guest_expect(struct guest *g, const char *marker, unsigned times)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LONG_S;
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

static bool guest_said(struct guest *g, const char *text)
{
    pthread_mutex_lock(&g->lock);
    bool said = strstr(g->text, text) != NULL;
    pthread_mutex_unlock(&g->lock);
    return said;
}

static bool guest_type(struct guest *g, const char *text)
{
    return vireo_vm_feed(g->vm, 0, text, strlen(text)) == strlen(text);
}

static bool guest_start(struct guest *g, char **argv, const char *cpus)
{
    struct vireo_config *config;
    struct vr_error err;
    bool ok = vireo_config_create(&config, &err) == 0;
    if (ok) {
        ok = vireo_config_set(config, "kernel", argv[1], &err) == 0 &&
             vireo_config_set(config, "initrd", argv[2], &err) == 0 &&
             vireo_config_set(config, "append", "quiet", &err) == 0 &&
             vireo_config_set(config, "memory", "192M", &err) == 0 &&
             vireo_config_set(config, "cpus", cpus, &err) == 0 &&
             vireo_config_set(config, "name", g->name, &err) == 0 &&
             vireo_vm_create(config, &g->vm, &err) == 0 &&
             vireo_vm_on_output(g->vm, 0, guest_output, g, &err) == 0 &&
             vireo_vm_start(g->vm, &err) == 0;
        vireo_config_destroy(config);
    }
    if (!ok) {
        printf("# %s: %s\n", g->name, err.msg);
    }
    return ok;
}

static bool guest_ended(struct guest *g, enum vireo_end expected, unsigned expected_code)
{
    enum vireo_end end;
    unsigned code;
    if (!vireo_vm_wait(g->vm, LONG_S * UINT64_C(1000000000), &end, &code)) {
        printf("# %s did not end\n", g->name);
        return false;
    }
    if (end != expected || code != expected_code) {
        printf("# %s ended with %d, code %u\n", g->name, (int)end, code);
    }
    return end == expected && code == expected_code;
}

static unsigned count;

static bool result(bool ok, const char *what)
{
    printf("%sok %u - %s\n", ok ? "" : "not ", ++count, what);
    fflush(stdout);
    return ok;
}

/* Each step is a test; the next makes sense only after the last. */
static bool steps(struct guest *a, struct guest *b, char **argv)
{
    struct vr_error err;
    bool ok = guest_start(a, argv, "1") && guest_start(b, argv, "2");
    ok = ok && guest_expect(a, "~ # ", 1) && guest_expect(b, "~ # ", 1);
    if (!result(ok, "two kernels boot side by side in one process")) {
        return false;
    }
    ok = guest_type(a, "echo $(nproc) is-$((1000+1))\n") &&
         guest_type(b, "echo $(nproc) is-$((2000+2))\n") && guest_expect(a, "1 is-1001", 1) &&
         guest_expect(b, "2 is-2002", 1) && !guest_said(a, "is-2002") && !guest_said(b, "is-1001");
    if (!result(ok, "each hears and says its own")) {
        return false;
    }
    ok = vireo_vm_pause(a->vm, &err) == 0 && vireo_vm_state(a->vm) == VIREO_PAUSED;
    uint64_t at_ns = vireo_vm_time_ns(a->vm);
    ok = ok && guest_type(a, "echo after-$((30+3))\n") && guest_type(b, "echo while-$((40+4))\n") &&
         guest_expect(b, "while-44", 1) && !guest_said(a, "after-33") &&
         vireo_vm_time_ns(a->vm) == at_ns && vireo_vm_resume(a->vm, &err) == 0 &&
         guest_expect(a, "after-33", 1);
    if (!result(ok, "one stands still, the other goes on")) {
        return false;
    }
    vireo_vm_reset(b->vm);
    ok = guest_expect(b, "busybox shell", 2) && guest_type(a, "echo still-$((50+5))\n") &&
         guest_expect(a, "still-55", 1);
    if (!result(ok, "one starts over, the other does not notice")) {
        return false;
    }
    ok = guest_type(a, "poweroff -f\n") && guest_ended(a, VIREO_END_POWEROFF, 0) &&
         vireo_vm_state(b->vm) == VIREO_RUNNING;
    vireo_vm_stop(b->vm, 3);
    return result(ok && guest_ended(b, VIREO_END_STOP, 3), "one powers off, one is stopped");
}

int main(int argc, char **argv)
{
    static struct guest a = {
        .name = "anna", .lock = PTHREAD_MUTEX_INITIALIZER, .grown = PTHREAD_COND_INITIALIZER};
    static struct guest b = {
        .name = "bert", .lock = PTHREAD_MUTEX_INITIALIZER, .grown = PTHREAD_COND_INITIALIZER};
    if (argc != 3) {
        fprintf(stderr, "usage: pair KERNEL INITRAMFS\n");
        return 2;
    }
    bool ok = steps(&a, &b, argv);
    vireo_vm_destroy(a.vm);
    vireo_vm_destroy(b.vm);
    printf("1..%u\n", count);
    return ok ? 0 : 1;
}
