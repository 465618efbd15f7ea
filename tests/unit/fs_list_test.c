/* Listings of a shared directory: whole in replies of any size, many at a time, and true, whatever
 * programs of the host do between two of them, within the same tick of the host's clock or later.
 * Of what is changed while a listing is under way, readdir(3) lets it show either. */
#include "fuse_client.h"

#include "base/bits.h"
#include "vireo/host_time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { FILES = 300, PAGE = 4096, ENTRIES = 2100 };

static struct fc_entry entries[ENTRIES]; /* of the last listing */
static unsigned count;

static int setup(void **state)
{
    static struct fc c;
    fc_start(&c, (struct vr_fs_dir_opts){.path = NULL});
    assert_int_equal(mkdir(fc_path(&c, "list"), 0755), 0);
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    fc_fini(*state);
    return 0;
}

static const char *file_name(unsigned i)
{
    static char name[32];
    snprintf(name, sizeof(name), "list/f%u", i);
    return name;
}

static void make_files(struct fc *c, unsigned files)
{
    for (unsigned i = 0; i < files; i++) {
        fc_file(c, file_name(i), "");
    }
}

/* The rest of a listing, from *@off on. */
static void list_on(struct fc *c, uint64_t node, uint64_t fh, bool plus, uint32_t size,
                    uint64_t off)
{
    unsigned got;
    while ((got = fc_list(c, node, fh, plus, size, &off, entries + count, ENTRIES - count))) {
        count += got;
    }
}

static void list_all(struct fc *c, uint64_t node, uint64_t fh, bool plus, uint32_t size)
{
    count = 0;
    list_on(c, node, fh, plus, size, 0);
}

/* The entry of that name; NULL: none. There are never two. */
static const struct fc_entry *listed(const char *name)
{
    const struct fc_entry *found = NULL;
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(entries[i].name, name) == 0) {
            assert_null(found);
            found = &entries[i];
        }
    }
    return found;
}

static bool listed_file(unsigned i)
{
    const struct fc_entry *e = listed(file_name(i) + 5);
    assert_true(!e || e->type == DT_REG);
    return e;
}

/* The last listing is what the host has. */
static void is_true(struct fc *c)
{
    unsigned there = 0;
    DIR *d = opendir(fc_path(c, "list"));
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)); there++) {
        const struct fc_entry *found = listed(e->d_name);
        if (!found) {
            fail_msg("%s is not listed", e->d_name);
        }
        assert_int_equal(found->type, e->d_type);
    }
    closedir(d);
    assert_int_equal(count, there);
}

static void directories_are_listed(void **state)
{
    struct fc *c = *state;
    uint64_t fh, node = fc_node(c, "list");
    make_files(c, FILES);
    assert_int_equal(mkdir(fc_path(c, "list/dir"), 0755), 0);
    for (unsigned plus = 0; plus < 2; plus++) {
        static const uint32_t sizes[] = {200, 1000, PAGE, 65536};
        for (unsigned s = 0; s < VR_COUNT(sizes); s++) {
            assert_int_equal(fc_opendir(c, node, &fh), 0);
            list_all(c, node, fh, plus, sizes[s]);
            assert_int_equal(count, FILES + 3); /* with ".", ".." and "dir" */
            is_true(c);
            list_all(c, node, fh, !plus, sizes[s]); /* once more from the start */
            is_true(c);
            struct fuse_fsync_in sync = {.fh = fh};
            assert_int_equal(fc_call(c, FUSE_FSYNCDIR, node, &sync, sizeof(sync), NULL, 0), 0);
            assert_int_equal(fc_release(c, node, fh, true), 0);
        }
    }
    assert_int_equal(fc_opendir(c, fc_node(c, "list/f1"), &fh), -ENOTDIR);
    assert_int_equal(fc_open(c, node, O_RDONLY, &fh), -EISDIR);
}

