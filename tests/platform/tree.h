/* A host's sysfs, rebuilt below a temporary directory from what tools/record_sysfs.sh recorded. */
#ifndef VR_TEST_TREE_H
#define VR_TEST_TREE_H

struct tree {
    char root[64];
};

/* An empty one, or tests/platform/trees/@name. A failure ends the test. */
struct tree tree_empty(void);
struct tree tree_replay(const char *name);
/* Change it; paths are relative to its root, folders are made. */
void tree_write(const struct tree *t, const char *path, const char *text);
void tree_write_bytes(const struct tree *t, const char *path, const void *bytes, unsigned len);
void tree_link(const struct tree *t, const char *path, const char *target); /* replaces */
void tree_dir(const struct tree *t, const char *path);
void tree_remove(const struct tree *t, const char *path); /* with all that is in it */
/* The file's text, at most 255 bytes, until the next call. */
const char *tree_read(const struct tree *t, const char *path);
void tree_destroy(struct tree *t);

/* All files and links below the root. */
struct tree_files {
    char **paths; /* absolute */
    unsigned count;
};
struct tree_files tree_files(const struct tree *t);
void tree_files_free(struct tree_files *files);
/* How many files this process has open. */
unsigned tree_open_files(void);

enum tree_damage {
    TREE_EMPTY,
    TREE_HUGE,   /* a megabyte of digits */
    TREE_BINARY, /* NUL and what is no UTF-8 */
    TREE_FOLDER,
    TREE_FIFO, /* that nobody writes: a reader that waits hangs */
    TREE_LOOP, /* a link to itself */
    TREE_MISSING,
    TREE_NUMBER, /* one that fits nowhere */
    TREE_DAMAGES,
};
/* Put something else where the file at @path (of tree_files) is; and the file back, before the next
 * is damaged. */
void tree_damage(const struct tree *t, const char *path, enum tree_damage damage);
void tree_repair(const struct tree *t, const char *path);

#endif
