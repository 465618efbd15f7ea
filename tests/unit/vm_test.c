/* The public interface: configurations, and machines that run bare-metal programs of a few
 * instructions. Only vireo/vm.h is used, but for locks. */
#include "vm_guest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void test_settings(void **state)
{
    struct vireo_config *config;
    struct vr_error err;
    (void)state;
    static const struct {
        const char *key, *value;
        int code;
        const char *says; /* NULL: it is fine */
    } rows[] = {
        {"memory", "64M", 0, NULL},
        {"cpus", "4", 0, NULL},
        {"rng", "on", 0, NULL},
        {"rng", "rate=64K", 0, NULL},
        {"balloon", "on", 0, NULL},
        {"balloon", "take=128M,reporting=off,deflate_on_oom", 0, NULL},
        {"balloon", "off", 0, NULL},
        {"balloon", "tkae=1M", -EINVAL, "did you mean 'take'?"},
        {"balloon", "take=some", -EINVAL, "expected a size"},
        {"balloon", "reporting=1,2", -EINVAL, "unknown key '2'"},
        {"disk", "a.img,bus=scsi,serial=S1", 0, NULL},
        {"disk", "a.img,bus=scsi,queues=2", -EINVAL, "the serial alone"},
        {"disk", "a.img,bus=ide", -EINVAL, "virtio or scsi"},
        {"cdrom", "none", 0, NULL},
        {"cdrom", "a.iso", 0, NULL},
        {"cdrom", "", -EINVAL, "ISO image"},
        {"virtio-console", "unix:/tmp/a,,b=c,name=org.vireo.0", 0, NULL},
        {"virtio-console", "null", 0, NULL},
        {"virtio-console", "null,name=org.vireo.0", -EEXIST, "another port"},
        {"virtio-console", "null,name=a/b", -EINVAL, "no / and"},
        {"virtio-console", "null,name", -EINVAL, "expected up to 31"},
        {"virtio-console", "null,nmae=x", -EINVAL, "did you mean 'name'?"},
        {"virtio-console", "nul", -EINVAL, "did you mean null?"},
        {"virtio-console", "", -EINVAL, "expected stdio"},
        {"console", "null", 0, NULL},
        {"console", "mem", 0, NULL},
        {"disk", "a=b.img,ro,serial=S1", 0, NULL},
        {"disk", "with,,comma.img", 0, NULL},
        {"memroy", "64M", -EINVAL, "did you mean 'memory'?"},
        {"quiet", "on", -EINVAL, "no setting 'quiet'"},
        {"memory", "64Q", -EINVAL, "memory=64Q: expected a size"},
        {"memory", "1M", -ERANGE, "at least 16M"},
        {"cpus", "0", -ERANGE, "expected 1 to 64"},
        {"cpus", "", -EINVAL, "expected a number"},
        {"rng", "perhaps", -EINVAL, "unknown key"},
        {"kernel", "", -EINVAL, "expected a path"},
        {"disk", "", -EINVAL, "expected PATH"},
        {"disk", ",ro", -EINVAL, "expected PATH"},
        {"disk", "x,serail=1", -EINVAL, "did you mean 'serial'?"},
        {"disk", "x,format=qcow2", -EINVAL, "this version knows raw"},
        {"console", "teletype", -EINVAL, "expected stdio"},
        {"kernel", NULL, -EINVAL, "no value"},
    };
    assert_int_equal(vireo_config_create(&config, &err), 0);
    for (size_t i = 0; i < VR_COUNT(rows); i++) {
        err.msg[0] = 0;
        assert_int_equal(vireo_config_set(config, rows[i].key, rows[i].value, &err), rows[i].code);
        if (rows[i].says && !strstr(err.msg, rows[i].says)) {
            fail_msg("%s=%s: no '%s' in '%s'", rows[i].key, rows[i].value, rows[i].says, err.msg);
        }
    }
    /* Nobody has to want the message. */
    assert_int_equal(vireo_config_set(config, "memroy", "1", NULL), -EINVAL);
    vireo_config_destroy(config);
    vireo_config_destroy(NULL);
}

