/* Every file of a recorded host, damaged in every way: whatever looks at the host's devices gives
 * an answer or a clear error, and leaves nothing open. */
#include "test.h"

#include "tree.h"
#include "vireo/host_manager.h"
#include "vireo/host_mdev.h"
#include "vireo/host_sriov.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 3 };

static void has_words(int r, const struct vr_error *err)
{
    if (r < 0) {
        assert_int_equal(err->code, r);
        assert_true(err->msg[0] && strlen(err->msg) < sizeof(err->msg) - 1);
    }
}

static void look_at_device(struct vireo_manager *m, const struct vireo_pci *pci,
                           struct vireo_pci_addr addr)
{
    struct vireo_readiness ready;
    struct vr_error err = {0};
    struct vireo_plan *plan;
    struct vireo_vf vfs[8];
    size_t count;
    has_words(vireo_pci_readiness(pci, addr, &ready, &err), &err);
    assert_true(ready.reason_count <= VIREO_READY_REASONS);
    assert_true(vireo_manager_state(m, addr) <= VIREO_STATE_GONE);
    has_words(vireo_sriov_list(pci, addr, vfs, 8, &count, &err), &err);
    for (unsigned what = 0; what < 4; what++) {
        int r = what == 0   ? vireo_plan_vfio_bind(pci, addr, true, &plan, &err)
                : what == 1 ? vireo_plan_vfio_unbind(pci, addr, false, &plan, &err)
                : what == 2 ? vireo_plan_sriov_set(pci, addr, 3, &plan, &err)
                            : vireo_plan_sriov_delete_used(pci, addr, &plan, &err);
        has_words(r, &err);
        if (r == 0) {
            vireo_plan_destroy(plan);
        }
    }
}

static void look_at_all(const struct tree *t)
{
    struct vireo_manager_options o = {.pci = {.root = t->root, .ids_path = ""}};
    struct vireo_vfio_options vfio = {.root = t->root};
    struct vireo_vfio_space *space;
    struct vireo_manager *m;
    struct vr_error err = {0};
    size_t count;
    int r = vireo_manager_create(&o, &m, &err);
    has_words(r, &err);
    for (size_t i = 0; r == 0 && i < vireo_pci_count(vireo_manager_pci(m)); i++) {
        look_at_device(m, vireo_manager_pci(m), vireo_pci_at(vireo_manager_pci(m), i)->addr);
    }
    if (r == 0) {
        vireo_manager_destroy(m);
    }
    has_words(vireo_mdev_types(t->root, NULL, 0, &count, &err), &err);
    has_words(vireo_mdev_list(t->root, NULL, 0, &count, &err), &err);
    /* Files are no VFIO. */
    r = vireo_vfio_space_create(&vfio, &space, &err);
    assert_true(r < 0);
    has_words(r, &err);
}

static void any_file_may_be_damaged(void **state)
{
    struct tree t = tree_replay("q35.txt");
    struct tree_files files;
    (void)state;
    tree_write(&t, "dev/vfio/vfio", "");
    tree_write(&t, "sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/available_instances", "3");
    files = tree_files(&t);
    assert_true(files.count > 300);
    look_at_all(&t);
    unsigned before = tree_open_files();
    for (unsigned i = 0; i < files.count * ROUNDS; i++) {
        unsigned at = i % files.count;
        tree_damage(&t, files.paths[at],
                    (enum tree_damage)((i + 3 * (i / files.count)) % TREE_DAMAGES));
        look_at_all(&t);
        tree_repair(&t, files.paths[at]);
    }
    tree_files_free(&files);
    assert_int_equal(tree_open_files(), before);
    tree_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_file_may_be_damaged)};
    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
