#include "test.h"

#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *tree_path(const struct tree *t, const char *path)
{
    size_t size = strlen(t->root) + strlen(path) + 2;
    char *full = malloc(size);
    assert_non_null(full);
    assert_null(strstr(path, ".."));
    assert_true(snprintf(full, size, "%s/%s", t->root, path) > 0);
    return full;
}

static void tree_parents(char *full)
{
    for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

struct tree tree_empty(void)
{
    struct tree t;
    const char *dir = getenv("TMPDIR");
    assert_true(snprintf(t.root, sizeof(t.root), "%s/vireo-tree-XXXXXX", dir ? dir : "/tmp") <
                (int)sizeof(t.root));
    assert_non_null(mkdtemp(t.root));
    assert_int_equal(chmod(t.root, 0755), 0);
    return t;
}

void tree_write_bytes(const struct tree *t, const char *path, const void *bytes, unsigned len)
{
    char *full = tree_path(t, path);
    tree_parents(full);
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
    free(full);
}

void tree_write(const struct tree *t, const char *path, const char *text)
{
    tree_write_bytes(t, path, text, (unsigned)strlen(text));
}

void tree_link(const struct tree *t, const char *path, const char *target)
{
    char *full = tree_path(t, path);
    tree_parents(full);
    unlink(full);
    assert_int_equal(symlink(target, full), 0);
    free(full);
}

void tree_dir(const struct tree *t, const char *path)
{
    char *full = tree_path(t, path);
    tree_parents(full);
    assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
    free(full);
}

static int tree_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void tree_remove(const struct tree *t, const char *path)
{
    char *full = tree_path(t, path);
    assert_int_equal(nftw(full, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(full);
}

const char *tree_read(const struct tree *t, const char *path)
{
    static char text[256];
    char *full = tree_path(t, path);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, text, sizeof(text) - 1);
    assert_true(len >= 0);
    text[len] = 0;
    close(fd);
    free(full);
    return text;
}

void tree_destroy(struct tree *t)
{
    assert_int_equal(nftw(t->root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Undo \n, \t and \\ in place. */
static void tree_unescape(char *text)
{
    char *to = text;
    for (const char *c = text; *c; c++) {
        if (c[0] == '\\' && c[1]) {
            c++;
            *to++ = *c == 'n' ? '\n' : *c == 't' ? '\t' : *c;
        } else {
            *to++ = *c;
        }
    }
    *to = 0;
}

static void tree_hex(const struct tree *t, const char *path, const char *hex)
{
    unsigned char bytes[4096];
    unsigned len = 0, v;
    for (; len < sizeof(bytes) && sscanf(hex, "%2x", &v) == 1; hex += 2) {
        bytes[len++] = (unsigned char)v;
    }
    tree_write_bytes(t, path, bytes, len);
}

struct tree tree_replay(const char *name)
{
    struct tree t = tree_empty();
    char *file = NULL, *line = NULL;
    size_t room = 0;
    unsigned entries = 0;
    assert_true(asprintf(&file, "%s/%s", getenv("VIREO_TREES"), name) > 0);
    FILE *f = fopen(file, "re");
    assert_non_null(f);
    for (ssize_t len; (len = getline(&line, &room, f)) > 0;) {
        char *rest = line, *kind, *path;
        line[len - 1] = line[len - 1] == '\n' ? 0 : line[len - 1];
        if (*line == '#') {
            continue;
        }
        kind = strsep(&rest, "\t");
        path = strsep(&rest, "\t");
        assert_non_null(path);
        rest = rest ? rest : "";
        switch (*kind) {
        case 't':
            tree_unescape(rest);
            tree_write(&t, path, rest);
            break;
        case 'b':
            tree_hex(&t, path, rest);
            break;
        case 'e':
            tree_write(&t, path, "");
            break;
        case 'l':
            tree_link(&t, path, rest);
            break;
        case 'd':
            tree_dir(&t, path);
            break;
        default:
            fail_msg("%s: unknown line '%s'", name, kind);
        }
        entries++;
    }
    assert_true(entries > 0);
    fclose(f);
    free(line);
    free(file);
    return t;
}

/* nftw(3) takes no argument for its function. */
static struct tree_files tree_found;

static int tree_note(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (kind == FTW_F || kind == FTW_SL || kind == FTW_SLN) {
        tree_found.paths =
            realloc(tree_found.paths, (tree_found.count + 1) * sizeof(*tree_found.paths));
        assert_non_null(tree_found.paths);
        tree_found.paths[tree_found.count++] = strdup(path);
    }
    return 0;
}

struct tree_files tree_files(const struct tree *t)
{
    tree_found = (struct tree_files){.count = 0};
    assert_int_equal(nftw(t->root, tree_note, 16, FTW_PHYS), 0);
    return tree_found;
}

void tree_files_free(struct tree_files *files)
{
    for (unsigned i = 0; i < files->count; i++) {
        free(files->paths[i]);
    }
    free(files->paths);
    *files = (struct tree_files){.count = 0};
}

unsigned tree_open_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

static const char *tree_kept(const struct tree *t, char buf[96])
{
    assert_true(snprintf(buf, 96, "%s/kept", t->root) < 96);
    return buf;
}

void tree_damage(const struct tree *t, const char *path, enum tree_damage damage)
{
    static const char binary[] = "\0\1\2\xff\xfe\n\0";
    static const char number[] = "-99999999999\n";
    static char digits[1 << 20];
    char kept[96];
    assert_int_equal(rename(path, tree_kept(t, kept)), 0);
    if (damage == TREE_FOLDER) {
        assert_int_equal(mkdir(path, 0755), 0);
    } else if (damage == TREE_FIFO) {
        assert_int_equal(mkfifo(path, 0644), 0);
    } else if (damage == TREE_LOOP) {
        assert_int_equal(symlink(path, path), 0);
    } else if (damage != TREE_MISSING) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        memset(digits, '7', sizeof(digits));
        const char *what = damage == TREE_BINARY ? binary : damage == TREE_NUMBER ? number : digits;
        size_t len = damage == TREE_BINARY   ? sizeof(binary)
                     : damage == TREE_NUMBER ? strlen(number)
                     : damage == TREE_HUGE   ? sizeof(digits)
                                             : 0;
        assert_int_equal(write(fd, what, len), len);
        close(fd);
    }
}

void tree_repair(const struct tree *t, const char *path)
{
    char kept[96];
    assert_true(remove(path) == 0 || errno == ENOENT);
    assert_int_equal(rename(tree_kept(t, kept), path), 0);
}