static void test_echo(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    (void)state;
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    vireo_config_destroy(config); /* the machine has all it needs */
    assert_int_equal(vireo_vm_state(g.vm), VIREO_RUNNING);
    assert_int_equal(vireo_vm_start(g.vm, &err), -EBUSY);
    guest_type(&g, "hello ");
    guest_expect(&g, "hello ");
    guest_type(&g, "world");
    guest_expect(&g, "hello world");
    assert_false(vireo_vm_wait(g.vm, 0, NULL, NULL));
    guest_type(&g, "q");
    assert_ended(g.vm, VIREO_END_POWEROFF, 0);
    /* The power button again. */
    assert_int_equal(vireo_vm_start(g.vm, &err), 0);
    guest_type(&g, "again");
    guest_expect(&g, "again");
    vireo_vm_stop(g.vm, 42);
    assert_ended(g.vm, VIREO_END_STOP, 42);
    vireo_vm_stop(g.vm, 43); /* too late */
    assert_ended(g.vm, VIREO_END_STOP, 42);
    guest_end(&g);
    place_remove(&p);
}

static void test_pause(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    (void)state;
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    assert_int_equal(vireo_vm_pause(g.vm, &err), 0);
    assert_int_equal(vireo_vm_pause(g.vm, &err), 0);
    assert_int_equal(vireo_vm_state(g.vm), VIREO_PAUSED);
    uint64_t at_ns = vireo_vm_time_ns(g.vm);
    guest_type(&g, "later");
    assert_int_equal(vireo_vm_time_ns(g.vm), at_ns);
    assert_int_equal(g.len, 0);
    assert_int_equal(vireo_vm_resume(g.vm, &err), 0);
    assert_int_equal(vireo_vm_resume(g.vm, &err), 0);
    guest_expect(&g, "later");
    assert_true(vireo_vm_time_ns(g.vm) > at_ns);
    vireo_vm_stop(g.vm, 0);
    assert_ended(g.vm, VIREO_END_STOP, 0);
    assert_int_equal(vireo_vm_pause(g.vm, &err), -EINVAL);
    assert_int_equal(vireo_vm_resume(g.vm, &err), -EINVAL);
    vireo_vm_reset(g.vm); /* nothing to reset */
    assert_int_equal(vireo_vm_state(g.vm), VIREO_STOPPED);
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
}

static void test_reset(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    guest_expect(&g, "!");
    vireo_vm_reset(g.vm);
    guest_expect(&g, "!!");
    vireo_vm_destroy(g.vm); /* while it runs */
    g.vm = NULL;
    guest_end(&g);
    assert_int_equal(vireo_config_set(config, "no-reboot", "on", &err), 0);
    guest_start(&g, config);
    guest_expect(&g, "!");
    vireo_vm_reset(g.vm);
    assert_ended(g.vm, VIREO_END_RESET, 0);
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
}

/* Disks come and go at a controller that is there, before the machine runs. */
static void test_scsi(void **state)
{
    struct place p, image;
    struct vireo_vm *vm = NULL;
    struct vr_error err;
    unsigned target = 99;
    char text[200];
    static char sectors[65536];
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    place_write(&image, sectors, sizeof(sectors));
    struct vireo_config *config = config_for(p.path);
    assert_int_equal(vireo_vm_create(config, &vm, &err), 0);
    assert_int_equal(vireo_vm_scsi_add(vm, image.path, &target, &err), -ENODEV);
    assert_int_equal(vireo_vm_scsi_remove(vm, 0, &err), -ENODEV);
    assert_int_equal(vireo_vm_cdrom_change(vm, 0, NULL, &err), -ENODEV);
    assert_non_null(strstr(err.msg, "--cdrom"));
    vireo_vm_destroy(vm);
    assert_int_equal(vireo_config_set(config, "cdrom", "none", &err), 0);
    assert_int_equal(vireo_vm_create(config, &vm, &err), 0);
    assert_int_equal(vireo_vm_scsi_add(vm, "/nowhere/x", &target, &err), -ENOENT);
    assert_int_equal(vireo_vm_scsi_add(vm, "x,colour=red", &target, &err), -EINVAL);
    snprintf(text, sizeof(text), "%s,queues=2", image.path); /* virtio-blk has it */
    assert_int_equal(vireo_vm_scsi_add(vm, text, &target, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "serial alone"));
    assert_int_equal(target, 99);
    for (unsigned round = 0; round < 3; round++) { /* it is closed, and unlocked, each time */
        assert_int_equal(vireo_vm_scsi_add(vm, image.path, &target, &err), 0);
        assert_int_equal(target, 1);
        assert_int_equal(vireo_vm_scsi_add(vm, image.path, &target, &err), -EBUSY);
        assert_int_equal(vireo_vm_scsi_remove(vm, 1, &err), 0);
        assert_int_equal(vireo_vm_scsi_remove(vm, 1, &err), -ENOENT);
        assert_int_equal(vireo_vm_cdrom_change(vm, 0, image.path, &err), 0);
        assert_int_equal(vireo_vm_cdrom_change(vm, 0, round % 2 ? NULL : image.path, &err), 0);
        assert_int_equal(vireo_vm_cdrom_change(vm, 0, NULL, &err), 0);
    }
    assert_int_equal(vireo_vm_cdrom_change(vm, 3, NULL, &err), -ENOENT);
    assert_int_equal(vireo_vm_scsi_add(vm, image.path, &target, &err), 0); /* for destroy */
    vireo_vm_destroy(vm);
    vireo_config_destroy(config);
    place_remove(&p);
    place_remove(&image);
}

