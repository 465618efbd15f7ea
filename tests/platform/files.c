#include "files.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void tree_make(struct tree *tree)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(tree->root, sizeof(tree->root), "%.40s/vireo-tree.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(tree->root));
}

static int tree_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void tree_remove(struct tree *tree)
{
    assert_int_equal(nftw(tree->root, tree_remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void tree_data(const struct tree *tree, const char *path, const void *data, size_t len)
{
    char full[512];
    snprintf(full, sizeof(full), "%s%s", tree->root, path);
    for (char *p = full + strlen(tree->root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *p = '/';
    }
    FILE *f = fopen(full, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

void tree_text(const struct tree *tree, const char *path, const char *text)
{
    tree_data(tree, path, text, strlen(text));
}
