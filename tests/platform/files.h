/* Trees of small files in a temporary directory, as hosts that we do not have. */
#ifndef VR_TEST_FILES_H
#define VR_TEST_FILES_H

#include <stddef.h>

struct tree {
    char root[64];
};

void tree_make(struct tree *tree);
void tree_remove(struct tree *tree);
/* Write @len bytes of @data to @path ("/sys/..."), making directories as needed. */
void tree_data(const struct tree *tree, const char *path, const void *data, size_t len);
void tree_text(const struct tree *tree, const char *path, const char *text);

#endif
