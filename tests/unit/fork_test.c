/* Forks by the public interface, in one process: bare-metal programs that count in memory, cloned
 * while they do; descriptions that lie. */
#include "vm_guest.h"
#include "vm_receiver.h"

#include "control/fork.h"
#include "control/vm.h"
#include "core/det_priv.h"
#include "core/machine.h"
#include "core/space.h"
#include "platform/file.h"
#include "vireo/fork.h"
#include "vireo/host_thread.h"
#include "vireo/snapshot.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Counts what it receives, in memory, and answers with the count as a letter. */
static const uint32_t counts[] = {
    0x100002b7, /* lui  t0, 0x10000    the 16550 */
    0x00010417, /* auipc s0, 0x10     the count */
    0x0052c303, /* 0: lbu t1, 5(t0)    LSR */
    0x00137313, /* andi t1, t1, 1 */
    0xfe030ce3, /* beqz t1, 0b */
    0x0002c303, /* lbu  t1, 0(t0)      RBR */
    0x00042383, /* lw   t2, 0(s0) */
    0x00138393, /* addi t2, t2, 1 */
    0x00742023, /* sw   t2, 0(s0) */
    0x04038393, /* addi t2, t2, 64 */
    0x00728023, /* sb   t2, 0(t0)      THR */
    0xfddff06f, /* j    0b */
};

struct machine {
    struct vireo_vm *vm;
    struct vr_mutex lock;
    struct vr_cond said;
    char text[64];
    unsigned len;
};

static void on_output(void *opaque, const void *buf, size_t len)
{
    struct machine *m = opaque;
    vr_mutex_lock(&m->lock);
    for (size_t i = 0; i < len && m->len < sizeof(m->text) - 1; i++) {
        m->text[m->len++] = ((const char *)buf)[i];
    }
    vr_cond_broadcast(&m->said);
    vr_mutex_unlock(&m->lock);
}

static void listen_to(struct machine *m)
{
    struct vr_error err = {0};
    vr_mutex_init(&m->lock);
    vr_cond_init(&m->said);
    assert_int_equal(vireo_vm_on_output(m->vm, 0, on_output, m, &err), 0);
}

/* What the machine answers to the next letter. */
static char next(struct machine *m)
{
    unsigned at = m->len;
    assert_int_equal(vireo_vm_feed(m->vm, 0, ".", 1), 1);
    vr_mutex_lock(&m->lock);
    while (m->len == at) {
        vr_cond_wait(&m->said, &m->lock);
    }
    char c = m->text[at];
    vr_mutex_unlock(&m->lock);
    return c;
}

static void end(struct machine *m)
{
    vireo_vm_destroy(m->vm);
    vr_cond_fini(&m->said);
    vr_mutex_fini(&m->lock);
}

