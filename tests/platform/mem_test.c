#include "test.h"

#include "platform/random.h"
#include "vireo/host_memory.h"
#include "vireo/host_time.h"
#include <errno.h>
#include <string.h>
#include <time.h>

enum { PAGE = 4096, MIB = 1 << 20 };

static void memory_is_shared_by_descriptor(void **state)
{
    struct vireo_shmem m;
    (void)state;
    assert_int_equal(vireo_shmem_create("test", 4 * MIB, NULL, &m, NULL), 0);
    const uint8_t *bytes = m.hva;
    for (unsigned i = 0; i < 4 * MIB; i += 511) {
        assert_int_equal(bytes[i], 0);
    }
    if (m.fd >= 0) { /* not every host has one */
        struct vireo_map other;
        struct vireo_map_opts o = {.prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
                                   .flags = VIREO_MAP_SHARED,
                                   .file = true,
                                   .fd = m.fd,
                                   .node = VIREO_NODE_ANY};
        assert_int_equal(vireo_map_create(4 * MIB, &o, &other, NULL), 0);
        other.hva[3 * MIB] = 0x5a;
        assert_int_equal(bytes[3 * MIB], 0x5a);
        vireo_map_destroy(&other);
    }
    vireo_shmem_destroy(&m);
    vireo_shmem_destroy(&m);
}

static void absurd_sizes_are_refused(void **state)
{
    struct vireo_shmem m = {.fd = -7};
    struct vr_error err = {0};
    (void)state;
    assert_int_equal(vireo_shmem_create("test", 0, NULL, &m, &err), -EINVAL);
    assert_int_equal(vireo_shmem_create("test", UINT64_MAX, NULL, &m, &err), -ENOMEM);
    assert_int_equal(vireo_shmem_create("test", UINT64_C(1) << 62, NULL, &m, &err), -ENOMEM);
    assert_int_equal(vireo_shmem_create("test", UINT64_C(1) << 50, NULL, &m, &err), -ENOMEM);
    assert_non_null(strstr(err.msg, "'test'"));
    assert_int_equal(m.fd, -7); /* untouched */
}

static void holes_are_known_and_can_be_made(void **state)
{
    struct vireo_shmem m;
    (void)state;
    assert_int_equal(vireo_shmem_create("test", 8 * MIB, NULL, &m, NULL), 0);
    uint8_t *bytes = m.hva;
    assert_int_equal(vireo_shmem_next_data(&m, 0), 8 * MIB);
    uint64_t before = vireo_shmem_used(&m, NULL);
    bytes[5 * MIB + 10] = 1;
    uint64_t after = vireo_shmem_used(&m, NULL);
    assert_true(before == UINT64_MAX ? after == before : before == 0 && after >= PAGE);
    assert_true(after == UINT64_MAX || after <= 8 * MIB);
    uint64_t at = vireo_shmem_next_data(&m, 0);
    assert_true(at <= 5 * MIB && vireo_shmem_next_data(&m, 5 * MIB) == 5 * MIB);
    assert_int_equal(vireo_shmem_next_data(&m, 8 * MIB), 8 * MIB);
    assert_int_equal(vireo_shmem_discard(&m, 5 * MIB, PAGE, NULL), 0);
    assert_int_equal(bytes[5 * MIB + 10], 0);
    bytes[7 * MIB] = 3;
    assert_int_equal(vireo_shmem_discard(&m, 0, 8 * MIB, NULL), 0);
    assert_int_equal(bytes[7 * MIB], 0);
    vireo_shmem_destroy(&m);
}

