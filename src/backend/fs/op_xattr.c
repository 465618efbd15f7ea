/* Extended attributes. Their names on the host are told in owner.c. */
#include "backend/fs/server.h"
#include "base/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The file and the attribute's name. */
static int xattr_start(struct fs_call *c, struct fs_node **ret_node, char host[FS_XATTR_NAME])
{
    const char *name;
    int r = fs_text(c, &name);
    r = r < 0 ? r : fs_node_get(c, c->h.nodeid, ret_node);
    if (r < 0) {
        return r;
    }
    if (!S_ISREG((*ret_node)->type) && !S_ISDIR((*ret_node)->type)) {
        return -EOPNOTSUPP; /* the host keeps none there */
    }
    return fs_xattr_name(name, host);
}

/* The answer to one who asked for @size bytes; 0: only how many there are. */
static int xattr_reply(struct fs_call *c, const void *buf, size_t len, uint32_t size)
{
    struct fuse_getxattr_out out = {.size = (uint32_t)len};
    return size == 0    ? fs_reply(c, &out, sizeof(out))
           : len > size ? -ERANGE
                        : fs_reply(c, buf, len);
}

int op_getxattr(struct fs_call *c)
{
    const struct fuse_getxattr_in *in = (const void *)c->arg;
    char name[FS_XATTR_NAME];
    struct fs_node *n;
    int r = xattr_start(c, &n, name);
    if (r < 0) {
        return r == -EPERM ? -ENODATA : r;
    }
    size_t size = in->size < VR_JAIL_XATTR_MAX ? in->size : VR_JAIL_XATTR_MAX;
    void *buf = vr_zalloc(size);
    ssize_t len = buf ? vr_jail_xattr_get(n->fd, name, buf, size) : -ENOMEM;
    r = len < 0 ? (int)len : xattr_reply(c, buf, (size_t)len, in->size);
    free(buf);
    return r;
}

int op_listxattr(struct fs_call *c)
{
    const struct fuse_getxattr_in *in = (const void *)c->arg;
    struct fs_node *n;
    int r = fs_node_get(c, c->h.nodeid, &n);
    if (r < 0) {
        return r;
    }
    char *host = vr_zalloc(2 * VR_JAIL_XATTR_MAX), *guest = host ? host + VR_JAIL_XATTR_MAX : NULL;
    ssize_t len = !host ? -ENOMEM : 0;
    if (host && (S_ISREG(n->type) || S_ISDIR(n->type))) {
        len = vr_jail_xattr_list(n->fd, host, VR_JAIL_XATTR_MAX);
        len = len == -EOPNOTSUPP ? 0 : len;
    }
    size_t out = 0;
    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(host + at) + 1) {
        const char *name = fs_xattr_guest(host + at);
        if (name) { /* never longer than on the host */
            memcpy(guest + out, name, strlen(name) + 1);
            out += strlen(name) + 1;
        }
    }
    r = len < 0 ? (int)len : xattr_reply(c, guest, out, in->size);
    free(host);
    return r;
}

int op_setxattr(struct fs_call *c)
{
    const struct fuse_setxattr_in *in = (const void *)c->arg;
    char name[FS_XATTR_NAME];
    struct fs_node *n;
    int r = xattr_start(c, &n, name);
    if (r < 0) {
        return r;
    }
    if (c->extra_len - c->extra_pos != in->size) {
        return -EINVAL;
    }
    return vr_jail_xattr_set(c->d->jail, n->fd, name, c->extra + c->extra_pos, in->size,
                             (int)(in->flags & 3)); /* XATTR_CREATE, XATTR_REPLACE */
}

int op_removexattr(struct fs_call *c)
{
    char name[FS_XATTR_NAME];
    struct fs_node *n;
    int r = xattr_start(c, &n, name);
    return r < 0 ? r : vr_jail_xattr_remove(c->d->jail, n->fd, name);
}
