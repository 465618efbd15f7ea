/* RAM shared copy on write: a machine's memory and its clones' against models, forked again and
 * again; what it costs; what is refused. */
#include "test.h"

#include "base/bits.h"
#include "core/ram_fork.h"
#include "platform/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RAM = (8 << 20) + 5 * 4096, PAGE = 4096, PIECE = VIREO_SHMEM_PIECE_BYTES, RAMS = 10 };

struct model {
    struct vr_ram *ram;
    uint8_t *data;
};

static uint32_t next_random(void)
{
    static _Thread_local uint32_t seed = 815;
    seed = seed * 1664525 + 1013904223;
    return seed >> 8;
}

static struct vr_ram_frozen *freeze(struct vr_ram *ram)
{
    struct vr_ram_frozen *z = NULL;
    struct vr_error err = {0};
    if (vr_ram_freeze(ram, &z, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(vr_ram_frozen_check(z, &err), 0);
    return z;
}

static struct vr_ram *clone_of(const struct vr_ram_frozen *z)
{
    struct vr_ram *ram = NULL;
    struct vr_error err = {0};
    const struct vireo_shmem_opts how = {
        .file = true, .fd = z->file[0], .file_off = z->off, .node = VIREO_NODE_ANY};
    if (vr_ram_create_as("clone", z->len, &how, &ram, &err) < 0 || vr_ram_adopt(ram, z, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return ram;
}

static void change(struct model *m)
{
    struct vr_error err = {0};
    if (next_random() % 40 == 0) {
        uint64_t off = next_random() % (RAM / PAGE) * PAGE, len = PIECE + PIECE / 2;
        len = len < RAM - off ? len : RAM - off;
        assert_int_equal(vr_ram_fork_discard(m->ram, off, len, &err), 0);
        memset(m->data + off, 0, len);
        return;
    }
    uint64_t off = next_random() % RAM, len = next_random() % (next_random() % 8 ? 64 : 3 * PAGE);
    len = len < RAM - off ? len : RAM - off;
    memset(m->ram->hva + off, (int)next_random(), len);
    memcpy(m->data + off, m->ram->hva + off, len);
}

static void compare(const struct model *m)
{
    assert_memory_equal(m->ram->hva, m->data, RAM);
    /* What is said to hold nothing holds nothing. */
    for (uint64_t off = 0; off < RAM;) {
        uint64_t next = vr_ram_next_data(m->ram, off);
        for (; off < RAM && off < next; off++) {
            assert_int_equal(m->data[off], 0);
        }
        off = vr_align_down(off, PAGE) + PAGE;
    }
}

static void every_clone_matches_its_model(void **state)
{
    struct model m[RAMS] = {{.data = calloc(1, RAM)}};
    struct vr_error err = {0};
    unsigned count = 1;
    (void)state;
    assert_int_equal(vr_ram_create("ram", RAM, &m[0].ram, &err), 0);
    for (unsigned step = 0; step < 9000; step++) {
        if (step % 300 == 150) {
            /* A new clone, of anybody, in place of an old one that ends. */
            unsigned parent = next_random() % count, i = count < RAMS ? count++ : RAMS;
            while (i == RAMS || i == parent) {
                i = 1 + next_random() % (RAMS - 1);
            }
            struct vr_ram_frozen *z = freeze(m[parent].ram);
            struct vr_ram *ram = clone_of(z);
            vr_ram_destroy(m[i].ram);
            m[i].ram = ram;
            m[i].data = m[i].data ? m[i].data : malloc(RAM);
            memcpy(m[i].data, m[parent].data, RAM);
            compare(&m[i]);
            if (next_random() % 3 == 0) { /* several of one moment are alike */
                vr_ram_destroy(m[i].ram);
                m[i].ram = clone_of(z);
                vr_ram_frozen_destroy(z);
            } else {
                vr_ram_frozen_destroy(z);
            }
        }
        change(&m[next_random() % count]);
    }
    for (unsigned i = 0; i < count; i++) {
        compare(&m[i]);
        vr_ram_destroy(m[i].ram);
        free(m[i].data);
    }
}

static uint64_t file_bytes(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* A fork costs what changed since the last one; what only ended clones needed is given back. */
static void it_costs_what_changed(void **state)
{
    enum { FORKS = 60, PAGES = 100 };
    struct vr_ram *ram;
    struct vr_error err = {0};
    uint64_t most = 0;
    (void)state;
    assert_int_equal(vr_ram_create("ram", RAM, &ram, &err), 0);
    memset(ram->hva, 0x11, RAM);
    struct vr_ram_frozen *first = freeze(ram), *z = NULL;
    assert_int_equal(first->copied_bytes, 0);
    assert_int_equal(first->file_count, 1);
    struct vr_ram *kept = clone_of(first);
    for (unsigned i = 0; i < FORKS; i++) {
        for (unsigned k = 0; k < PAGES; k++) {
            ram->hva[k * 4 * (uint64_t)PAGE + i] = (uint8_t)i;
        }
        z = freeze(ram);
        assert_int_equal(z->copied_bytes, PAGES * z->chunk_bytes);
        assert_int_equal(z->file_count, 2);
        assert_int_equal(ram->hva[i], (uint8_t)i);
        most = file_bytes(z->file[1]) > most ? file_bytes(z->file[1]) : most;
        struct vr_ram *clone = clone_of(z);
        assert_memory_equal(clone->hva, ram->hva, RAM);
        vr_ram_destroy(clone);
        vr_ram_thaw(ram, z->moment);
        if (i + 1 < FORKS) {
            vr_ram_frozen_destroy(z);
        }
    }
    assert_true(most <= 3 * PAGES * z->chunk_bytes);
    uint64_t base = file_bytes(first->file[0]);
    for (uint64_t i = 0; i < RAM; i++) {
        assert_int_equal(kept->hva[i], 0x11);
    }
    vr_ram_thaw(ram, first->moment); /* now the base gives back what was replaced */
    assert_true(file_bytes(first->file[0]) + PAGES * z->chunk_bytes <= base);
    assert_int_equal(ram->hva[0], 0);
    assert_int_equal(ram->hva[RAM - 1], 0x11);
    vr_ram_destroy(kept);
    vr_ram_frozen_destroy(first);
    vr_ram_frozen_destroy(z);
    vr_ram_frozen_destroy(NULL);
    vr_ram_destroy(ram);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct vr_ram *ram, *other;
    struct vr_error err = {0};
    (void)state;
    assert_int_equal(vr_ram_create("ram", RAM, &ram, &err), 0);
    struct vr_ram_frozen *z = freeze(ram);
    memset(ram->hva, 1, PAGE);
    struct vr_ram_frozen *two = freeze(ram);
    assert_int_equal(two->place[0].file, 1);
    const struct vr_ram_place good = two->place[0];
    const struct vr_ram_place bad[] = {{2, 0}, {UINT32_MAX - 1, 0}, {1, UINT32_MAX}, {0, 1}};
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        two->place[0] = bad[i];
        assert_int_equal(vr_ram_frozen_check(two, &err), -EPROTO);
    }
    two->place[0] = good;
    assert_int_equal(vr_ram_frozen_check(two, &err), 0);
    static const struct {
        uint64_t chunk, len, off, places;
    } wrong[] = {
        {8192, RAM, 0, RAM / 8192 + 1},
        {24576, RAM, 0, RAM / 24576 + 1},
        {16384, 0, 0, 0},
        {16384, RAM, 0, RAM / 16384},
        {16384, RAM, UINT64_MAX - 4095, RAM / 16384 + 1},
        {16384, RAM, 4096, RAM / 16384 + 1},
        {16384, UINT64_MAX - 4095, 0, RAM / 16384 + 1},
    };
    const struct vr_ram_frozen was = *two;
    for (unsigned i = 0; i < VR_COUNT(wrong); i++) {
        two->chunk_bytes = wrong[i].chunk;
        two->len = wrong[i].len;
        two->off = wrong[i].off;
        two->place_count = wrong[i].places;
        assert_int_equal(vr_ram_frozen_check(two, &err), -EPROTO);
        *two = was;
    }
    two->file_count = 0;
    assert_int_equal(vr_ram_frozen_check(two, &err), -EPROTO);
    *two = was;
    const struct vireo_shmem_opts how = {.file = true, .fd = z->file[0], .node = VIREO_NODE_ANY};
    assert_int_equal(vr_ram_create_as("short", RAM - PAGE, &how, &other, &err), 0);
    assert_int_equal(vr_ram_adopt(other, two, &err), -EPROTO);
    vr_ram_destroy(other);
    vr_ram_frozen_destroy(z);
    vr_ram_frozen_destroy(two);
    vr_ram_destroy(ram);
}

static void clones_of_clones_end_somewhere(void **state)
{
    struct vr_ram *ram[VR_RAM_FILES + 1];
    struct vr_ram_frozen *z = NULL;
    struct vr_error err = {0};
    unsigned n = 0;
    (void)state;
    assert_int_equal(vr_ram_create("ram", RAM, &ram[0], &err), 0);
    for (;; n++) {
        ram[n]->hva[n] = (uint8_t)(n + 1);
        int r = vr_ram_freeze(ram[n], &z, &err);
        if (r < 0) {
            assert_int_equal(r, -E2BIG);
            break;
        }
        assert_true(n < VR_RAM_FILES);
        ram[n + 1] = clone_of(z);
        vr_ram_frozen_destroy(z);
    }
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(ram[n]->hva[i], i + 1);
    }
    for (unsigned i = 0; i <= n; i++) {
        vr_ram_destroy(ram[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_clone_matches_its_model),
        cmocka_unit_test(it_costs_what_changed),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(clones_of_clones_end_somewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