/* A balloon without a driver, and none at all. */
static void test_balloon(void **state)
{
    struct place p;
    struct vireo_vm *vm = NULL;
    struct vireo_balloon b = {.target_bytes = 1};
    struct vr_error err;
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    struct vireo_config *config = config_for(p.path);
    assert_int_equal(vireo_vm_create(config, &vm, &err), 0);
    assert_int_equal(vireo_vm_balloon_set(vm, 0, &err), -ENODEV);
    assert_int_equal(vireo_vm_balloon_get(vm, &b, NULL), -ENODEV);
    assert_int_equal(vireo_vm_balloon_ask(vm, 0, &err), -ENODEV);
    assert_non_null(strstr(err.msg, "--balloon"));
    assert_int_equal(b.target_bytes, 1);
    vireo_vm_destroy(vm);
    assert_int_equal(vireo_config_set(config, "balloon", "take=4M", &err), 0);
    assert_int_equal(vireo_vm_create(config, &vm, &err), 0);
    assert_int_equal(vireo_vm_balloon_get(vm, &b, &err), 0);
    assert_int_equal(b.target_bytes, 4 << 20);
    assert_int_equal(b.actual_bytes | b.given_bytes | b.stats_known, 0);
    assert_int_equal(vireo_vm_balloon_set(vm, UINT64_MAX, &err), -ERANGE);
    assert_int_equal(vireo_vm_balloon_set(vm, 8 << 20, &err), 0);
    assert_int_equal(vireo_vm_balloon_get(vm, &b, &err), 0);
    assert_int_equal(b.target_bytes, 8 << 20);
    assert_int_equal(vireo_vm_balloon_ask(vm, 0, &err), -ETIMEDOUT);
    vireo_vm_destroy(vm);
    assert_int_equal(vireo_config_set(config, "balloon", "take=4T", &err), 0);
    vm = NULL;
    assert_int_equal(vireo_vm_create(config, &vm, &err), -ERANGE);
    assert_null(vm);
    vireo_config_destroy(config);
    place_remove(&p);
}

static void test_verdicts(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    (void)state;
    place_program(&p, fails, VR_COUNT(fails));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    assert_ended(g.vm, VIREO_END_FAIL, 5);
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
    /* One that only resets goes on until it is stopped. */
    place_program(&p, resets, VR_COUNT(resets));
    config = config_for(p.path);
    guest_start(&g, config);
    assert_false(vireo_vm_wait(g.vm, 20000000, NULL, NULL));
    vireo_vm_stop(g.vm, 1);
    assert_ended(g.vm, VIREO_END_STOP, 1);
    guest_end(&g);
    assert_int_equal(vireo_config_set(config, "no-reboot", "on", &err), 0);
    guest_start(&g, config);
    assert_ended(g.vm, VIREO_END_RESET, 0);
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
}

