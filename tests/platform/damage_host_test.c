/* Recorded hosts with a file damaged, each in turn, and with files that come and go while they are
 * read: what is said of the host holds together, or there is a clear error; nothing is left open.
 */
#include "test.h"

#include "tree.h"
#include "vireo/host_pci.h"
#include "vireo/platform.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RACES = 200 };

/* Of sixteen processors that are alike, some files are enough. */
static const struct {
    const char *name;
    unsigned stride;
} trees[] = {
    {"arm64.txt", 1},   {"firecracker.txt", 1}, {"numa.txt", 7},
    {"pc-busy.txt", 2}, {"riscv64.txt", 1},
};

static void has_words(int r, const struct vr_error *err)
{
    assert_int_equal(err->code, r);
    assert_true(err->msg[0] && strlen(err->msg) < sizeof(err->msg) - 1);
}

static void holds_together(const struct vireo_platform *h)
{
    const struct vireo_cpus *cpu = &h->cpu;
    uint32_t on_nodes = 0;
    assert_true(cpu->count && cpu->usable_count && cpu->usable_count <= cpu->count);
    assert_true(cpu->packages && cpu->cores >= 1 && cpu->cores <= cpu->count);
    assert_true(cpu->packages <= cpu->count && cpu->threads_per_core >= 1);
    for (uint32_t i = 0; i < cpu->count; i++) {
        const struct vireo_cpu *c = &cpu->list[i];
        assert_true(i == 0 || c->id > cpu->list[i - 1].id);
        assert_true(c->package < cpu->packages && c->core < cpu->cores && c->capacity <= 1024);
        assert_true(c->kind <= VIREO_CORE_BIG && c->usable);
    }
    for (uint32_t i = 0; i < cpu->cache_count; i++) {
        const struct vireo_cache *c = &cpu->caches[i];
        assert_true(c->level && c->size_bytes && c->count && c->count <= cpu->count);
        assert_true(c->shared_by && c->shared_by <= cpu->count);
        assert_true(i == 0 || c->level >= cpu->caches[i - 1].level);
    }
    for (uint32_t i = 0; i < h->node_count; i++) {
        assert_true(i == 0 || h->nodes[i].id > h->nodes[i - 1].id);
        on_nodes += h->nodes[i].cpu_count;
    }
    assert_true(on_nodes <= cpu->count);
    assert_true(h->memory.total_bytes && h->memory.huge_count <= VIREO_HUGE_SIZES);
    assert_true(memchr(h->os_name, 0, sizeof(h->os_name)) != NULL);
    assert_true(memchr(h->kernel_version, 0, sizeof(h->kernel_version)) != NULL);
}

/* Both return how much was told. */
static unsigned look_at_host(const struct tree *t)
{
    struct vireo_platform *host;
    struct vr_error err = {0};
    unsigned told = 0;
    int r = vireo_platform_read(t->root, &host, &err);
    if (r < 0) {
        has_words(r, &err);
    } else {
        holds_together(host);
        told = host->cpu.count + host->cpu.cache_count + host->node_count + host->memory.huge_count;
        vireo_platform_free(host);
    }
    return told;
}

static unsigned look_at_devices(const struct tree *t)
{
    struct vireo_pci_options o = {.root = t->root, .ids_path = ""};
    struct vireo_pci *pci;
    struct vr_error err = {0};
    unsigned told = 0;
    int r = vireo_pci_scan(&o, &pci, &err);
    if (r < 0) {
        has_words(r, &err);
    } else {
        told = (unsigned)vireo_pci_count(pci);
        vireo_pci_destroy(pci);
    }
    return told;
}

static void any_file_may_be_damaged(void **state)
{
    (void)state;
    unsigned before = tree_open_files();
    for (unsigned n = 0; n < sizeof(trees) / sizeof(trees[0]); n++) {
        struct tree t = tree_replay(trees[n].name);
        struct tree_files files = tree_files(&t);
        unsigned host = look_at_host(&t), devices = look_at_devices(&t);
        assert_true(host > 5 && devices > 5 && files.count > 100);
        for (unsigned i = n; i < files.count; i += trees[n].stride) {
            const char *path = files.paths[i];
            tree_damage(&t, path, (enum tree_damage)(i % TREE_DAMAGES));
            if (strstr(path, "/pci") || strstr(path, "/iommu")) {
                assert_true(look_at_devices(&t) <= devices);
            } else {
                assert_true(look_at_host(&t) <= host + 2); /* a cache unlike the others */
            }
            tree_repair(&t, path);
        }
        assert_int_equal(look_at_host(&t), host);
        assert_int_equal(look_at_devices(&t), devices);
        tree_files_free(&files);
        tree_destroy(&t);
    }
    assert_int_equal(tree_open_files(), before);
}

struct race {
    const struct tree *tree;
    const struct tree_files *files;
    atomic_bool done;
    atomic_uint rounds;
};

/* Files, and the folders that they are in, go away and come back. */
static void *come_and_go(void *opaque)
{
    struct race *r = opaque;
    char folder[512], away[96];
    snprintf(away, sizeof(away), "%s/away", r->tree->root);
    for (unsigned i = 0; !atomic_load(&r->done); i++) {
        const char *path = r->files->paths[i * 7 % r->files->count];
        snprintf(folder, sizeof(folder), "%s", path);
        if (i % 2) {
            *strrchr(folder, '/') = 0;
        }
        if (rename(folder, away) == 0) {
            if (rename(away, folder) != 0) {
                abort();
            }
        }
        atomic_fetch_add(&r->rounds, 1);
    }
    return NULL;
}

static void files_may_come_and_go(void **state)
{
    (void)state;
    unsigned before = tree_open_files();
    struct tree t = tree_replay("pc-busy.txt");
    struct tree_files files = tree_files(&t);
    struct race r = {.tree = &t, .files = &files};
    pthread_t thread;
    unsigned whole = look_at_host(&t) + look_at_devices(&t);
    assert_int_equal(pthread_create(&thread, NULL, come_and_go, &r), 0);
    for (unsigned i = 0; i < RACES || atomic_load(&r.rounds) < RACES; i++) {
        look_at_host(&t);
        look_at_devices(&t);
    }
    atomic_store(&r.done, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(look_at_host(&t) + look_at_devices(&t), whole);
    tree_files_free(&files);
    tree_destroy(&t);
    assert_int_equal(tree_open_files(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_file_may_be_damaged),
        cmocka_unit_test(files_may_come_and_go),
    };
    return cmocka_run_group_tests_name("damage_host", tests, NULL, NULL);
}
