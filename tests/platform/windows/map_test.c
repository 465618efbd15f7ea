/* Memory by the page: what Windows answers in its own way. */
#include "os.h"
#include "test.h"

#include "vireo/host_memory.h"
#include "vireo/platform.h"
#include <errno.h>
#include <string.h>
#include <windows.h>

enum { PAGE = 4096, MIB = 1 << 20, GRANULE = 65536 };

#define RW (VIREO_PROT_READ | VIREO_PROT_WRITE)

static void places_have_windows_grain(void **state)
{
    struct vireo_map m, n;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY};
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_map_create(4 * GRANULE, &o, &m, NULL), 0);
    o.flags = VIREO_MAP_FIXED;
    o.hva = m.hva + PAGE;
    assert_int_equal(vireo_map_create(PAGE, &o, &n, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "64 KiB"));
    /* Any page of a map can become zeroes again; what is around stays. */
    m.hva[0] = m.hva[PAGE] = m.hva[2 * PAGE] = 5;
    o.flags = VIREO_MAP_REPLACE;
    assert_int_equal(vireo_map_create(PAGE, &o, &n, NULL), 0);
    assert_int_equal(m.hva[0] + m.hva[PAGE] + m.hva[2 * PAGE], 10);
    vireo_map_destroy(&n);
    assert_true(os_touch_faults(m.hva + PAGE, false));
    assert_false(os_touch_faults(m.hva + 2 * PAGE, false));
    o.hva = m.hva + 3 * GRANULE;
    assert_int_equal(vireo_map_create(2 * GRANULE, &o, &n, &err), -ENOTSUP);
    vireo_map_destroy(&m);
}

static void files_keep_their_rights(void **state)
{
    struct vireo_map m;
    struct vireo_map_opts o = {.prot = VIREO_PROT_READ, .node = VIREO_NODE_ANY, .file = true};
    struct vr_error err;
    (void)state;
    o.fd = os_file_make(2 * GRANULE);
    /* Private: readable now, our own when written. */
    assert_int_equal(vireo_map_create(GRANULE, &o, &m, NULL), 0);
    assert_true(os_touch_faults(m.hva, true));
    assert_int_equal(vireo_map_protect(&m, 0, PAGE, RW, NULL), 0);
    m.hva[0] = 1;
    vireo_map_destroy(&m);
    o.flags = VIREO_MAP_SHARED;
    o.prot = RW;
    assert_int_equal(vireo_map_create(GRANULE, &o, &m, NULL), 0);
    assert_int_equal(m.hva[0], 0);
    vireo_map_destroy(&m);
    o.prot = VIREO_PROT_READ | VIREO_PROT_EXEC;
    assert_int_equal(vireo_map_create(GRANULE, &o, &m, NULL), 0);
    assert_int_equal(vireo_map_protect(&m, 0, PAGE, RW, &err), -EACCES);
    assert_non_null(strstr(err.msg, "mapped for"));
    vireo_map_destroy(&m);
    o.prot = RW;
    assert_true(vireo_map_create(4 * GRANULE, &o, &m, &err) < 0); /* beyond the file's end */
    o.flags |= VIREO_MAP_REPLACE;
    o.hva = (void *)0x10000;
    assert_int_equal(vireo_map_create(PAGE, &o, &m, &err), -ENOTSUP);
    os_file_close(o.fd);
}

static void advice_is_taken_or_refused_with_a_reason(void **state)
{
    struct vireo_map m;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY};
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_map_create(MIB, &o, &m, NULL), 0);
    for (int a = VIREO_ADVICE_NORMAL; a <= VIREO_ADVICE_MERGE; a++) {
        int r = vireo_map_advise(&m, 0, m.len, (enum vireo_advice)a, &err);
        bool known = a == VIREO_ADVICE_NORMAL || a == VIREO_ADVICE_WILLNEED ||
                     a == VIREO_ADVICE_DONTNEED || a == VIREO_ADVICE_NO_HUGE;
        assert_int_equal(r, known ? 0 : -ENOTSUP);
        assert_true(known || strstr(err.msg, "Windows"));
    }
    vireo_map_destroy(&m);
}

