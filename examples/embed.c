/*
 * A virtual machine inside another program: boots a kernel, types on its console, waits for the
 * answer, and cuts its power.
 *
 *     cc embed.c $(pkg-config --cflags --libs vireo) -pthread -o embed
 *     ./embed Image initramfs.cpio
 *
 * The initramfs is the one that `make run` uses: it gives a shell on the console.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <vireo/vm.h>

/* What the guest has said so far, filled by Vireo's I/O thread. */
struct transcript {
    pthread_mutex_t lock;
    pthread_cond_t grown;
    char text[256 * 1024];
    size_t len;
};

static void on_output(void *opaque, const void *buf, size_t len)
{
    struct transcript *t = opaque;
    pthread_mutex_lock(&t->lock);
    size_t room = sizeof(t->text) - 1 - t->len;
    len = len < room ? len : room;
    memcpy(t->text + t->len, buf, len);
    t->len += len;
    t->text[t->len] = 0;
    pthread_cond_signal(&t->grown);
    pthread_mutex_unlock(&t->lock);
}

/* Wait until the guest has said @marker; false: it did not within @seconds. */
static bool expect(struct transcript *t, const char *marker, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&t->lock);
    bool seen = false, late = false;
    while (!(seen = strstr(t->text, marker) != NULL) && !late) {
        late = pthread_cond_timedwait(&t->grown, &t->lock, &until) != 0;
    }
    pthread_mutex_unlock(&t->lock);
    return seen;
}

static int fail(const struct vr_error *err)
{
    fprintf(stderr, "embed: %s\n", err->msg);
    return 1;
}

/* Talk to the guest; returns an exit code. */
static int talk(struct vireo_vm *vm, struct transcript *t)
{
    static const char question[] = "echo the answer is $((6 * 7))\n";
    if (!expect(t, "~ # ", 120)) {
        fprintf(stderr, "embed: no shell:\n%s\n", t->text);
        return 1;
    }
    if (vireo_vm_feed(vm, 0, question, strlen(question)) != strlen(question) ||
        !expect(t, "the answer is 42", 60)) {
        fprintf(stderr, "embed: no answer:\n%s\n", t->text);
        return 1;
    }
    printf("the guest says that the answer is 42, %.1f s after power-on\n",
           (double)vireo_vm_time_ns(vm) / 1e9);
    return 0;
}

/* From a configured machine to its end. */
static int run(const struct vireo_config *config, struct transcript *t)
{
    struct vireo_vm *vm;
    struct vr_error err;
    enum vireo_end end;
    unsigned code;
    if (vireo_vm_create(config, &vm, &err) < 0) {
        return fail(&err);
    }
    int result = 1;
    if (vireo_vm_on_output(vm, 0, on_output, t, &err) < 0 || vireo_vm_start(vm, &err) < 0) {
        fail(&err);
    } else {
        result = talk(vm, t);
        vireo_vm_stop(vm, 7);
        vireo_vm_wait(vm, UINT64_MAX, &end, &code);
        printf("stopped: end %d, code %u\n", (int)end, code);
    }
    vireo_vm_destroy(vm);
    return result;
}

int main(int argc, char **argv)
{
    static struct transcript t = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                  .grown = PTHREAD_COND_INITIALIZER};
    struct vireo_config *config;
    struct vr_error err;
    if (argc != 3) {
        fprintf(stderr, "usage: embed KERNEL INITRAMFS\n");
        return 2;
    }
    if (vireo_config_create(&config, &err) < 0) {
        return fail(&err);
    }
    int result;
    if (vireo_config_set(config, "kernel", argv[1], &err) < 0 ||
        vireo_config_set(config, "initrd", argv[2], &err) < 0 ||
        vireo_config_set(config, "append", "quiet", &err) < 0 ||
        vireo_config_set(config, "memory", "256M", &err) < 0) {
        result = fail(&err);
    } else {
        result = run(config, &t);
    }
    vireo_config_destroy(config);
    return result;
}
