/* The manager of devices, on a made-up kernel. */
#include "test.h"

#include "platform/linux/manager_priv.h"
#include "vfio_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "sys/bus/pci/devices/"
#define VF      DEVICES "0000:01:10.0"

static const struct vireo_pci_addr ADDR = {.bus = 1, .device = 0x10};

/* The part of the kernel that binds: played after each write. */
static void obey(void *opaque, size_t i, const struct vireo_step *step)
{
    struct kernel *k = opaque;
    const char *file = strrchr(step->path, '/') + 1;
    char path[128], override[64];
    (void)i;
    snprintf(path, sizeof(path), DEVICES "%s/driver", step->text);
    if (step->kind == VIREO_STEP_WRITE && strcmp(file, "unbind") == 0) {
        tree_remove(&k->tree, path);
    } else if (step->kind == VIREO_STEP_WRITE && strcmp(file, "drivers_probe") == 0) {
        char of[128], target[128];
        snprintf(of, sizeof(of), DEVICES "%s/driver_override", step->text);
        snprintf(override, sizeof(override), "%s", tree_read(&k->tree, of));
        override[strcspn(override, "\n")] = 0;
        snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s",
                 *override ? override : "igbvf");
        tree_link(&k->tree, path, target);
    }
}

static struct vireo_manager *manage(struct kernel *k)
{
    struct vr_vfio_sys sys = kernel_sys(k);
    struct vireo_manager_options o = {
        .pci = {.root = k->tree.root, .ids_path = ""}, .step = obey, .opaque = k};
    struct vireo_manager *m;
    struct vr_error err;
    if (vr_manager_create(&o, &sys, &m, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return m;
}

static void host(struct kernel *k)
{
    kernel_make(k);
    tree_link(&k->tree, VF "/driver", "../../../../bus/pci/drivers/igbvf");
}

static size_t count(const struct vireo_manager *m, struct vireo_manager_filter f)
{
    return vireo_manager_list(m, &f, NULL, 0);
}

static void devices_are_filtered(void **state)
{
    struct kernel k = {0};
    struct vireo_pci_addr list[2];
    (void)state;
    host(&k);
    struct vireo_manager *m = manage(&k);
    size_t all = vireo_manager_list(m, NULL, list, 2);
    assert_int_equal(all, vireo_pci_count(vireo_manager_pci(m)));
    assert_true(vireo_pci_addr_compare(list[0], list[1]) < 0);
    assert_int_equal(
        count(m, (struct vireo_manager_filter){.with = VIREO_FILTER_DRIVER, .driver = "igbvf"}), 2);
    assert_int_equal(
        count(m, (struct vireo_manager_filter){.with = VIREO_FILTER_VENDOR | VIREO_FILTER_DEVICE,
                                               .vendor_id = 0x8086,
                                               .device_id = 0x10ca}),
        2);
    assert_int_equal(
        count(m, (struct vireo_manager_filter){.with = VIREO_FILTER_GROUP, .iommu_group = 10}), 1);
    assert_int_equal(
        count(m, (struct vireo_manager_filter){.with = VIREO_FILTER_KIND, .kind = VIREO_PCI_NPU}),
        0);
    size_t now = count(m, (struct vireo_manager_filter){.with = VIREO_FILTER_READY,
                                                        .at_most = VIREO_READY}),
           can = count(m, (struct vireo_manager_filter){.with = VIREO_FILTER_READY,
                                                        .at_most = VIREO_READY_AFTER});
    assert_true(now < can && can < all);
    assert_int_equal(count(m, (struct vireo_manager_filter){.with = VIREO_FILTER_READY,
                                                            .at_most = VIREO_READY_NOT}),
                     all);
    vireo_manager_destroy(m);
    vireo_manager_destroy(NULL);
    kernel_destroy(&k);
}

static void a_device_is_attached_and_given_back(void **state)
{
    struct kernel k = {0};
    struct vireo_vfio *dev = NULL;
    struct vr_error err = {0};
    struct vireo_pci_addr none = {.bus = 9};
    (void)state;
    host(&k);
    struct vireo_manager *m = manage(&k);
    assert_null(vireo_manager_space(m));
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_HOST);
    assert_int_equal(vireo_manager_state(m, none), VIREO_STATE_GONE);
    assert_int_equal(vireo_manager_attach(m, ADDR, false, &dev, &err), 0);
    assert_ptr_equal(vireo_manager_device(m, ADDR), dev);
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_ATTACHED);
    assert_string_equal(vireo_pci_find(vireo_manager_pci(m), ADDR)->driver, "vfio-pci");
    assert_int_equal(vireo_manager_attach(m, ADDR, false, &dev, &err), -EALREADY);
    assert_int_equal(vireo_manager_detach(m, none, &err), -ENODEV);
    /* The host wants it back. */
    int fd = vireo_manager_unplug_fd(m, ADDR);
    uint64_t one = 1;
    assert_int_equal(fd, k.irq_fds[VIREO_VFIO_IRQ_REQ]);
    assert_int_equal(vireo_manager_wait(m, ADDR, 0, &err), 0);
    assert_int_equal(write(fd, &one, sizeof(one)), 8);
    assert_int_equal(vireo_manager_wait(m, ADDR, -1, &err), 1);
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_WANTED);
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_WANTED); /* it stays so */
    assert_int_equal(vireo_manager_detach(m, ADDR, &err), 0);
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_HOST);
    assert_string_equal(tree_read(&k.tree, VF "/driver_override"), "\n");
    assert_int_equal(vireo_manager_unplug_fd(m, ADDR), -1);
    assert_int_equal(vireo_manager_wait(m, ADDR, 0, &err), -ENODEV);
    assert_null(vireo_manager_device(m, ADDR));
    /* Once more, and left to the manager's end. */
    assert_int_equal(vireo_manager_attach(m, ADDR, true, &dev, &err), 0);
    vireo_manager_destroy(m);
    assert_string_equal(tree_read(&k.tree, VF "/driver_override"), "\n");
    kernel_destroy(&k);
}

