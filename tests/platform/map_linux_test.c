/* Memory by the page: what only Linux has. */
#include "test.h"

#include "vireo/host_memory.h"
#include "vireo/platform.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20 };

#define RW (VIREO_PROT_READ | VIREO_PROT_WRITE)

static void huge_pages_or_the_reason(void **state)
{
    struct vireo_memory now;
    struct vireo_map m;
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_platform_memory(&now, NULL), 0);
    for (uint32_t i = 0; i < now.huge_count; i++) {
        struct vireo_map_opts o = {
            .prot = RW, .node = VIREO_NODE_ANY, .huge_bytes = now.huge[i].page_bytes};
        int r = vireo_map_create(PAGE, &o, &m, &err);
        if (now.huge[i].free) {
            assert_int_equal(r, 0);
            assert_int_equal(m.len, now.huge[i].page_bytes);
            m.hva[m.len - 1] = 1;
            vireo_map_destroy(&m);
        } else {
            assert_int_equal(r, -ENOMEM);
            assert_non_null(strstr(err.msg, "nr_hugepages"));
        }
    }
}

static void locked_memory_is_counted(void **state)
{
    struct vireo_map m;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY, .flags = VIREO_MAP_LOCKED};
    struct vr_error err;
    (void)state;
    int r = vireo_map_create(PAGE, &o, &m, &err);
    if (r < 0) {
        assert_true(r == -EPERM || r == -ENOMEM || r == -EAGAIN);
        assert_non_null(strstr(err.msg, "ulimit"));
        return;
    }
    unsigned char resident = 0;
    assert_int_equal(mincore(m.hva, PAGE, (void *)&resident), 0);
    assert_true(resident & 1);
    assert_int_equal(vireo_map_lock(&m, 0, PAGE, false, NULL), 0);
    assert_int_equal(vireo_map_lock(&m, 0, PAGE, true, NULL), 0);
    vireo_map_destroy(&m);
}

static void seals_hold(void **state)
{
    struct vireo_map m;
    struct vr_error err;
    struct vireo_map_opts o = {
        .prot = RW, .node = VIREO_NODE_ANY, .file = true, .flags = VIREO_MAP_SHARED};
    (void)state;
    assert_int_equal(vireo_memfd_create("t", 0, 0, &o.fd, &err), -EINVAL);
    assert_int_equal(vireo_memfd_create("t", 12345, 2 * MIB, &o.fd, &err), -EINVAL);
    assert_int_equal(vireo_memfd_create("t", UINT64_MAX, 0, &o.fd, &err), -ENOMEM);
    assert_int_equal(vireo_memfd_create("t", 2 * PAGE, 0, &o.fd, NULL), 0);
    assert_int_equal(vireo_memfd_seal(o.fd, VIREO_SEAL_SIZE, NULL), 0);
    assert_int_equal(ftruncate(o.fd, PAGE), -1);
    assert_int_equal(ftruncate(o.fd, 4 * PAGE), -1);
    assert_int_equal(vireo_map_create(2 * PAGE, &o, &m, NULL), 0);
    m.hva[0] = 3;
    assert_int_equal(vireo_memfd_seal(o.fd, VIREO_SEAL_WRITE, &err), -EBUSY);
    vireo_map_destroy(&m);
    assert_int_equal(vireo_memfd_seal(o.fd, VIREO_SEAL_WRITE, NULL), 0);
    assert_true(vireo_map_create(2 * PAGE, &o, &m, &err) < 0);
    o.prot = VIREO_PROT_READ;
    assert_int_equal(vireo_map_create(2 * PAGE, &o, &m, NULL), 0);
    assert_int_equal(m.hva[0], 3);
    vireo_map_destroy(&m);
    close(o.fd);
}

static void advice_is_taken(void **state)
{
    struct vireo_map m;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY};
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_map_create(4 * MIB, &o, &m, NULL), 0);
    for (int a = VIREO_ADVICE_NORMAL; a <= VIREO_ADVICE_NO_DUMP; a++) {
        int r = vireo_map_advise(&m, 0, m.len, (enum vireo_advice)a, &err);
        /* Kernels may be built without huge pages; the rest is everywhere. */
        assert_true(r == 0 ||
                    (r == -EINVAL && (a == VIREO_ADVICE_HUGE || a == VIREO_ADVICE_NO_HUGE)));
    }
    m.hva[5 * PAGE] = 9;
    assert_int_equal(vireo_map_advise(&m, 5 * PAGE, PAGE, VIREO_ADVICE_DONTNEED, NULL), 0);
    assert_int_equal(m.hva[5 * PAGE], 0);
    assert_int_equal(vireo_map_advise(&m, 0, PAGE, (enum vireo_advice)77, &err), -EINVAL);
    assert_int_equal(vireo_map_advise(&m, 0, m.len + 1, VIREO_ADVICE_NORMAL, &err), -ERANGE);
    vireo_map_destroy(&m);
}

/* A replacement that fails half way: what was there may be gone, but nobody else gets the place. */
static void a_failed_replacement_leaves_no_hole(void **state)
{
    struct vireo_map m, n;
    struct vireo_map_opts o = {.prot = RW, .node = VIREO_NODE_ANY};
    struct vr_error err;
    int fd;
    (void)state;
    assert_int_equal(vireo_map_create(4 * PAGE, &o, &m, NULL), 0);
    assert_int_equal(vireo_memfd_create("short", PAGE, 0, &fd, NULL), 0);
    o.hva = m.hva + PAGE;
    o.file = true;
    o.fd = fd;
    o.flags = VIREO_MAP_SHARED | VIREO_MAP_REPLACE | VIREO_MAP_POPULATE;
    int r = vireo_map_create(2 * PAGE, &o, &n, &err); /* its second page is beyond the file */
    close(fd);
    if (r == 0) {
        vireo_map_destroy(&m);
        skip_because("this host fills maps only as a hint: before Linux 5.14, or emulated");
    }
    o = (struct vireo_map_opts){
        .prot = RW, .node = VIREO_NODE_ANY, .hva = m.hva + PAGE, .flags = VIREO_MAP_FIXED};
    for (unsigned i = 0; i < 2; i++, o.hva = m.hva + 2 * PAGE) {
        assert_int_equal(vireo_map_create(PAGE, &o, &n, NULL), -EEXIST);
    }
    m.hva[0] = m.hva[3 * PAGE] = 1;
    vireo_map_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(huge_pages_or_the_reason),
        cmocka_unit_test(locked_memory_is_counted),
        cmocka_unit_test(seals_hold),
        cmocka_unit_test(advice_is_taken),
        cmocka_unit_test(a_failed_replacement_leaves_no_hole),
    };
    return cmocka_run_group_tests_name("map_linux", tests, NULL, NULL);
}