/* Offsets that entries gave lead to what followed them, in any order (seekdir(3)). */
static void listings_go_on_anywhere(void **state)
{
    enum { PAGES = 64 };
    struct fc *c = *state;
    uint64_t fh, node = fc_node(c, "list"), off = 0, at[PAGES];
    char first[PAGES][32];
    unsigned pages = 0;
    make_files(c, FILES);
    assert_int_equal(fc_opendir(c, node, &fh), 0);
    for (;; pages++) {
        at[pages] = off;
        if (fc_list(c, node, fh, false, 500, &off, entries, ENTRIES) == 0) {
            break;
        }
        assert_true(pages < PAGES - 1);
        memcpy(first[pages], entries[0].name, sizeof(first[0]));
    }
    for (unsigned i = 0, page = 0; i < 200; i++, page = (page * 5 + 3 + i) % pages) {
        off = at[page];
        assert_true(fc_list(c, node, fh, i % 3 == 0, 500, &off, entries, ENTRIES) > 0);
        assert_string_equal(entries[0].name, first[page]);
    }
    assert_int_equal(fc_release(c, node, fh, true), 0);
}

/* What the host does to names, now: nothing in here waits for its clock to move on. */
static void host_changes(struct fc *c, unsigned round)
{
    char from[256], to[256];
    unsigned i = round % FILES;
    switch (round % 4) {
    case 0:
        fc_file(c, file_name(FILES + round), "");
        break;
    case 1:
        (void)unlink(fc_path(c, file_name(i)));
        break;
    case 2: /* over another one, and then over none */
        snprintf(from, sizeof(from), "%s", fc_path(c, file_name(i)));
        snprintf(to, sizeof(to), "%s", fc_path(c, file_name((i + 7) % FILES)));
        (void)rename(from, to);
        (void)rename(to, from);
        break;
    default: /* a file becomes a folder of its name */
        snprintf(to, sizeof(to), "%s", fc_path(c, file_name(i)));
        assert_true(remove(to) == 0 || errno == ENOENT);
        assert_int_equal(mkdir(to, 0755), 0);
    }
}

static void changes_of_the_host_are_listed_at_once(void **state)
{
    struct fc *c = *state;
    uint64_t fh, held, node = fc_node(c, "list");
    make_files(c, FILES);
    assert_int_equal(fc_opendir(c, node, &held), 0);
    for (unsigned round = 0; round < 60; round++) {
        bool plus = round / 4 % 2;
        uint64_t start = 0; /* room for none: what was read for it is old when it is asked again */
        assert_int_equal(fc_list(c, node, held, plus, 8, &start, entries, ENTRIES), 0);
        host_changes(c, round);
        assert_int_equal(fc_opendir(c, node, &fh), 0);
        list_all(c, node, fh, plus, PAGE);
        is_true(c);
        host_changes(c, round + 1);
        list_all(c, node, fh, plus, PAGE); /* rewinddir(3) */
        is_true(c);
        assert_int_equal(fc_release(c, node, fh, true), 0);
        if (round % 8 == 0) { /* the guest changes something as well */
            struct fuse_entry_out e;
            char name[32];
            snprintf(name, sizeof(name), "g%u", round);
            assert_int_equal(fc_mknod(c, node, name, S_IFREG | 0644, 0, &e), 0);
            host_changes(c, round + 2);
        }
        list_all(c, node, held, !plus, PAGE);
        is_true(c);
    }
    assert_int_equal(fc_release(c, node, held, true), 0);
}

/* Files that are there all the time are listed once. Those that are gone a while before their part
 * is asked for are not, and those that came may be. */