/* What was with VFIO before stays with it. */
static void what_was_bound_stays_bound(void **state)
{
    struct kernel k = {0};
    struct vireo_vfio *dev;
    (void)state;
    kernel_make(&k); /* bound to vfio-pci */
    struct vireo_manager *m = manage(&k);
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_BOUND);
    assert_int_equal(vireo_manager_attach(m, ADDR, false, &dev, NULL), 0);
    assert_int_equal(vireo_manager_detach(m, ADDR, NULL), 0);
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_BOUND);
    assert_string_equal(tree_read(&k.tree, VF "/driver_override"), "(null)\n"); /* untouched */
    tree_remove(&k.tree, VF "/driver");
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_FREE);
    vireo_manager_destroy(m);
    kernel_destroy(&k);
}

static void a_device_that_goes_needs_no_driver(void **state)
{
    struct kernel k = {0};
    struct vireo_vfio *dev;
    struct vr_error err = {0};
    (void)state;
    host(&k);
    struct vireo_manager *m = manage(&k);
    assert_int_equal(vireo_manager_attach(m, ADDR, false, &dev, NULL), 0);
    tree_remove(&k.tree, VF);
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_GONE);
    assert_int_equal(vireo_manager_detach(m, ADDR, &err), 0);
    assert_int_equal(vireo_manager_attach(m, ADDR, false, &dev, &err), -ENODEV);
    vireo_manager_destroy(m);
    kernel_destroy(&k);
}

/* Whatever fails on the way: the driver gets its device back, and nothing stays open. */
static void failures_give_the_device_back(void **state)
{
    struct kernel k = {0};
    (void)state;
    host(&k);
    struct vireo_manager *m = manage(&k);
    unsigned failed = 0;
    for (k.fail_at = 1;; k.fail_at++) {
        struct vireo_vfio *dev = NULL;
        struct vr_error err = {0};
        k.calls = 0;
        k.fail_code = -EIO;
        int r = vireo_manager_attach(m, ADDR, false, &dev, &err);
        if (r == 0) {
            k.fail_at = 0;
            assert_int_equal(vireo_manager_detach(m, ADDR, NULL), 0);
            break;
        }
        assert_null(dev);
        assert_int_equal(r, -EIO);
        assert_true(err.msg[0] && !strstr(err.msg, "could not get it back"));
        assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_HOST);
        failed++;
    }
    assert_true(failed > 15);
    vireo_manager_destroy(m);
    kernel_destroy(&k);
}

static void without_a_request_interrupt_there_is_no_notice(void **state)
{
    struct kernel k = {.no_req = true};
    struct vireo_vfio *dev;
    struct vr_error err = {0};
    (void)state;
    host(&k);
    struct vireo_manager *m = manage(&k);
    assert_int_equal(vireo_manager_attach(m, ADDR, false, &dev, &err), 0);
    assert_int_equal(vireo_manager_unplug_fd(m, ADDR), -1);
    assert_int_equal(vireo_manager_wait(m, ADDR, 0, &err), -ENOTSUP);
    assert_int_equal(vireo_manager_state(m, ADDR), VIREO_STATE_ATTACHED);
    assert_string_equal(vireo_manager_state_name(VIREO_STATE_WANTED), "wanted");
    vireo_manager_destroy(m);
    kernel_destroy(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_filtered),
        cmocka_unit_test(a_device_is_attached_and_given_back),
        cmocka_unit_test(what_was_bound_stays_bound),
        cmocka_unit_test(a_device_that_goes_needs_no_driver),
        cmocka_unit_test(failures_give_the_device_back),
        cmocka_unit_test(without_a_request_interrupt_there_is_no_notice),
    };
    return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