/* What a view of a file shows, keeps to itself, and gives back. */
static void a_view_of_a_file_is_our_own(void **state)
{
    struct vireo_shmem m = {.fd = -7};
    struct vireo_shmem_opts o = {.node = VIREO_NODE_ANY, .file = true, .file_off = MIB};
    struct vireo_map file;
    struct vr_error err = {0};
    (void)state;
    if (vireo_memfd_create("base", 17 * MIB, 0, &o.fd, &err) < 0) {
        assert_int_equal(vireo_shmem_create("test", MIB, &o, &m, &err), -ENOTSUP);
        assert_int_equal(m.fd, -7);
        skip_because("this host has no files in memory by descriptor, and no views of files");
    }
    struct vireo_map_opts shared = {.prot = VIREO_PROT_READ | VIREO_PROT_WRITE,
                                    .flags = VIREO_MAP_SHARED,
                                    .file = true,
                                    .fd = o.fd,
                                    .node = VIREO_NODE_ANY};
    assert_int_equal(vireo_map_create(17 * MIB, &shared, &file, NULL), 0);
    for (unsigned i = 0; i < 16; i += 4) {
        memset(file.hva + (1 + i) * MIB, 0x10 + (int)i, PAGE);
    }
    int r = vireo_shmem_create("test", 17 * MIB, &o, &m, &err);
    assert_int_equal(m.fd, -7);
    if (r == -ENOTSUP) { /* Windows has such files, and no views of them */
        vireo_map_destroy(&file);
        skip_because("this host has no views of files");
    }
    assert_int_equal(r, -EINVAL);
    o.huge_bytes = 2 << 20;
    assert_int_equal(vireo_shmem_create("test", 16 * MIB, &o, &m, &err), -EINVAL);
    o.huge_bytes = 0;
    assert_int_equal(vireo_shmem_create("test", 16 * MIB, &o, &m, &err), 0);
    uint8_t *bytes = m.hva;
    assert_int_equal(m.fd, -1);
    assert_int_equal(bytes[4 * MIB], 0x14);
    /* What the file has in memory counts, whoever put it there; what was written is our own. */
    uint64_t theirs = 7, used = vireo_shmem_used(&m, &theirs);
    assert_true(used == UINT64_MAX ? theirs == 0 : used == 4 * PAGE && theirs == used);
    bytes[4 * MIB + 1] = 0x99;
    bytes[6 * MIB] = 0x66;
    assert_int_equal(file.hva[5 * MIB + 1], 0x14);
    uint64_t more = vireo_shmem_used(&m, &theirs);
    assert_true(used == UINT64_MAX
                    ? more == used
                    : more >= used + PAGE && more < 8 * MIB && theirs + PAGE <= used);
    /* Nothing that holds bytes is ever between where we look and what we are told. */
    assert_int_equal(vireo_shmem_next_data(&m, 0), 0);
    assert_true(vireo_shmem_next_data(&m, PAGE) <= 4 * MIB);
    assert_true(vireo_shmem_next_data(&m, 4 * MIB + PAGE) <= 6 * MIB);
    assert_true(vireo_shmem_next_data(&m, 6 * MIB + PAGE) <= 8 * MIB);
    assert_int_equal(vireo_shmem_next_data(&m, 16 * MIB), 16 * MIB);
    /* The middle gets fresh zeroes, both ends are zeroed; the file keeps its bytes. */
    bytes[12 * MIB - 1] = bytes[4 * MIB - 1] = 7;
    assert_int_equal(vireo_shmem_discard(&m, 4 * MIB, 8 * MIB + PAGE, &err), 0);
    for (unsigned i = 4 * MIB; i < 12 * MIB + PAGE; i += 127) {
        assert_int_equal(bytes[i], 0);
    }
    assert_int_equal(bytes[4 * MIB - 1], 7);
    assert_int_equal(bytes[12 * MIB], 0);
    assert_int_equal(file.hva[13 * MIB], 0x1c);
    bytes[5 * MIB] = 5;
    assert_true(vireo_shmem_next_data(&m, 5 * MIB - PAGE) <= 5 * MIB);
    assert_int_equal(vireo_shmem_discard(&m, 5 * MIB, PAGE, &err), 0);
    assert_int_equal(bytes[5 * MIB], 0);
    vireo_shmem_destroy(&m);
    vireo_map_destroy(&file);
    struct vireo_shmem plain; /* the descriptor was not kept */
    o = (struct vireo_shmem_opts){.node = VIREO_NODE_ANY};
    assert_int_equal(vireo_shmem_create("test", MIB, &o, &plain, NULL), 0);
    assert_int_equal(plain.base_fd, -1);
    vireo_shmem_destroy(&plain);
}

static void random_bytes_differ(void **state)
{
    uint8_t a[64] = {0}, b[64] = {0};
    (void)state;
    assert_int_equal(vr_random_bytes(a, sizeof(a), NULL), 0);
    assert_int_equal(vr_random_bytes(b, sizeof(b), NULL), 0);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_int_equal(vr_random_bytes(a, 0, NULL), 0);
}

static void clocks_go_forward(void **state)
{
    uint64_t last = vireo_monotonic_ns();
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t now = vireo_monotonic_ns();
        assert_true(now >= last);
        last = now;
    }
    /* The C library's clock is cut to whole seconds, by a clock that may be a tick late. */
    uint64_t early = (uint64_t)time(NULL) - 1, now = vireo_realtime_ns() / 1000000000;
    assert_true(now >= early && now <= (uint64_t)time(NULL) + 1);
}

static void pages_are_as_asked_for(void **state)
{
    struct vireo_shmem m = {.fd = -7};
    struct vireo_shmem_opts o = {.node = 1000, .populate = true};
    struct vr_error err = {0};
    (void)state;
    int r = vireo_shmem_create("test", MIB, &o, &m, &err);
    assert_true(r < 0 && m.fd == -7); /* no such node, or no nodes at all */
    assert_non_null(strstr(err.msg, "'test'"));
    o = (struct vireo_shmem_opts){.huge_bytes = UINT64_C(1) << 50, .node = VIREO_NODE_ANY};
    r = vireo_shmem_create("test", MIB, &o, &m, &err);
    assert_true(r < 0 && m.fd == -7 && strlen(err.msg) > 20);
    o = (struct vireo_shmem_opts){.node = VIREO_NODE_ANY, .populate = true};
    assert_int_equal(vireo_shmem_create("test", MIB, &o, &m, NULL), 0);
    assert_int_equal(m.map.len, MIB);
    assert_true(m.map.page_bytes >= PAGE);
    assert_int_equal(vireo_shmem_discard(&m, MIB, PAGE, &err), -ERANGE);
    vireo_shmem_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_shared_by_descriptor),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(pages_are_as_asked_for),
        cmocka_unit_test(holes_are_known_and_can_be_made),
        cmocka_unit_test(a_view_of_a_file_is_our_own),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(clocks_go_forward),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
