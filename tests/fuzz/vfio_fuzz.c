/* Answers of VFIO with chains of capabilities, from any source. */
#include "fuzz.h"

#include "base/bits.h"
#include "platform/linux/vfio_priv.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>

/* The first 4 bytes are where the chain begins; the kernel answers with the rest. */
struct answer {
    const uint8_t *data;
    size_t len;
};

static int fuzz_ioctl(void *opaque, int fd, unsigned long request, void *arg)
{
    const struct answer *a = opaque;
    uint32_t room;
    (void)fd;
    (void)request;
    memcpy(&room, arg, sizeof(room));
    memcpy(arg, a->data, a->len < room ? a->len : room);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint32_t first;
    if (len < sizeof(first)) {
        return 0;
    }
    memcpy(&first, data, sizeof(first));
    data += sizeof(first);
    len -= sizeof(first);
    for (uint16_t id = 0; id < 4; id++) {
        size_t off, left;
        int r = vr_vfio_capability(data, len, 32, first, id, &off, &left);
        KEEPS(r == -ENOENT || r == -EPROTO ||
              (r == 0 && off >= 32 && left >= 8 && off + left == len));
    }
    /* The whole reading of an answer and of a device's regions. */
    struct answer answer = {data, len};
    struct vireo_vfio_space space = {.sys = {.ioctl = fuzz_ioctl, .opaque = &answer}};
    struct vireo_vfio dev = {.space = &space, .name = "fuzz"};
    struct vr_error err = {0};
    int r = vr_vfio_read_regions(&dev, 9, &err);
    KEEPS(r == 0 || err.msg[0]);
    for (size_t i = 0; r == 0 && i < dev.region_count; i++) {
        const struct vireo_vfio_region *region = &dev.regions[i].pub;
        uint64_t end = 0;
        for (size_t w = 0; w < region->window_count; w++) {
            const struct vireo_vfio_window *window = &region->windows[w];
            KEEPS(window->off >= end && window->len && window->off < region->len_bytes);
            end = window->off + window->len;
            KEEPS(end <= vr_align_up(region->len_bytes, vr_vfio_page()));
        }
    }
    vr_vfio_free_regions(&dev);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    struct {
        uint32_t first;
        struct vfio_region_info info;
        struct vfio_info_cap_header head;
        uint32_t nr, reserved;
        struct vfio_region_sparse_mmap_area areas[2];
    } s = {
        .first = 32,
        .info = {.argsz = 80,
                 .flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP |
                          VFIO_REGION_INFO_FLAG_CAPS,
                 .cap_offset = 32,
                 .index = n,
                 .size = 0x8000,
                 .offset = 0x10000},
        .head = {.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1},
        .nr = 2,
        .areas = {{0, 0x2000}, {0x4000, 0x1000}},
    };
    uint8_t *at = buf;
    if (n > 2 || cap < sizeof(s)) {
        return 0;
    }
    /* Without the padding that C puts behind the first member. */
    memcpy(at, &s.first, 4);
    at += 4;
    memcpy(at, &s.info, sizeof(s.info));
    at += sizeof(s.info);
    memcpy(at, &s.head, 16 + sizeof(s.areas));
    return (size_t)(at - buf) + 16 + sizeof(s.areas);
}
