/* Snapshots of machines: what the files that make them share (vireo/snapshot.h). */
#ifndef VR_CONTROL_SNAPSHOT_H
#define VR_CONTROL_SNAPSHOT_H

#include "control/config.h"
#include "control/snapfile.h"
#include "platform/lock.h"
#include "vireo/snapshot.h"

#include <jansson.h>

struct vr_blk;

#define VR_SNAPSHOT_END ".vsnap"

enum { VR_SNAPSHOT_GRAIN_RAM = 4096, VR_SNAPSHOT_GRAIN_DISK = 64 << 10 };

/* ---- A snapshot that was opened (snapshot_open.c) ---- */

enum { VR_SNAPSHOT_DISKS = VR_VIRT_DISKS + VR_VIRT_DEVICES, VR_SNAPSHOT_ID = 32 };

/* A disk as it was. */
struct vr_snapshot_disk {
    char id[VR_SNAPSHOT_ID]; /* of its device, "disk0"; with the target, "scsi0.3" */
    bool plugged;            /* by a "device" setting; others come first, as the settings do */
    char *path;              /* NULL: a drive without a disc */
    uint64_t size_bytes, mtime_ns;
    bool read_only, contents; /* contents: they are in the snapshot, image "disk<index>" */
    bool hashed;              /* the bytes of a small disk without contents, as one number */
    uint64_t hash;
};

struct vr_snapshot {
    struct vr_snapfile *file; /* with its parents */
    json_t *info;
    struct vr_snapshot_disk disk[VR_SNAPSHOT_DISKS];
    unsigned disk_count;
    uint64_t memory_bytes;
};

/* Open the snapshot at @path and, with @chain, those it is made of. Nothing but what is read is
 * checked. */
int vr_snapshot_open(const char *path, bool chain, struct vr_snapshot **ret_snapshot,
                     struct vr_error *err) VR_MUST;
void vr_snapshot_close(struct vr_snapshot *s); /* NULL is fine */
/* Check every byte of it and its parents; @late: but those that RAM will be a view of. */
int vr_snapshot_verify(struct vr_snapshot *s, bool late, struct vr_error *err) VR_MUST;
/* The configuration in it. */
int vr_snapshot_config(struct vr_snapshot *s, struct vireo_config **ret_config,
                       struct vr_error *err) VR_MUST;
/* Its numbers in hexadecimal digits; @ret_text has room for 33, 17. */
void vr_snapshot_id_text(const uint8_t *id, char *ret_text);
void vr_snapshot_check_text(uint64_t check, char *ret_text);

/* ---- Disks (snapshot_disk.c) ---- */

/* The disks of @vm, devices held (vr_hotplug_hold): those of settings, in order, then those that
 * were plugged. Of each, id and plugged are filled in. */
struct vr_snapshot_ends {
    struct vr_blk *blk[VR_SNAPSHOT_DISKS]; /* NULL: a drive without a disc */
    struct vr_snapshot_disk disk[VR_SNAPSHOT_DISKS];
    unsigned count;
};
void vr_snapshot_ends(struct vireo_vm *vm, struct vr_snapshot_ends *ret_ends);
/* The rest of @ret_disk, as it is now: nothing is in flight. With @contents, they will be in the
 * snapshot. */
int vr_snapshot_disk_note(struct vr_blk *blk, bool contents, struct vr_snapshot_disk *ret_disk,
                          struct vr_error *err) VR_MUST;
int vr_snapshot_disk_put(struct vr_snapfile_writer *w, unsigned index, struct vr_blk *blk,
                         const uint64_t *base, void (*done)(void *opaque, uint64_t bytes),
                         void *opaque, struct vr_error *err) VR_MUST;
/* -ESTALE, -EPROTO: @blk is not as @s has its disk @index, and cannot be made so. */
int vr_snapshot_disk_check(struct vr_snapshot *s, unsigned index, struct vr_blk *blk,
                           struct vr_error *err) VR_MUST;
/* Write the contents in @s over those of @blk. */
int vr_snapshot_disk_get(struct vr_snapshot *s, unsigned index, struct vr_blk *blk,
                         struct vr_error *err) VR_MUST;
