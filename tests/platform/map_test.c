/* Memory by the page, as on every host. */
#include "os.h"
#include "test.h"

#include "vireo/host_memory.h"
#include "vireo/platform.h"
#include <errno.h>
#include <string.h>

enum { PAGE = 4096, MIB = 1 << 20 };

#define RW (VIREO_PROT_READ | VIREO_PROT_WRITE)

static void protections_hold(void **state)
{
    static const struct {
        unsigned prot;
        const char *perms;
    } cases[] = {
        {VIREO_PROT_NONE, "---"},
        {VIREO_PROT_READ, "r--"},
        {RW, "rw-"},
        {VIREO_PROT_READ | VIREO_PROT_EXEC, "r-x"},
        {VIREO_PROT_EXEC, "--x"},
    };
    struct vireo_map m;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY};
    struct vr_error err;
    char perms[4];
    (void)state;
    assert_int_equal(vireo_map_create(3 * PAGE - 5, &o, &m, NULL), 0);
    assert_int_equal(m.len % PAGE, 0);
    m.hva[PAGE] = 7;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(vireo_map_protect(&m, PAGE, PAGE, cases[i].prot, NULL), 0);
        assert_string_equal(os_perms_at(m.hva + PAGE, perms), cases[i].perms);
        assert_string_equal(os_perms_at(m.hva, perms), "rw-");
        assert_int_equal(os_touch_faults(m.hva + PAGE, true), !(cases[i].prot & VIREO_PROT_WRITE));
        if (cases[i].prot & VIREO_PROT_READ) {
            assert_int_equal(m.hva[PAGE], 7);
        }
    }
    assert_false(os_touch_faults(m.hva, false));
    assert_int_equal(vireo_map_protect(&m, 0, PAGE, RW | VIREO_PROT_EXEC, &err), -EACCES);
    assert_int_equal(vireo_map_protect(&m, 0, PAGE, VIREO_PROT_WRITE | VIREO_PROT_EXEC, &err),
                     -EACCES);
    assert_int_equal(vireo_map_protect(&m, 0, PAGE, 8, &err), -EINVAL);
    assert_int_equal(vireo_map_protect(&m, 1, PAGE, RW, &err), -EINVAL);
    assert_int_equal(vireo_map_protect(&m, m.len, PAGE, RW, &err), -ERANGE);
    assert_int_equal(vireo_map_protect(&m, 0, SIZE_MAX, RW, &err), -ERANGE);
    uint8_t *was = m.hva;
    vireo_map_destroy(&m);
    assert_string_equal(os_perms_at(was, perms), "");
    vireo_map_destroy(&m);
}

static void places_are_kept(void **state)
{
    struct vireo_map m, n, again;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY, .align_bytes = 4 * MIB};
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_map_create(2 * MIB, &o, &m, NULL), 0);
    assert_int_equal((uintptr_t)m.hva % (4 * MIB), 0);
    m.hva[0] = 1;
    m.hva[m.len - 1] = 1;
    o = (struct vireo_map_opts){
        .prot = RW, .node = VIREO_NODE_ANY, .hva = m.hva, .flags = VIREO_MAP_FIXED};
    assert_int_equal(vireo_map_create(PAGE, &o, &n, &err), -EEXIST);
    assert_int_equal(m.hva[0], 1);
    o.flags = VIREO_MAP_REPLACE;
    assert_int_equal(vireo_map_create(PAGE, &o, &again, NULL), 0);
    assert_ptr_equal(again.hva, m.hva);
    assert_int_equal(m.hva[0], 0);
    assert_int_equal(m.hva[m.len - 1], 1);
    vireo_map_destroy(&m);
    o.flags = VIREO_MAP_FIXED;
    assert_int_equal(vireo_map_create(PAGE, &o, &n, NULL), 0);
    assert_ptr_equal(n.hva, o.hva);
    vireo_map_destroy(&n);
}

