/* What is found out of this host makes sense. */
#include "os.h"
#include "test.h"

#include "base/bits.h"
#include "platform/host.h"
#include "vireo/host_thread.h"
#include "vireo/platform.h"
#include <string.h>
#include <unistd.h>

enum { LOOKERS = 8 };

static void look(void *arg)
{
    const struct vireo_platform *h;
    assert_int_equal(vireo_platform_get(&h, NULL), 0);
    assert_non_null(vireo_platform_caps());
    (void)vireo_host_os();
    *(const struct vireo_platform **)arg = h;
}

/* First in this process: the threads race for the first look. */
static void all_threads_see_one_host(void **state)
{
    struct vireo_thread *threads[LOOKERS];
    const struct vireo_platform *seen[LOOKERS];
    (void)state;
    for (unsigned i = 0; i < LOOKERS; i++) {
        assert_int_equal(vireo_thread_create("look", look, (void *)&seen[i], &threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < LOOKERS; i++) {
        vireo_thread_join(threads[i]);
        assert_ptr_equal(seen[i], seen[0]);
    }
}

static void this_host_makes_sense(void **state)
{
    const struct vireo_platform *h;
    const struct vr_cpu_id *id, *again;
    struct vireo_memory now;
    (void)state;
    assert_int_equal(vireo_platform_get(&h, NULL), 0);
    assert_int_equal(vr_host_cpu_id(&id, NULL), 0);
    assert_int_equal(vr_host_cpu_id(&again, NULL), 0);
    assert_ptr_equal(again, id);
    assert_int_equal(id->feature_count, h->cpu.feature_count);
    assert_int_equal(h->os, vireo_host_os());
    assert_int_equal(h->cpu.arch, vireo_host_arch());
    assert_true(h->cpu.count >= 1 && h->cpu.usable_count <= h->cpu.count);
    assert_true(h->cpu.packages >= 1 && h->cpu.cores >= h->cpu.packages);
    assert_int_equal(h->memory.page_bytes, os_page());
    assert_int_equal(vireo_platform_memory(&now, NULL), 0);
    assert_int_equal(now.total_bytes, h->memory.total_bytes);
    assert_true(now.available_bytes <= now.total_bytes);
    for (uint32_t i = 0; i < h->cpu.feature_count; i++) {
        assert_true(vireo_platform_has(h, h->cpu.features[i]));
        assert_true(vr_cpu_id_has(id, h->cpu.features[i]));
    }
    assert_false(vireo_platform_has(h, "telepathy") || vr_cpu_id_has(id, "telepathy"));
    assert_string_equal(vireo_os_name((enum vireo_os)99), "unknown");
    assert_string_equal(vireo_arch_name(VIREO_ARCH_ARM64), "arm64");
}

/* What every processor of its kind has, and what follows from what. */
static void processors_are_known(void **state)
{
    static const struct {
        enum vireo_arch arch;
        const char *have, *needs;
    } rules[] = {
        {VIREO_ARCH_X86_64, NULL, "sse2"},  {VIREO_ARCH_X86_64, NULL, "syscall"},
        {VIREO_ARCH_X86_64, "avx2", "avx"}, {VIREO_ARCH_X86_64, "avx512f", "avx2"},
        {VIREO_ARCH_ARM64, NULL, "fp"},     {VIREO_ARCH_ARM64, NULL, "asimd"},
        {VIREO_ARCH_ARM64, "sve2", "sve"},  {VIREO_ARCH_ARM64, "asimdhp", "fphp"},
        {VIREO_ARCH_RISCV64, NULL, "i"},    {VIREO_ARCH_RISCV64, NULL, "m"},
        {VIREO_ARCH_RISCV64, NULL, "a"},    {VIREO_ARCH_RISCV64, "d", "f"},
    };
    const struct vireo_platform *h;
    unsigned checked = 0;
    (void)state;
    assert_int_equal(vireo_platform_get(&h, NULL), 0);
    for (unsigned i = 0; i < VR_COUNT(rules); i++) {
        if (rules[i].arch == h->cpu.arch &&
            (!rules[i].have || vireo_platform_has(h, rules[i].have))) {
            assert_true(vireo_platform_has(h, rules[i].needs));
            checked++;
        }
    }
    if (h->cpu.arch == VIREO_ARCH_UNKNOWN) {
        skip_because("Vireo knows nothing of this processor");
    }
    assert_true(checked >= 2 && h->cpu.virt_name[0]);
}

static void caps_say_why(void **state)
{
    const struct vireo_caps *c = vireo_platform_caps();
    const struct vireo_ability *all[] = {
        &c->kvm, &c->hvf, &c->whpx, &c->io_uring, &c->counters, &c->protection_keys, &c->jit};
    (void)state;
    assert_ptr_equal(c, vireo_platform_caps());
    for (unsigned i = 0; i < VR_COUNT(all); i++) {
        assert_true(strlen(all[i]->detail) > 5);
        assert_true(all[i]->present || !all[i]->works);
    }
    assert_int_equal(c->has_kvm, c->kvm.works);
    assert_int_equal(c->accelerated, c->has_kvm || c->has_hvf || c->has_whpx);
    if (access("/dev/kvm", F_OK) != 0) {
        assert_false(c->kvm.present);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_threads_see_one_host),
        cmocka_unit_test(this_host_makes_sense),
        cmocka_unit_test(processors_are_known),
        cmocka_unit_test(caps_say_why),
    };
    return cmocka_run_group_tests_name("self", tests, NULL, NULL);
}