/* Before the machine is built: see that the files of its disks are there and as they were; @how is
 * the value of "snapshot-disks". */
int vr_snapshot_disk_files(struct vr_snapshot *s, struct vireo_config *config, const char *how,
                           struct vr_error *err) VR_MUST;

/* ---- What was written since the last one of a chain (snapshot_since.c) ---- */

struct vr_dirty;
struct vr_snapshot_since {
    struct vr_mutex lock;
    struct vr_dirty *dirty; /* counts since the moment of the last child; NULL: none was saved */
    bool known;             /* that one is there, and its number is */
    uint8_t id[VR_SNAPFILE_ID];
    uint64_t turn; /* moments so far */
};
/* The machine stands still, and a child of snapshot number @parent is saved now: pages that may be
 * other than there, a bit each (the caller's); NULL: any. Begins to count, if nobody did.
 * *ret_turn: for vr_snapshot_since_saved. */
uint64_t *vr_snapshot_since_take(struct vireo_vm *vm, const uint8_t *parent, uint64_t *ret_turn);
/* That child is there, and has number @id. */
void vr_snapshot_since_saved(struct vireo_vm *vm, const uint8_t *id, uint64_t turn);
/* How much memory @bits tell of; NULL: all. */
uint64_t vr_snapshot_since_bytes(const struct vireo_vm *vm, const uint64_t *bits);

/* ---- Continuing one in a new process (snapshot.c) ---- */

/* Of a machine that is ended because its snapshot's file turns out to be damaged: VR_REQ_QUIT's. */
enum { VR_SNAPSHOT_DAMAGED = 5 };

/* Open and check the snapshot at @path for a machine that @config is about to make: all of it, or
 * with @late all but what RAM will be a view of. Its disks are seen to ("snapshot-disks" is
 * @disks), which may change their places in @config. */
int vr_snapshot_prepare(const char *path, struct vireo_config *config, const char *disks, bool late,
                        struct vr_snapshot **ret_snapshot, struct vr_error *err) VR_MUST;
/* RAM of the machine to be: a view of the file; false: it is filled when it starts. */
bool vr_snapshot_view(struct vr_snapshot *s, int *ret_fd, uint64_t *ret_off);
/* Load @s into @vm, which was just made of it. @viewed: its RAM is a view of it, which with @late
 * is checked piece by piece as it is needed, and in the background. It is paused. Ends @s, unless
 * it fails. */
int vr_snapshot_continue(struct vr_snapshot *s, struct vireo_vm *vm, bool viewed, bool late,
                         struct vr_error *err) VR_MUST;

/* ---- Where they are (snapshot_store.c) ---- */

/* The file that @text means: a path, if it has a '/' or the ending, or a file is there; else
 * MACHINE/TAG, or TAG of @machine (NULL: none), in the user's folder of snapshots. -EINVAL. */
int vr_snapshot_path(const char *machine, const char *text, char *ret_path, size_t size,
                     struct vr_error *err) VR_MUST;
/* The folder of @machine's snapshots (NULL: of all machines' folders), made when @make. */
int vr_snapshot_folder(const char *machine, bool make, char *ret_path, size_t size,
                       struct vr_error *err) VR_MUST;
/* The last name of @path, without the ending. */
void vr_snapshot_tag(const char *path, char *ret_tag, size_t size);
/* @path with the current folder before it, if it needs one; -ENAMETOOLONG, ... */
int vr_snapshot_absolute(const char *path, char *ret_path, size_t size);
/* [vireo_snapshot_info, ...] of the user's snapshots, of all machines or one. */
int vr_snapshot_list(const char *machine, json_t **ret_list, struct vr_error *err) VR_MUST;
/* May a snapshot be written to @path? -EEXIST: something is there that is none; -EBUSY: others were
 * made of the one that is there, or a child of @parent (NULL: it is none) would be. */
int vr_snapshot_may_replace(const char *path, const struct vr_snapshot *parent,
                            struct vr_error *err) VR_MUST;
/* Begins @path like a snapshot? */
bool vr_snapshot_is(const char *path);

#endif