static void nonsense_is_refused(void **state)
{
    const struct vireo_map_opts bad[] = {
        {.prot = 16, .node = VIREO_NODE_ANY},
        {.prot = RW, .node = VIREO_NODE_ANY, .align_bytes = 3},
        {.prot = RW, .node = VIREO_NODE_ANY, .huge_bytes = 12345},
        {.prot = RW, .node = VIREO_NODE_ANY, .flags = VIREO_MAP_FIXED},
        {.prot = RW, .node = VIREO_NODE_ANY, .hva = (void *)0x10000},
        {.prot = RW, .node = VIREO_NODE_ANY, .file = true, .fd = -1},
        {.prot = RW, .node = VIREO_NODE_ANY, .file = true, .fd = 0, .file_off = 5},
        {.prot = RW, .node = -2},
        {.prot = RW, .node = 100000},
    };
    struct vireo_map m;
    struct vr_error err;
    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(vireo_map_create(PAGE, &bad[i], &m, &err), -EINVAL);
    }
    const struct vireo_map_opts plain = {.prot = RW, .node = VIREO_NODE_ANY};
    assert_int_equal(vireo_map_create(0, &plain, &m, &err), -EINVAL);
    assert_int_equal(vireo_map_create(SIZE_MAX, &plain, &m, &err), -ENOMEM);
    assert_int_equal(vireo_map_create((size_t)1 << 60, &plain, &m, &err), -ENOMEM);
    const struct vireo_map_opts wx = {.prot = RW | VIREO_PROT_EXEC, .node = VIREO_NODE_ANY};
    assert_int_equal(vireo_map_create(PAGE, &wx, &m, &err), -EACCES);
    assert_non_null(strstr(err.msg, "never"));
}

static void files_are_mapped_and_written(void **state)
{
    char text[6] = "";
    struct vireo_map shared, copy;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY, .file = true, .file_off = PAGE};
    (void)state;
    o.fd = os_file_make(2 * PAGE);
    assert_int_equal(vireo_map_create(PAGE, &o, &copy, NULL), 0);
    o.flags = VIREO_MAP_SHARED;
    assert_int_equal(vireo_map_create(PAGE, &o, &shared, NULL), 0);
    memcpy(shared.hva, "hello", 5);
    assert_int_equal(copy.hva[0], 'h');
    copy.hva[0] = 'j';
    assert_int_equal(shared.hva[0], 'h');
    assert_int_equal(vireo_map_sync(&shared, 0, PAGE, NULL), 0);
    assert_int_equal(vireo_map_sync(&shared, 0, 2 * PAGE, NULL), -ERANGE);
    os_file_read(o.fd, text, 5, PAGE);
    assert_string_equal(text, "hello");
    vireo_map_destroy(&copy);
    vireo_map_destroy(&shared);
    os_file_close(o.fd);
}

static void forgotten_zeroes_are_zero(void **state)
{
    struct vireo_map m;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY};
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_map_create(4 * MIB, &o, &m, NULL), 0);
    assert_int_equal(vireo_map_advise(&m, 0, m.len, VIREO_ADVICE_NORMAL, NULL), 0);
    assert_int_equal(vireo_map_advise(&m, 0, m.len, VIREO_ADVICE_WILLNEED, NULL), 0);
    m.hva[5 * PAGE] = 9;
    m.hva[6 * PAGE] = 8;
    assert_int_equal(vireo_map_advise(&m, 5 * PAGE, PAGE, VIREO_ADVICE_DONTNEED, NULL), 0);
    assert_int_equal(m.hva[5 * PAGE], 0);
    assert_int_equal(m.hva[6 * PAGE], 8);
    assert_int_equal(vireo_map_advise(&m, 0, PAGE, (enum vireo_advice)77, &err), -EINVAL);
    assert_int_equal(vireo_map_advise(&m, 0, m.len + 1, VIREO_ADVICE_NORMAL, &err), -ERANGE);
    vireo_map_destroy(&m);
}

static void memory_is_bound_to_nodes(void **state)
{
    const struct vireo_platform *host;
    struct vr_error err;
    struct vireo_map m;
    (void)state;
    assert_int_equal(vireo_platform_get(&host, NULL), 0);
    for (uint32_t i = 0; i < host->node_count; i++) {
        int node = (int)host->nodes[i].id, at = -1;
        struct vireo_map_opts o = {.prot = RW, .node = node, .flags = VIREO_MAP_POPULATE};
        if (host->nodes[i].total_bytes == 0 && host->nodes[i].free_bytes == 0) {
            continue;
        }
        int r = vireo_map_create(2 * PAGE, &o, &m, &err);
        if (r == -EPERM || r == -ENOSYS) {
            skip_because("%s", err.msg); /* a sandbox, or an emulated processor */
        }
        assert_int_equal(r, 0);
        m.hva[PAGE] = 1;
        assert_int_equal(vireo_map_node(&m, PAGE, &at, NULL), 0);
        assert_int_equal(at, node);
        vireo_map_destroy(&m);
    }
    if (host->node_count) {
        struct vireo_map_opts o = {.prot = RW, .node = 1000};
        assert_int_equal(vireo_map_create(PAGE, &o, &m, &err), -ENODEV);
        assert_non_null(strstr(err.msg, "1000"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protections_hold),          cmocka_unit_test(places_are_kept),
        cmocka_unit_test(nonsense_is_refused),       cmocka_unit_test(files_are_mapped_and_written),
        cmocka_unit_test(forgotten_zeroes_are_zero), cmocka_unit_test(memory_is_bound_to_nodes),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
