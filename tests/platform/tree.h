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

#endif