static void changes_while_it_is_listed(void **state)
{
    struct fc *c = *state;
    uint64_t fh, node = fc_node(c, "list");
    for (unsigned round = 0; round < 4; round++) {
        bool plus = round & 1, later = round & 2;
        uint64_t off = 0;
        char from[256], to[256];
        bool given[FILES];
        make_files(c, FILES);
        assert_int_equal(fc_opendir(c, node, &fh), 0);
        count = fc_list(c, node, fh, plus, 1000, &off, entries, ENTRIES);
        for (unsigned i = 0; i < FILES; i++) {
            given[i] = listed_file(i);
        }
        for (unsigned i = 0; i < FILES; i++) {
            snprintf(from, sizeof(from), "%s", fc_path(c, file_name(i)));
            snprintf(to, sizeof(to), "%s", fc_path(c, file_name(FILES + i)));
            if (i % 5 == 1) {
                assert_int_equal(unlink(from), 0);
            } else if (i % 5 == 2) {
                assert_int_equal(rename(from, to), 0);
            } else if (i % 5 == 3) {
                fc_file(c, file_name(2 * FILES + i), "");
            }
        }
        uint64_t until = vireo_monotonic_ns() + UINT64_C(20000000);
        while (later && vireo_monotonic_ns() < until) {
            continue; /* what is not asked for at once must not be trusted */
        }
        list_on(c, node, fh, plus, 1000, off);
        for (unsigned i = 0; i < FILES; i++) {
            bool gone = i % 5 == 1 || i % 5 == 2;
            bool may = !gone || given[i] || !(later || plus);
            assert_true(listed_file(i) ? may : gone && !given[i]);
        }
        list_all(c, node, fh, plus, 1000);
        is_true(c);
        assert_int_equal(fc_release(c, node, fh, true), 0);
        for (unsigned i = 0; i < 3 * FILES; i++) {
            (void)unlink(fc_path(c, file_name(i)));
        }
    }
}

/* More listings under way than there is room to read ahead for; some are never finished. */
static void many_are_listed_at_a_time(void **state)
{
    enum { HANDLES = 100 };
    struct fc *c = *state;
    uint64_t fh[HANDLES], off[HANDLES], node = fc_node(c, "list");
    make_files(c, FILES);
    for (unsigned i = 0; i < HANDLES; i++) {
        off[i] = 0;
        assert_int_equal(fc_opendir(c, node, &fh[i]), 0);
        assert_true(fc_list(c, node, fh[i], i % 2, 1000, &off[i], entries, ENTRIES) > 0);
    }
    for (unsigned i = 0; i < HANDLES; i++) {
        if (i % 3) {
            uint64_t start = 0;
            count = fc_list(c, node, fh[i], i % 2, 1000, &start, entries, ENTRIES);
            assert_int_equal(start, off[i]);
            list_on(c, node, fh[i], i % 2, 1000, start);
            is_true(c);
        }
        if (i % 4) {
            assert_int_equal(fc_release(c, node, fh[i], true), 0);
        }
    }
}

/* Each entry of READDIRPLUS is a look-up that the guest takes back, also of a file it knew. */
static void look_ups_are_counted(void **state)
{
    struct fc *c = *state;
    uint64_t fh, node = fc_node(c, "list"), file;
    make_files(c, 3);
    assert_int_equal(fc_opendir(c, node, &fh), 0);
    for (unsigned i = 0; i < 3; i++) {
        list_all(c, node, fh, true, PAGE);
        list_all(c, node, fh, false, PAGE);
    }
    list_all(c, node, fh, true, PAGE);
    file = listed("f1")->nodeid;
    assert_int_equal(file, fc_node(c, "list/f1"));
    fc_forget(c, file, 4);
    assert_int_equal(fc_getattr(c, file, NULL), 0);
    fc_forget(c, file, 1);
    assert_int_equal(fc_getattr(c, file, NULL), -ESTALE);
    list_all(c, node, fh, true, PAGE);
    assert_int_not_equal(listed("f1")->nodeid, file);
    assert_int_equal(fc_release(c, node, fh, true), 0);
}

