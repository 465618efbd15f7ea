/* Graphics cards on the way to a guest: hosts made up from what their makers and kernels tell. */
#include "test.h"

#include "tree.h"
#include "vireo/host_pci.h"
#include <stdio.h>
#include <string.h>

#define DEVICES "sys/bus/pci/devices/"

struct card {
    const char *addr, *ids, *class_code, *driver; /* ids: "0x10de 0x2684" */
    int group;
    bool boot_vga, rom;
    const char *reset_method;
};

static void attr(const struct tree *t, const char *addr, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), DEVICES "%s/%s", addr, name);
    tree_write(t, path, text);
}

static void add(const struct tree *t, const struct card *c)
{
    char path[160], target[96], text[700];
    char vendor[16] = "", device[16] = "";
    assert_int_equal(sscanf(c->ids, "%15s %15s", vendor, device), 2);
    attr(t, c->addr, "vendor", vendor);
    attr(t, c->addr, "device", device);
    attr(t, c->addr, "class", c->class_code);
    attr(t, c->addr, "boot_vga", c->boot_vga ? "1\n" : "0\n");
    attr(t, c->addr, "reset", "");
    if (c->reset_method) {
        attr(t, c->addr, "reset_method", c->reset_method);
    }
    snprintf(text, sizeof(text), "0xe0000000 0xefffffff 0x14220c\n%s%s",
             "0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0x0 0x0\n",
             c->rom ? "0xf7000000 0xf707ffff 0x46200\n" : "0x0 0x0 0x0\n");
    attr(t, c->addr, "resource", text);
    if (c->driver) {
        snprintf(path, sizeof(path), DEVICES "%s/driver", c->addr);
        snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", c->driver);
        tree_link(t, path, target);
    }
    snprintf(path, sizeof(path), DEVICES "%s/iommu_group", c->addr);
    snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%d", c->group);
    tree_link(t, path, target);
    snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/%s", c->group, c->addr);
    tree_link(t, path, "../../../x");
}

/* The verdict on @addr; what is said of it goes to @said. */
static enum vireo_ready judge(const struct tree *t, const char *addr, char said[4000])
{
    struct vireo_pci_options o = {.root = t->root, .ids_path = ""};
    struct vireo_pci *pci = NULL;
    struct vireo_readiness ready;
    struct vireo_pci_addr at;
    size_t len = 0;
    assert_int_equal(vireo_pci_addr_parse(addr, &at, NULL), 0);
    assert_int_equal(vireo_pci_scan(&o, &pci, NULL), 0);
    assert_null(vireo_pci_problem(pci, 0));
    assert_int_equal(vireo_pci_readiness(pci, at, &ready, NULL), 0);
    said[0] = 0;
    assert_true(ready.reason_count < VIREO_READY_REASONS);
    for (size_t i = 0; i < ready.reason_count; i++) {
        const struct vireo_ready_reason *r = &ready.reasons[i];
        assert_true(r->todo[0] && strlen(r->todo) < sizeof(r->todo) - 1);
        assert_true(strlen(r->what) < sizeof(r->what) - 1);
        len += (size_t)snprintf(said + len, 4000 - len, "%s: %s\n", r->what, r->todo);
    }
    vireo_pci_destroy(pci);
    return ready.verdict;
}

static void says(const char *said, const char *what)
{
    if (!strstr(said, what)) {
        fail_msg("no '%s' in:\n%s", what, said);
    }
}

static void says_not(const char *said, const char *what)
{
    if (strstr(said, what)) {
        fail_msg("'%s' in:\n%s", what, said);
    }
}