static void test_consoles(void **state)
{
    struct place p;
    struct vireo_vm *vm;
    struct vr_error err;
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    struct vireo_config *config = config_for(p.path);
    assert_int_equal(vireo_config_set(config, "console", "null", &err), 0);
    assert_int_equal(vireo_config_set(config, "virtio-console", "mem", &err), 0);
    assert_int_equal(vireo_vm_create(config, &vm, &err), 0);
    /* Console 0 is not in memory, 1 is, 2 is not there. */
    assert_int_equal(vireo_vm_feed(vm, 0, "x", 1), 0);
    assert_int_equal(vireo_vm_feed(vm, 1, "x", 1), 1);
    assert_int_equal(vireo_vm_feed(vm, 2, "x", 1), 0);
    assert_int_equal(vireo_vm_feed(vm, 99, "x", 1), 0);
    assert_int_equal(vireo_vm_on_output(vm, 0, guest_output, NULL, &err), -EINVAL);
    assert_int_equal(vireo_vm_on_output(vm, 1, guest_output, NULL, &err), 0);
    assert_int_equal(vireo_vm_on_output(vm, 1, NULL, NULL, &err), 0);
    assert_int_equal(vireo_vm_on_output(vm, 2, guest_output, NULL, &err), -EINVAL);
    assert_int_equal(vireo_vm_resize(vm, 1, 80, 24, &err), 0);
    assert_int_equal(vireo_vm_resize(vm, 1, 80, 0, &err), -EINVAL);
    assert_int_equal(vireo_vm_resize(vm, 0, 80, 24, &err), -EINVAL);
    assert_int_equal(vireo_vm_resize(vm, 2, 80, 24, &err), -EINVAL);
    assert_string_equal(vireo_vm_console_path(vm, 0), "");
    assert_string_equal(vireo_vm_console_path(vm, 1), "");
    assert_null(vireo_vm_console_path(vm, 2));
    assert_null(vireo_vm_console_path(vm, 99));
    /* The queue is bounded. */
    static char flood[1 << 20];
    size_t took = 0, n;
    while ((n = vireo_vm_feed(vm, 1, flood, sizeof(flood))) > 0) {
        took += n;
    }
    assert_in_range(took, 1024, 65536);
    vireo_vm_destroy(vm);
    vireo_config_destroy(config);
    place_remove(&p);
}

static void test_refused(void **state)
{
    struct place p;
    struct vireo_vm *vm = NULL;
    struct vr_error err;
    struct vireo_config *config;
    (void)state;
    assert_int_equal(vireo_config_create(&config, &err), 0);
    assert_int_equal(vireo_vm_create(config, &vm, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "nothing to start"));
    vireo_config_destroy(config);
    place_write(&p, "not a kernel", 12);
    config = config_for(p.path);
    assert_true(vireo_vm_create(config, &vm, &err) < 0);
    assert_non_null(strstr(err.msg, p.path));
    assert_int_equal(vireo_config_set(config, "kernel", "/nowhere/at/all", &err), 0);
    assert_int_equal(vireo_vm_create(config, &vm, &err), -ENOENT);
    vireo_config_destroy(config);
    assert_null(vm);
    vireo_vm_destroy(NULL);
    place_remove(&p);
}

/* Machines of one process do not know of each other. */
static void test_many(void **state)
{
    enum { MANY = 12 };
    static struct guest g[MANY];
    struct place p;
    (void)state;
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    for (unsigned i = 0; i < MANY; i++) {
        guest_start(&g[i], config);
    }
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "<%u>", i);
        guest_type(&g[i], name);
    }
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "<%u>", i);
        guest_expect(&g[i], name);
        assert_string_equal(g[i].text, name);
        guest_type(&g[i], "q");
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_ended(g[i].vm, VIREO_END_POWEROFF, 0);
        guest_end(&g[i]);
    }
    vireo_config_destroy(config);
    place_remove(&p);
}

