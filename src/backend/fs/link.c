/* Symbolic links. Those of the guest's root are links on the host as well; the host keeps no
 * attributes of links, so one of another owner is a file that holds the text (owner.c). */
#include "backend/fs/server.h"
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The text of @n, which is of one or the other kind. */
static ssize_t link_text(struct fs_call *c, struct fs_node *n, char *text, size_t size)
{
    struct stat st;
    struct fs_owner o;
    int fd, r = vr_jail_stat(n->fd, &st);
    if (r < 0) {
        return r;
    }
    if (S_ISLNK(st.st_mode)) {
        return vr_jail_readlink(n->fd, text, size);
    }
    fs_owner_get(c->d, n->fd, &st, &o);
    r = S_ISLNK(o.mode) ? fs_fd_take(c->s) : -EINVAL;
    if (r < 0) {
        return r;
    }
    ssize_t len = vr_jail_reopen(c->d->jail, n->fd, O_RDONLY, &fd);
    if (len == 0) {
        len = pread(fd, text, size, 0);
        len = len < 0 ? -errno : len;
        vr_file_close(fd);
    }
    fs_fd_give(c->d);
    return len;
}

int op_readlink(struct fs_call *c)
{
    struct fs_node *n;
    char text[VR_JAIL_LINK_MAX];
    int r = fs_node_get(c, c->h.nodeid, &n);
    ssize_t len = r < 0 ? r : link_text(c, n, text, sizeof(text));
    return len < 0 ? (int)len : fs_reply(c, text, (size_t)len);
}

int fs_link_write(int fd, const char *target)
{
    size_t len = strlen(target);
    ssize_t got = pwrite(fd, target, len, 0);
    return got < 0 ? -errno : (size_t)got < len ? -ENOSPC : 0;
}

/* Put the file @temp in the place of @n, which must be @dir/@name still; @temp is gone then. */
static int link_swap(struct fs_call *c, struct fs_node *n, struct fs_node *dir, const char *name,
                     const char *temp)
{
    struct vr_jail *jail = c->d->jail;
    struct stat st;
    int fd, r = vr_jail_rename(jail, dir->fd, temp, dir->fd, name, VR_JAIL_EXCHANGE);
    if (r < 0) {
        return r;
    }
    r = vr_jail_find(jail, dir->fd, temp, &fd, &st);
    if (r == 0) {
        vr_file_close(fd);
        r = st.st_dev == n->dev && st.st_ino == n->ino ? 0 : -ESTALE;
    }
    if (r < 0) { /* somebody was quicker: it is another file */
        (void)!vr_jail_rename(jail, dir->fd, temp, dir->fd, name, VR_JAIL_EXCHANGE);
    }
    return r;
}

/* @n is from now on what stands in its place. */
static int link_known(struct fs_call *c, struct fs_node *n, struct fs_node *dir, const char *name)
{
    struct stat st;
    int fd, r = vr_jail_find(c->d->jail, dir->fd, name, &fd, &st);
    if (r == 0) {
        r = fs_node_replace(c, n, fd);
        vr_file_close(fd);
    }
    return r;
}

int fs_link_give(struct fs_call *c, struct fs_node *n, const struct fs_owner *owner)
{
    char text[VR_JAIL_LINK_MAX + 1], temp[40], *name;
    struct vr_jail *jail = c->d->jail;
    struct fs_node *dir;
    struct stat st;
    int fd = -1, r = vr_jail_stat(n->fd, &st);
    if (r < 0 || st.st_nlink != 1 || !vr_jail_has_xattrs(jail)) {
        return r < 0 ? r : -EPERM;
    }
    ssize_t len = link_text(c, n, text, sizeof(text) - 1);
    r = len < 0 ? (int)len : fs_node_where(c, n, &dir, &name);
    if (r < 0) {
        return r;
    }
    text[len] = '\0';
    snprintf(temp, sizeof(temp), ".vireo-link-%" PRIx64, n->id);
    r = fs_fd_take(c->s);
    if (r < 0) {
        free(name);
        return r;
    }
    r = vr_jail_create(jail, dir->fd, temp, O_RDWR, fs_owner_host_mode(owner->mode), &fd);
    if (r == 0) {
        r = fs_link_write(fd, text);
        r = r < 0 ? r : fs_owner_set(c->d, fd, owner, true);
        r = r < 0 ? r : link_swap(c, n, dir, name, temp);
        (void)!vr_jail_unlink(jail, dir->fd, temp, false);
        r = r < 0 ? r : link_known(c, n, dir, name);
        vr_file_close(fd);
    }
    fs_fd_give(c->d);
    free(name);
    return r;
}