/* A name that comes to mean another file is another node, and the old one stays what it was. */
static void another_file_in_its_place(void **state)
{
    struct fc *c = *state;
    uint64_t fh, read, node = fc_node(c, "list");
    struct fuse_entry_out old, new;
    struct fuse_attr a;
    char from[256];
    make_files(c, 3);
    fc_file(c, "list/f1", "old");
    assert_int_equal(fc_lookup(c, node, "f1", &old), 0);
    fc_file(c, "list/temp", "newer");
    snprintf(from, sizeof(from), "%s", fc_path(c, "list/temp"));
    assert_int_equal(rename(from, fc_path(c, "list/f1")), 0);
    assert_int_equal(fc_opendir(c, node, &fh), 0);
    list_all(c, node, fh, true, PAGE);
    assert_int_not_equal(listed("f1")->nodeid, old.nodeid);
    assert_int_equal(fc_lookup(c, node, "f1", &new), 0);
    assert_int_equal(new.nodeid, listed("f1")->nodeid);
    assert_int_equal(new.attr.size, 5);
    assert_int_equal(fc_getattr(c, old.nodeid, &a), 0);
    assert_int_equal(a.nlink, 0);
    assert_int_equal(fc_open(c, old.nodeid, O_RDONLY, &read), 0);
    assert_int_equal(fc_read(c, old.nodeid, read, 0, 10), 3);
    assert_int_equal(unlink(fc_path(c, "list/f1")), 0);
    assert_int_equal(fc_lookup(c, node, "f1", &new), -ENOENT);
    assert_int_equal(symlink("f2", fc_path(c, "list/f1")), 0); /* found, not followed */
    assert_int_equal(fc_lookup(c, node, "f1", &new), 0);
    assert_int_equal(new.attr.mode, S_IFLNK | 0777);
    assert_int_not_equal(new.attr.ino, fc_node(c, "list/f2"));
    assert_int_equal(fc_release(c, node, fh, true), 0);
}

/* The type of f1 in listings, until the server may know it by heart. */
static bool stays(struct fc *c, uint64_t node, uint64_t fh, uint32_t type)
{
    uint64_t until = vireo_monotonic_ns() + UINT64_C(150000000);
    do {
        for (unsigned plus = 0; plus < 2; plus++) {
            list_all(c, node, fh, plus, PAGE);
            if (listed("f1")->type != type || listed("f2")->type != DT_REG) {
                return false;
            }
        }
    } while (vireo_monotonic_ns() < until);
    return true;
}

/* Files that stand for devices and the like are listed as what they are in the guest, which the
 * server keeps in mind: changes are seen at once all the same. */
static void kinds_are_the_guests(void **state)
{
    struct fc *c = *state;
    uint64_t fh, node = fc_node(c, "list");
    struct fuse_entry_out e;
    make_files(c, 3);
    assert_int_equal(unlink(fc_path(c, "list/f1")), 0);
    int r = fc_mknod(c, node, "f1", S_IFCHR | 0600, 259, &e);
    if (r == -EPERM) {
        skip_because("this file system keeps no user attributes");
    }
    assert_int_equal(r, 0);
    assert_int_equal(fc_opendir(c, node, &fh), 0);
    assert_true(stays(c, node, fh, DT_CHR));
    assert_int_equal(setxattr(fc_path(c, "list/f1"), "user.vireo.stat", "0 0 10600 0", 11, 0), 0);
    assert_true(stays(c, node, fh, DT_FIFO));
    assert_int_equal(removexattr(fc_path(c, "list/f1"), "user.vireo.stat"), 0);
    assert_true(stays(c, node, fh, DT_REG));
    assert_int_equal(setxattr(fc_path(c, "list/f1"), "user.vireo.stat", "0 0 140600 0", 12, 0), 0);
    assert_true(stays(c, node, fh, DT_SOCK));
    assert_int_equal(unlink(fc_path(c, "list/f1")), 0);
    assert_int_equal(mkdir(fc_path(c, "list/f1"), 0755), 0);
    assert_true(stays(c, node, fh, DT_DIR));
    assert_int_equal(rmdir(fc_path(c, "list/f1")), 0);
    fc_file(c, "list/f1", "");
    assert_true(stays(c, node, fh, DT_REG));
    assert_int_equal(fc_release(c, node, fh, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(directories_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(listings_go_on_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_of_the_host_are_listed_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_while_it_is_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(many_are_listed_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(look_ups_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(another_file_in_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(kinds_are_the_guests, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