/* A desktop: one NVIDIA card with sound, USB-C and its power control, all in one group. */
static void nvidia_with_its_companions(void **state)
{
    static const struct card cards[] = {
        {"0000:01:00.0", "0x10de 0x1e84", "0x030000", "nvidia", 1, true, true, "bus"},
        {"0000:01:00.1", "0x10de 0x10f8", "0x040300", "snd_hda_intel", 1, false, false, NULL},
        {"0000:01:00.2", "0x10de 0x1ad8", "0x0c0330", "xhci_hcd", 1, false, false, NULL},
        {"0000:01:00.3", "0x10de 0x1ad9", "0x0c8000", NULL, 1, false, false, NULL},
    };
    struct tree t = tree_empty();
    char said[4000];
    (void)state;
    for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
        add(&t, &cards[i]);
    }
    tree_dir(&t, "sys/bus/pci/drivers/vfio-pci");
    tree_dir(&t, "sys/bus/platform/drivers/simple-framebuffer/simple-framebuffer.0");
    tree_write(&t, "sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
    tree_write(&t, "sys/class/vtconsole/vtcon1/bind", "1\n");
    tree_write(&t, "sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
    tree_write(&t, "sys/class/vtconsole/vtcon0/bind", "0\n");
    assert_int_equal(judge(&t, "1:0", said), VIREO_READY_AFTER);
    says(said, "echo simple-framebuffer.0 > /sys/bus/platform/drivers/simple-framebuffer/unbind");
    says(said, "echo 0 > /sys/class/vtconsole/vtcon1/bind");
    says(said, "nvidia lets go");
    says(said,
         "0000:01:00.1 is its sound (HDMI, DisplayPort), and the host's driver snd_hda_intel");
    says(said, "0000:01:00.2 is its USB-C controller");
    says(said, "0000:01:00.3 is its USB-C power control and goes along");
    says(said, "cd /sys/bus/pci/devices/0000:01:00.0; echo 1 > rom");
    says(said, "no function-level reset, only 'bus'");
    says_not(said, "AMD");
    says_not(said, "VGA cards");
    /* Bound to VFIO, as the user was told, it is ready, and only what is good to know is left. */
    tree_remove(&t, "sys/bus/platform/drivers/simple-framebuffer/simple-framebuffer.0");
    for (unsigned i = 0; i < 4; i++) {
        char path[96];
        snprintf(path, sizeof(path), DEVICES "0000:01:00.%u/driver", i);
        tree_link(&t, path, "../../../bus/pci/drivers/vfio-pci");
    }
    assert_int_equal(judge(&t, "1:0", said), VIREO_READY);
    says_not(said, "framebuffer");
    says_not(said, "vtcon");
    says(said, "goes along");
    tree_destroy(&t);
}

/* Two AMD cards: one that resets and one that does not. */
static void amd_and_its_resets(void **state)
{
    static const struct card cards[] = {
        {"0000:03:00.0", "0x1002 0x67df", "0x030000", "vfio-pci", 3, false, true, "bus"},
        {"0000:03:00.1", "0x1002 0xaaf0", "0x040300", "vfio-pci", 4, false, false, NULL},
        {"0000:04:00.0", "0x1002 0x73bf", "0x030000", "amdgpu", 5, true, false, "flr bus"},
    };
    struct tree t = tree_empty();
    char said[4000];
    (void)state;
    for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
        add(&t, &cards[i]);
    }
    assert_int_equal(judge(&t, "3:0", said), VIREO_READY);
    says(said, "do not come back from a reset");
    says(said, "vendor-reset");
    says(said, "one of 2 VGA cards");
    says_not(said, "function-level");
    says_not(said, "option ROM");
    tree_dir(&t, "sys/module/vendor_reset");
    judge(&t, "3:0", said);
    says(said, "echo device_specific > /sys/bus/pci/devices/0000:03:00.0/reset_method");
    attr(&t, "0000:03:00.0", "reset_method", "device_specific bus\n");
    judge(&t, "3:0", said);
    says_not(said, "reset");
    judge(&t, "4:0", said);
    says(said, "amdgpu has set it up");
    says(said, "no option ROM");
    says_not(said, "reset");
    /* The sound of the first one, in a group of its own, is still of the same card. */
    tree_link(&t, DEVICES "0000:03:00.1/driver", "../../../bus/pci/drivers/snd_hda_intel");
    assert_int_equal(judge(&t, "3:0", said), VIREO_READY_AFTER);
    says(said, "0000:03:00.1 is its sound");
    tree_destroy(&t);
}

static void intel_needs_its_opregion(void **state)
{
    static const struct card igd = {
        "0000:00:02.0", "0x8086 0x5912", "0x030000", "i915", 0, true, true, NULL};
    static const struct card arc = {
        "0000:05:00.0", "0x8086 0x56a0", "0x030000", NULL, 1, false, true, "flr"};
    struct tree t = tree_empty();
    char said[4000];
    (void)state;
    add(&t, &igd);
    add(&t, &arc);
    tree_write(&t, "sys/module/vfio_pci/parameters/disable_vga", "Y\n");
    judge(&t, "0:2", said);
    says(said, "OpRegion");
    says(said, "disable_vga=0");
    judge(&t, "5:0", said);
    says_not(said, "OpRegion");
    tree_destroy(&t);
}

/* Whatever is in those files: no crash, no reason that is cut. */
static void damaged_files_say_nothing(void **state)
{
    static const struct card card = {
        "0000:01:00.0", "0x1002 0x67df", "0x030000", "amdgpu", 1, true, true, NULL};
    static char huge[9000];
    struct tree t = tree_empty();
    char said[4000];
    (void)state;
    memset(huge, 'x', sizeof(huge) - 1);
    add(&t, &card);
    tree_dir(&t, "sys/module/vendor_reset");
    judge(&t, "1:0", said);
    attr(&t, "0000:01:00.0", "reset_method", huge);
    judge(&t, "1:0", said);
    says_not(said, "xxx");
    attr(&t, "0000:01:00.0", "reset_method", "");
    judge(&t, "1:0", said);
    tree_write_bytes(&t, DEVICES "0000:01:00.0/reset_method", "\0\1\2", 3);
    judge(&t, "1:0", said);
    tree_write(&t, "sys/class/vtconsole/vtcon1/name", huge);
    tree_write(&t, "sys/class/vtconsole/vtcon2/name", "frame buffer");
    tree_write(&t, "sys/class/vtconsole/vtcon2/bind", "yes");
    tree_write(&t, "sys/bus/platform/drivers/efi-framebuffer/efi-framebuffer", "");
    tree_write(&t, "sys/bus/platform/drivers/efi-framebuffer/module", "");
    judge(&t, "1:0", said);
    says_not(said, "vtcon");
    says_not(said, "efi-framebuffer");
    tree_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nvidia_with_its_companions),
        cmocka_unit_test(amd_and_its_resets),
        cmocka_unit_test(intel_needs_its_opregion),
        cmocka_unit_test(damaged_files_say_nothing),
    };
    return cmocka_run_group_tests_name("pci_ready_gpu", tests, NULL, NULL);
}