static void large_pages_or_the_right_that_is_missing(void **state)
{
    struct vireo_memory now;
    struct vireo_map m;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY, .huge_bytes = 64 * MIB};
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_platform_memory(&now, NULL), 0);
    assert_int_equal(vireo_map_create(PAGE, &o, &m, &err), -ENOMEM);
    assert_non_null(strstr(err.msg, "large pages"));
    if (now.huge_count == 0) {
        skip_because("GetLargePageMinimum: this host has no large pages");
    }
    o.huge_bytes = now.huge[0].page_bytes;
    int r = vireo_map_create(PAGE, &o, &m, &err);
    if (r == 0) {
        assert_int_equal(m.len, o.huge_bytes);
        assert_int_equal(m.page_bytes, o.huge_bytes);
        m.hva[m.len - 1] = 1;
        vireo_map_destroy(&m);
    } else {
        assert_true(r == -EPERM || r == -ENOMEM);
        assert_non_null(strstr(err.msg, r == -EPERM ? "SeLockMemoryPrivilege" : "one piece"));
    }
}

/* More than a process may lock at its start: its working set has to grow. */
static void locked_memory_grows_the_working_set(void **state)
{
    struct vireo_map m;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY, .flags = VIREO_MAP_LOCKED};
    struct vr_error err;
    (void)state;
    int r = vireo_map_create(4 * MIB, &o, &m, &err);
    if (r < 0) {
        assert_int_equal(r, -ENOMEM);
        assert_non_null(strstr(err.msg, "working set"));
        return;
    }
    assert_int_equal(vireo_map_lock(&m, 0, PAGE, false, NULL), 0);
    assert_int_equal(vireo_map_lock(&m, 0, PAGE, false, NULL), 0); /* not locked: fine */
    vireo_map_destroy(&m);
}

static void memory_files_are_shared(void **state)
{
    struct vireo_map a, b;
    struct vireo_map_opts o = {
        .prot = RW, .node = VIREO_NODE_ANY, .file = true, .flags = VIREO_MAP_SHARED};
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_memfd_create("t", 0, 0, &o.fd, &err), -EINVAL);
    assert_int_equal(vireo_memfd_create("t", 2 * MIB, 2 * MIB, &o.fd, &err), -ENOTSUP);
    assert_int_equal(vireo_memfd_create("t", UINT64_MAX, 0, &o.fd, &err), -ENOMEM);
    assert_int_equal(vireo_memfd_create("t", 2 * GRANULE, 0, &o.fd, NULL), 0);
    assert_true(o.fd > 0);
    assert_int_equal(vireo_memfd_seal(o.fd, VIREO_SEAL_SIZE, NULL), 0);
    assert_int_equal(vireo_memfd_seal(o.fd, VIREO_SEAL_WRITE, &err), -ENOTSUP);
    assert_int_equal(vireo_map_create(2 * GRANULE, &o, &a, NULL), 0);
    o.file_off = GRANULE + PAGE;
    assert_int_equal(vireo_map_create(PAGE, &o, &b, NULL), 0);
    os_file_close(o.fd); /* maps keep it */
    a.hva[GRANULE + PAGE] = 3;
    assert_int_equal(b.hva[0], 3);
    vireo_map_destroy(&a);
    assert_int_equal(b.hva[0], 3);
    vireo_map_destroy(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_have_windows_grain),
        cmocka_unit_test(files_keep_their_rights),
        cmocka_unit_test(advice_is_taken_or_refused_with_a_reason),
        cmocka_unit_test(large_pages_or_the_right_that_is_missing),
        cmocka_unit_test(locked_memory_grows_the_working_set),
        cmocka_unit_test(memory_files_are_shared),
    };
    return cmocka_run_group_tests_name("win_map", tests, NULL, NULL);
}
