/* Every virtio device with its host ends, for tests that attack them all alike. */
#ifndef VR_TEST_VIRTIO_VICTIMS_H
#define VR_TEST_VIRTIO_VICTIMS_H

#include "virtio_fakes.h"
#include "virtq_driver.h"

struct vr_chr;

enum {
    VICTIM_BLK,
    VICTIM_NET,
    VICTIM_CONSOLE,
    VICTIM_RNG,
    VICTIM_BALLOON,
    VICTIM_SCSI,
    VICTIM_FS,
    VICTIM_COUNT
};
enum { VICTIM_DISK = 1 << 20 };

/* Where the device's own registers are, and a ROM. */
#define VICTIM_WINDOW UINT64_C(0x10001000)
#define VICTIM_ROM    UINT64_C(0x1000)

struct victim {
    struct rig rig;
    struct vr_loop *loop;
    struct mem_blk disk;
    struct fake_net net;
    struct fake_fs fs;
    struct vr_chr *chr[2];
    struct vr_ram *rom;
    struct vr_region rom_region;
    struct vr_dev *dev;
    struct vd d;
    unsigned kind;
    unsigned queues;
    uint64_t features; /* all that it offers, but for those of the ring */
};

void victim_init(struct victim *v, unsigned kind);
void victim_fini(struct victim *v);
/* (Re)start it with @ring features and everything else it offers. Console ports are open. */
void victim_start(struct victim *v, uint64_t ring, unsigned size);
/* It still serves: restart it, and a good request of each kind works. */
void victim_serves(struct victim *v);
void victim_turn(struct victim *v);
/* For the direction that a queue is not made for, any chain is as good. */
struct vd_buf victim_room(struct victim *v, uint32_t len, bool write);
/* Receive queues are looked at when something is received. */
bool victim_takes_when_kicked(const struct victim *v, unsigned queue);
/* Make the device look at @queue. */
void victim_provoke(struct victim *v, unsigned queue);
/* Run @attack on each queue of each device, started with @ring features; the device must ask for a
 * reset, say so by an interrupt, and serve again. */
void victim_attack(void (*attack)(struct victim *v, unsigned queue), uint64_t ring);

/* The attacks of row 6 that rings of both formats have in common, with @ring features: buffers and
 * indirect tables where there is no RAM; rings that leave RAM while they run (the map changed). */
void victim_attack_by_dma(uint64_t ring);
void victim_lose_rings(uint64_t ring);

#endif