static struct vireo_fork *fork_of(struct machine *m)
{
    struct vireo_fork *fork = NULL;
    struct vr_error err = {0};
    if (vireo_vm_fork(m->vm, NULL, &fork, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return fork;
}

static void clone_of(const struct vireo_fork *fork, struct machine *ret)
{
    struct vireo_config *config;
    struct vr_error err = {0};
    *ret = (struct machine){.vm = NULL};
    assert_int_equal(vireo_fork_config(fork, &config, &err), 0);
    if (vireo_fork_clone(fork, config, NULL, &ret->vm, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    vireo_config_destroy(config);
    assert_int_equal(vireo_vm_state(ret->vm), VIREO_PAUSED);
    listen_to(ret);
    assert_int_equal(vireo_vm_resume(ret->vm, &err), 0);
}

static void begin(struct place *place, struct machine *m, const char *disk)
{
    struct vireo_config *config;
    struct vr_error err = {0};
    place_program(place, counts, VR_COUNT(counts));
    *m = (struct machine){.vm = NULL};
    assert_int_equal(vireo_config_create(&config, &err), 0);
    assert_int_equal(vireo_config_set(config, "kernel", place->path, &err), 0);
    assert_int_equal(vireo_config_set(config, "firmware", "none", &err), 0);
    assert_int_equal(vireo_config_set(config, "memory", "64M", &err), 0);
    if (disk) {
        assert_int_equal(vireo_config_set(config, "disk", disk, &err), 0);
        assert_int_equal(vireo_config_set(config, "cdrom", "none", &err), 0);
    }
    if (vireo_vm_create(config, &m->vm, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    vireo_config_destroy(config);
    listen_to(m);
    struct vireo_fork *none = NULL;
    assert_int_equal(vireo_vm_fork(m->vm, NULL, &none, &err), -EINVAL); /* it is stopped */
    assert_int_equal(vireo_vm_start(m->vm, &err), 0);
}

static void clones_go_on_where_the_machine_was(void **state)
{
    struct place place;
    struct machine parent, a, b, c, d;
    (void)state;
    begin(&place, &parent, NULL);
    assert_int_equal(next(&parent), 'A');
    struct vireo_fork *first = fork_of(&parent);
    assert_int_equal(next(&parent), 'B');
    assert_int_equal(next(&parent), 'C');
    struct vireo_fork *second = fork_of(&parent);
    struct vireo_fork_info info;
    vireo_fork_info(second, &info);
    assert_string_equal(info.name, "vm");
    assert_true(info.pause_ns > 0 && info.copied_bytes > 0 && info.copied_bytes < 4 << 20);
    clone_of(first, &a);
    clone_of(first, &b);
    clone_of(second, &c);
    assert_int_equal(next(&a), 'B');
    assert_int_equal(next(&a), 'C');
    assert_int_equal(next(&a), 'D');
    assert_int_equal(next(&b), 'B');
    assert_int_equal(next(&c), 'D');
    assert_int_equal(next(&parent), 'D');
    assert_string_not_equal(vr_vm_uuid(a.vm), vr_vm_uuid(b.vm));
    /* Without the parent, and without the fork. */
    end(&parent);
    struct vireo_fork *third = fork_of(&a);
    vireo_fork_destroy(first);
    end(&a);
    clone_of(third, &d);
    assert_int_equal(next(&d), 'E');
    assert_int_equal(next(&b), 'C');
    vireo_fork_destroy(second);
    vireo_fork_destroy(third);
    assert_int_equal(next(&c), 'E');
    end(&b);
    end(&c);
    end(&d);
    place_remove(&place);
}

/* ---- What a fork put aside is memory like any other ---- */

/* Pages that the program does not know of, in a machine that stands. */
static const uint64_t fresh[] = {20 << 20, (33 << 20) + 0x2000, (63 << 20) + 0xff000};

static struct vr_ram *ram_of(struct vireo_vm *vm)
{
    const char *name;
    return vr_machine_ram(vr_vm_machine(vm), 0, &name);
}

static uint8_t fresh_byte(unsigned i, unsigned k)
{
    return (uint8_t)(i + 1 + k * 7 + k / 256);
}

static void fresh_write(struct vireo_vm *vm)
{
    for (unsigned i = 0; i < VR_COUNT(fresh); i++) {
        for (unsigned k = 0; k < VR_PAGE_SIZE; k++) {
            ram_of(vm)->hva[fresh[i] + k] = fresh_byte(i, k);
        }
    }
}

static void fresh_compare(struct vireo_vm *vm)
{
    for (unsigned i = 0; i < VR_COUNT(fresh); i++) {
        for (unsigned k = 0; k < VR_PAGE_SIZE; k++) {
            assert_int_equal(ram_of(vm)->hva[fresh[i] + k], fresh_byte(i, k));
        }
    }
}

/* Paused; the pages lie in the second file of its memory, and none of them is its own. */
static void begin_forked_twice(struct place *place, struct machine *m)
{
    struct vr_error err = {0};
    begin(place, m, NULL);
    assert_int_equal(next(m), 'A');
    assert_int_equal(vireo_vm_pause(m->vm, &err), 0);
    vireo_fork_destroy(fork_of(m));
    fresh_write(m->vm);
    vireo_fork_destroy(fork_of(m));
    assert_int_equal(vireo_vm_state(m->vm), VIREO_PAUSED);
}

static void hashes_have_what_a_fork_put_aside(void **state)
{
    struct place place;
    struct machine m;
    uint64_t before, after;
    (void)state;
    begin_forked_twice(&place, &m);
    det_hash_all(vr_vm_machine(m.vm), 0, &before);
    fresh_write(m.vm); /* the same bytes in pages of its own */
    det_hash_all(vr_vm_machine(m.vm), 0, &after);
    assert_int_equal(before, after);
    end(&m);
    place_remove(&place);
}

static void snapshots_have_what_a_fork_put_aside(void **state)
{
    struct place place;
    struct machine m;
    struct vr_error err = {0};
    char path[96];
    (void)state;
    begin_forked_twice(&place, &m);
    snprintf(path, sizeof(path), "%s/snapshot", place.dir);
    const struct vireo_snapshot_how how = {.path = path};
    if (vireo_vm_snapshot_save(m.vm, &how, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    for (unsigned i = 0; i < VR_COUNT(fresh); i++) {
        memset(ram_of(m.vm)->hva + fresh[i], 0xa5, VR_PAGE_SIZE);
    }
    if (vireo_vm_snapshot_restore(m.vm, path, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    fresh_compare(m.vm);
    assert_int_equal(unlink(path), 0);
    end(&m);
    place_remove(&place);
}

/* Of a snapshot that does not fit: as often as it is tried. */
static void what_cannot_be_continued_can_be_tried_again(void **state)
{
    struct place place;
    struct machine m;
    struct vr_error err = {0};
    struct vireo_config *config = NULL;
    struct vireo_vm *vm;
    char path[96];
    (void)state;
    begin(&place, &m, NULL);
    assert_int_equal(next(&m), 'A');
    snprintf(path, sizeof(path), "%s/snapshot", place.dir);
    const struct vireo_snapshot_how how = {.path = path};
    if (vireo_vm_snapshot_save(m.vm, &how, &err) < 0 || vireo_vm_config(m.vm, &config, &err) < 0 ||
        vireo_config_set(config, "snapshot", path, &err) < 0 ||
        vireo_config_set(config, "cpus", "2", &err) < 0 || vireo_vm_create(config, &vm, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    vireo_config_destroy(config);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vireo_vm_start(vm, &err), -EPROTO);
    }
    vireo_vm_destroy(vm);
    assert_int_equal(unlink(path), 0);
    end(&m);
    place_remove(&place);
}

static void migrations_have_what_a_fork_put_aside(void **state)
{
    struct place place;
    struct machine m;
    struct vr_error err = {0};
    struct vireo_config *changes;
    char uri[96];
    (void)state;
    begin_forked_twice(&place, &m);
    snprintf(uri, sizeof(uri), "unix:%s/socket", place.dir);
    assert_int_equal(vireo_config_create(&changes, &err), 0);
    struct receiver rx = {.uri = uri, .changes = changes};
    if (receiver_begin(&rx)) {
        const struct vireo_migrate_opts opts = {.end = true};
        if (vireo_vm_migrate(m.vm, uri, &opts, &err) < 0) {
            fail_msg("%s", err.msg);
        }
        /* Another one is refused at any moment, also while this one lingers. */
        int again;
        while ((again = vireo_vm_migrate(m.vm, uri, NULL, &err)) == -EBUSY) {
        }
        assert_int_equal(again, -EINVAL);
    }
    struct vireo_vm *came = receiver_end(&rx);
    vireo_config_destroy(changes);
    assert_int_equal(vireo_vm_state(came), VIREO_PAUSED);
    fresh_compare(came);
    vireo_vm_destroy(came);
    end(&m);
    place_remove(&place);
}

static void on_machine(void *opaque, const struct vireo_stat *stat)
{
    uint64_t *used = opaque;
    *used = strcmp(stat->name, "memory_used_bytes") == 0 ? stat->value : *used;
}

static void forking_for_ever_does_not_grow(void **state)
{
    struct place place;
    struct machine parent;
    uint64_t used = 0;
    (void)state;
    begin(&place, &parent, NULL);
    for (unsigned i = 0; i < 40; i++) {
        struct machine clone;
        assert_int_equal(next(&parent), 'A' + i % 62);
        parent.len = 0;
        struct vireo_fork *fork = fork_of(&parent);
        clone_of(fork, &clone);
        assert_int_equal(next(&clone), 'B' + i % 62);
        vireo_fork_destroy(fork);
        end(&clone);
    }
    vireo_vm_stats(parent.vm, on_machine, &used);
    assert_true(used < 16 << 20);
    end(&parent);
    place_remove(&place);
}

/* Through JSON and descriptors, as to another process; then with each number replaced. */
static void what_is_handed_on_is_checked(void **state)
{
    struct place place;
    struct machine parent, clone;
    struct vr_error err = {0};
    char disk[80];
    json_t *json;
    int *fds, mine[64];
    unsigned count, tried = 0;
    (void)state;
    snprintf(disk, sizeof(disk), "/tmp/vireo-fork-test.%d", (int)getpid());
    FILE *f = fopen(disk, "wb");
    assert_non_null(f);
    assert_int_equal(ftruncate(fileno(f), 1 << 20), 0);
    assert_int_equal(fclose(f), 0);
    begin(&place, &parent, disk);
    assert_int_equal(next(&parent), 'A');
    struct vireo_fork *fork = fork_of(&parent), *other = NULL;
    assert_int_equal(vr_fork_pack(fork, &json, &fds, &count, &err), 0);
    assert_true(count <= VR_COUNT(mine));
    const char *key;
    json_t *value;
    json_object_foreach(json, key, value)
    {
        static const json_int_t wrong[] = {-1, 0, 1, 4097, INT64_MAX};
        for (unsigned i = 0; i <= VR_COUNT(wrong); i++) {
            json_t *copy = json_deep_copy(json);
            if (i < VR_COUNT(wrong)) {
                assert_int_equal(json_object_set_new(copy, key, json_integer(wrong[i])), 0);
            } else {
                assert_int_equal(json_object_del(copy, key), 0);
            }
            for (unsigned k = 0; k < count; k++) {
                assert_int_equal(vr_file_dup(fds[k], &mine[k]), 0);
            }
            int r = vr_fork_unpack(copy, mine, count, &other, &err);
            tried += r < 0;
            if (r == 0) {
                vireo_fork_destroy(other);
            }
            json_decref(copy);
        }
    }
    assert_true(tried > 30);
    assert_true(count < VR_COUNT(mine));
    for (unsigned got = 0; got <= count + 1; got++) { /* too few descriptors, or too many */
        for (unsigned k = 0; k < got && got != count; k++) {
            assert_int_equal(vr_file_dup(fds[k % count], &mine[k]), 0);
        }
        assert_true(got == count || vr_fork_unpack(json, mine, got, &other, &err) < 0);
    }
    assert_int_equal(vr_fork_unpack(json, fds, count, &other, &err), 0);
    clone_of(other, &clone);
    assert_int_equal(next(&clone), 'B');
    end(&clone);
    vireo_fork_destroy(other);
    vireo_fork_destroy(fork);
    json_decref(json);
    free(fds);
    end(&parent);
    unlink(disk);
    place_remove(&place);
}

static void another_machine_is_no_clone(void **state)
{
    struct place place;
    struct machine parent;
    struct vr_error err = {0};
    struct vireo_config *config;
    struct vireo_vm *vm = NULL;
    (void)state;
    begin(&place, &parent, NULL);
    struct vireo_fork *fork = fork_of(&parent);
    static const struct {
        const char *key, *value;
    } rows[] = {{"memory", "128M"}, {"cpus", "2"}, {"power-button", "on"}, {"disk", "/dev/null"}};
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        assert_int_equal(vireo_fork_config(fork, &config, &err), 0);
        assert_int_equal(vireo_config_set(config, rows[i].key, rows[i].value, &err), 0);
        assert_int_equal(vireo_fork_clone(fork, config, NULL, &vm, &err), -EPROTO);
        vireo_config_destroy(config);
    }
    vireo_fork_destroy(fork);
    vireo_fork_destroy(NULL);
    end(&parent);
    place_remove(&place);
}

/* A device that comes and goes for as long as others look. */
struct plugger {
    struct vireo_vm *vm;
    atomic_bool end;
    atomic_uint times;
};

static void plug_and_unplug(void *opaque)
{
    struct plugger *p = opaque;
    struct vr_error err = {0};
    while (!atomic_load(&p->end)) {
        if (vireo_vm_device_add(p->vm, "virtio-rng-pci,id=guest", NULL, 0, &err) < 0 ||
            vireo_vm_device_del(p->vm, "guest", VIREO_DEL_FORCE, 0, &err) < 0) {
            fprintf(stderr, "%s\n", err.msg);
            abort();
        }
        atomic_fetch_add(&p->times, 1);
    }
}

/* The settings that a fork has are those of the moment its state is of. */
static void devices_come_and_go_while_forks_are_made(void **state)
{
    enum { FORKS = 12, MEANWHILE = 40 };
    struct place place;
    struct machine parent, clone;
    struct vireo_thread *thread;
    struct vr_error err = {0};
    (void)state;
    begin(&place, &parent, NULL);
    assert_int_equal(next(&parent), 'A');
    struct plugger plug = {.vm = parent.vm};
    assert_int_equal(vireo_thread_create("plug", plug_and_unplug, &plug, &thread, &err), 0);
    for (unsigned i = 0; i < FORKS || atomic_load(&plug.times) < MEANWHILE; i++) {
        struct vireo_fork *fork = fork_of(&parent);
        clone_of(fork, &clone);
        assert_int_equal(next(&clone), 'B');
        end(&clone);
        vireo_fork_destroy(fork);
    }
    atomic_store(&plug.end, true);
    vireo_thread_join(thread);
    end(&parent);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clones_go_on_where_the_machine_was),
        cmocka_unit_test(hashes_have_what_a_fork_put_aside),
        cmocka_unit_test(snapshots_have_what_a_fork_put_aside),
        cmocka_unit_test(what_cannot_be_continued_can_be_tried_again),
        cmocka_unit_test(migrations_have_what_a_fork_put_aside),
        cmocka_unit_test(forking_for_ever_does_not_grow),
        cmocka_unit_test(what_is_handed_on_is_checked),
        cmocka_unit_test(another_machine_is_no_clone),
        cmocka_unit_test(devices_come_and_go_while_forks_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
