/*
 * Which pages of guest RAM were written: for incremental snapshots, live migration, and whoever
 * else wants to copy memory that is in use.
 *
 *     vr_dirty_start(m, &d, err);                 from here on writes count
 *     ... copy all of memory ...
 *     for (;;) {
 *         vr_dirty_fetch(d);                      what was written until now
 *         for (each memory i)
 *             for (page = 0; (n = vr_dirty_take(d, i, &page, MAX)) != 0; page += n)
 *                 copy pages [page, page + n) of vr_dirty_ram(d, i)
 *     }
 *     vr_dirty_stop(d);
 *
 * What holds: a write that the copy does not show is found by a later fetch. With the vCPUs halted
 * and the devices quiesced, a fetch finds the last of them. A page may be found that was written
 * with what it held before, or not quite at last.
 *
 * How: a page that nobody wrote since the last fetch has VR_PAGE_CLEAN among its flags. All writers
 * look at the flags: devices and page walks after they wrote (vr_ram_wrote), CPUs before they note
 * in a TLB or a mirror that they may write the page without looking (vr_ram_will_write). A fetch
 * sets the flag again, and has every vCPU forget such notes (vr_machine_protect) before it returns.
 * Without anybody who counts, no page has the flag, and nothing costs anything.
 *
 * Several may count at a time; each has an account of its own. It covers the RAM that the machine
 * has when it starts to count, not ROM.
 *
 * Threads: each account is used by one thread at a time, but vr_dirty_drop; never by the machine's
 * own threads or its loop's, nor with a device's lock held (a fetch waits for vCPUs, which may wait
 * for those). `change` may be held.
 */
#ifndef VR_CORE_DIRTY_H
#define VR_CORE_DIRTY_H

#include "core/machine.h"

struct vr_dirty;

/* Count from now on; nothing is in the account yet. -ENOMEM. Stop before the machine is destroyed
 * (NULL is fine). */
int vr_dirty_start(struct vr_machine *m, struct vr_dirty **ret_dirty, struct vr_error *err) VR_MUST;
void vr_dirty_stop(struct vr_dirty *d);

/* The memories that count: by name and index, in an order that two machines made alike share. */
unsigned vr_dirty_ram_count(const struct vr_dirty *d);
struct vr_ram *vr_dirty_ram(const struct vr_dirty *d, unsigned i);
const char *vr_dirty_ram_name(const struct vr_dirty *d, unsigned i);

/* Put what was written since the last fetch into the account; returns how many pages that were. */
uint64_t vr_dirty_fetch(struct vr_dirty *d);
/* Pages in the account. */
uint64_t vr_dirty_count(struct vr_dirty *d);
/* Take the first run of pages in the account at or after *page of memory @i out of it: *page
 * becomes its first, and how many there are (at most @max) is returned; 0: there is none. */
uint64_t vr_dirty_take(struct vr_dirty *d, unsigned i, uint64_t *page, uint64_t max);
/* Take all of memory @i out of the account: a bit for each page, whole words, becomes @bits. */
void vr_dirty_take_all(struct vr_dirty *d, unsigned i, uint64_t *bits);
/* Put [page, page + count) of memory @i into the account. */
void vr_dirty_add(struct vr_dirty *d, unsigned i, uint64_t page, uint64_t count);
/* Nobody wants to see what [off, off + len) of @ram held at the owner's last fetch, or when it
 * began to count: the whole pages in it leave the account; returns how many were there. What was
 * written to them since then comes with the next fetch as ever. Any thread. */
uint64_t vr_dirty_drop(struct vr_dirty *d, const struct vr_ram *ram, uint64_t off, uint64_t len);

#endif