/* What belongs to the process stays as it is. */
static void test_signals(void **state)
{
    struct place p;
    struct guest g;
    struct sigaction before[32], after;
    sigset_t mask_before, mask_after;
    (void)state;
    for (int s = 1; s < 32; s++) {
        sigaction(s, NULL, &before[s]);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    guest_start(&g, config);
    guest_type(&g, "x");
    guest_expect(&g, "x");
    for (int s = 1; s < 32; s++) {
        sigaction(s, NULL, &after);
        assert_ptr_equal((void *)(uintptr_t)after.sa_handler,
                         (void *)(uintptr_t)before[s].sa_handler);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (int s = 1; s < 32; s++) {
        assert_int_equal(sigismember(&mask_after, s), sigismember(&mask_before, s));
    }
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
}

/* ---- Events and numbers ---- */

struct heard {
    struct vr_mutex lock;
    struct vr_cond grown;
    char text[512]; /* "RESUME:;STOP:;" */
    uint64_t last;
    uint64_t real_ns;
};

static void heard_note(void *opaque, const struct vireo_event *event)
{
    struct heard *h = opaque;
    vr_mutex_lock(&h->lock);
    size_t len = strlen(h->text);
    snprintf(h->text + len, sizeof(h->text) - len, "%s:%s;", event->name, event->cause);
    assert_int_equal(event->seq, h->last + 1);
    assert_true(event->real_ns >= h->real_ns);
    h->last = event->seq;
    h->real_ns = event->real_ns;
    vr_cond_broadcast(&h->grown);
    vr_mutex_unlock(&h->lock);
}

static void heard_expect(struct heard *h, const char *text)
{
    vr_mutex_lock(&h->lock);
    while (strlen(h->text) < strlen(text)) {
        vr_cond_wait(&h->grown, &h->lock);
    }
    assert_string_equal(h->text, text);
    vr_mutex_unlock(&h->lock);
}

static void event_count(void *opaque, const struct vireo_event *event)
{
    unsigned *count = opaque;
    assert_true(event->seq > 0 && *event->name);
    assert_true(*event->data == 0 || *event->data == '{');
    ++*count;
}

static void test_events(void **state)
{
    struct place p;
    struct guest g;
    struct heard h = {.last = 0};
    struct vr_error err;
    unsigned count = 0;
    (void)state;
    vr_mutex_init(&h.lock);
    vr_cond_init(&h.grown);
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    assert_int_equal(vireo_vm_create(config, &g.vm, &err), 0);
    assert_int_equal(vireo_vm_events(g.vm, 0, event_count, &count), 0);
    vireo_vm_on_event(g.vm, heard_note, &h);
    assert_int_equal(vireo_vm_start(g.vm, &err), 0);
    assert_int_equal(vireo_vm_pause(g.vm, &err), 0);
    assert_int_equal(vireo_vm_pause(g.vm, &err), 0); /* nothing new */
    assert_int_equal(vireo_vm_resume(g.vm, &err), 0);
    heard_expect(&h, "RESUME:;STOP:;RESUME:;");
    vireo_vm_reset(g.vm);
    heard_expect(&h, "RESUME:;STOP:;RESUME:;RESET:host-ui;");
    vireo_vm_stop(g.vm, 3);
    assert_ended(g.vm, VIREO_END_STOP, 3);
    /* All are on record when the machine has ended. */
    assert_int_equal(vireo_vm_events(g.vm, 0, event_count, &count), 5);
    assert_int_equal(count, 5);
    heard_expect(&h, "RESUME:;STOP:;RESUME:;RESET:host-ui;SHUTDOWN:host-ui;");
    count = 0;
    assert_int_equal(vireo_vm_events(g.vm, 3, event_count, &count), 5);
    assert_int_equal(count, 2);
    assert_int_equal(vireo_vm_events(g.vm, UINT64_MAX, event_count, &count), 5);
    assert_int_equal(count, 2);
    /* A second life; the guest's own end. Nobody listens any more. */
    vireo_vm_on_event(g.vm, NULL, NULL);
    assert_int_equal(vireo_vm_start(g.vm, &err), 0);
    assert_int_equal(vireo_vm_feed(g.vm, 0, "q", 1), 1);
    assert_ended(g.vm, VIREO_END_POWEROFF, 0);
    h.last = 5;
    assert_int_equal(vireo_vm_events(g.vm, 5, heard_note, &h), 7);
    heard_expect(&h, "RESUME:;STOP:;RESUME:;RESET:host-ui;SHUTDOWN:host-ui;RESUME:;"
                     "SHUTDOWN:guest-shutdown;");
    vireo_vm_destroy(g.vm);
    vireo_config_destroy(config);
    vr_cond_fini(&h.grown);
    vr_mutex_fini(&h.lock);
    place_remove(&p);
}

/* More events than are kept: the last ones are. */
static void test_events_many(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    unsigned count = 0;
    (void)state;
    place_program(&p, idle, VR_COUNT(idle));
    struct vireo_config *config = config_for(p.path);
    assert_int_equal(vireo_vm_create(config, &g.vm, &err), 0);
    assert_int_equal(vireo_vm_start(g.vm, &err), 0);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(vireo_vm_pause(g.vm, &err), 0);
        assert_int_equal(vireo_vm_resume(g.vm, &err), 0);
    }
    assert_int_equal(vireo_vm_events(g.vm, 0, event_count, &count), 401);
    assert_int_equal(count, 256);
    vireo_vm_destroy(g.vm); /* with listeners to tell */
    vireo_config_destroy(config);
    place_remove(&p);
}

struct stats_seen {
    unsigned count, queues, io_threads;
    uint64_t io_ns, memory, used, uart_writes, cpu_ns;
    bool running;
};

static void stat_look(void *opaque, const struct vireo_stat *s)
{
    struct stats_seen *seen = opaque;
    assert_true(*s->group && s->id && *s->name && *s->help);
    seen->count++;
    if (strcmp(s->group, "machine") == 0 && strcmp(s->name, "memory_bytes") == 0) {
        seen->memory = s->value;
    } else if (strcmp(s->name, "memory_used_bytes") == 0) {
        seen->used = s->value;
    } else if (strcmp(s->id, "uart0") == 0 && strcmp(s->name, "writes") == 0) {
        seen->uart_writes = s->value;
    } else if (strcmp(s->group, "cpu") == 0 && strcmp(s->name, "time_ns") == 0) {
        seen->cpu_ns = s->value;
    } else if (strcmp(s->group, "queue") == 0 && strcmp(s->name, "copied_bytes") == 0) {
        seen->queues += strcmp(s->id, "rng.0") == 0;
    } else if (strcmp(s->group, "iothread") == 0 && strcmp(s->name, "time_ns") == 0) {
        seen->io_threads++;
        seen->io_ns += s->value;
    } else if (strcmp(s->name, "running") == 0) {
        seen->running = s->value;
    }
}

static void test_stats(void **state)
{
    struct place p;
    struct guest g;
    struct vr_error err;
    struct stats_seen before = {0}, running = {0}, after = {0};
    (void)state;
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    assert_int_equal(vireo_config_set(config, "io-threads", "2", NULL), 0);
    assert_int_equal(vireo_vm_create(config, &g.vm, &err), 0);
    vireo_vm_stats(g.vm, stat_look, &before);
    assert_true(before.io_threads == 2 && before.io_ns == 0);
    assert_true(before.count > 10 && !before.running);
    assert_int_equal(before.memory, 16 << 20);
    assert_int_equal(before.queues, 1);
    vireo_vm_destroy(g.vm);
    guest_start(&g, config);
    guest_type(&g, "abc");
    guest_expect(&g, "abc");
    vireo_vm_stats(g.vm, stat_look, &running); /* while it runs */
    assert_true(running.running && running.count == before.count);
    assert_int_equal(running.uart_writes, 3);
    assert_true(running.io_threads == 2 && running.io_ns > 0);
    assert_true(running.cpu_ns > 0 && running.used > 0 && running.used <= running.memory);
    guest_type(&g, "q");
    assert_ended(g.vm, VIREO_END_POWEROFF, 0);
    vireo_vm_stats(g.vm, stat_look, &after);
    assert_true(!after.running && after.cpu_ns >= running.cpu_ns);
    guest_end(&g);
    vireo_config_destroy(config);
    place_remove(&p);
}

/* A debugger that comes before the machine has begun: asked why it stands, and told when it does
 * stand, before its first instruction. */
static void test_early_debugger(void **state)
{
    struct place p;
    struct vireo_vm *vm;
    struct vr_error err;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char where[128], got[64] = "";
    (void)state;
    place_program(&p, echo, VR_COUNT(echo));
    struct vireo_config *config = config_for(p.path);
    snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/vireo-early.%d", (int)getpid());
    snprintf(where, sizeof(where), "unix:%s", at.sun_path);
    assert_int_equal(vireo_config_set(config, "gdb", where, &err), 0);
    assert_int_equal(vireo_config_set(config, "paused", "on", &err), 0);
    assert_int_equal(vireo_vm_create(config, &vm, &err), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(write(fd, "+$?#3f", 6), 6);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 100), 0); /* what it must not say, it would have said by now */
    assert_int_equal(vireo_vm_start(vm, &err), 0);
    assert_int_equal(vireo_vm_state(vm), VIREO_PAUSED);
    for (size_t len = 0; !strchr(got, '#') && len < sizeof(got) - 1;) {
        assert_int_equal(poll(&wait, 1, 60000), 1);
        ssize_t n = read(fd, got + len, sizeof(got) - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        got[len] = '\0';
    }
    assert_int_equal(strncmp(got, "+$T05thread:1;#", 15), 0);
    close(fd);
    vireo_vm_destroy(vm);
    vireo_config_destroy(config);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),       cmocka_unit_test(test_echo),
        cmocka_unit_test(test_pause),          cmocka_unit_test(test_reset),
        cmocka_unit_test(test_early_debugger), cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_consoles),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many),           cmocka_unit_test(test_signals),
        cmocka_unit_test(test_events),         cmocka_unit_test(test_events_many),
        cmocka_unit_test(test_stats),          cmocka_unit_test(test_balloon),
        cmocka_unit_test(test_scsi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
