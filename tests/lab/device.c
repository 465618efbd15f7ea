/*
 * What a program does with a device that VFIO has, by the public API only (vireo/host_vfio.h). Runs
 * inside of a lab host.
 *
 *   device edu ADDRESS [WAY]    QEMU's teaching device (QEMU docs/specs/edu.rst): it computes, it
 *                               raises its interrupt, and it copies memory where it was let
 *   device hold ADDRESS [WAY]   holds the device until the host wants it back
 */
#include "vireo/host_vfio.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    EDU_ID,
    EDU_LIVE = 0x04,
    EDU_FACTORIAL = 0x08,
    EDU_STATUS = 0x20,
    EDU_IRQ_STATUS = 0x24,
    EDU_IRQ_RAISE = 0x60,
    EDU_IRQ_ACK = 0x64,
    EDU_DMA_FROM = 0x80,
    EDU_DMA_TO = 0x88,
    EDU_DMA_LEN = 0x90,
    EDU_DMA_COMMAND = 0x98,
    EDU_BUFFER = 0x40000,
    EDU_BUFFER_LEN = 4096,
    EDU_DMA_GO = 1,
    EDU_DMA_TO_MEMORY = 2,
    IOVA = 0x100000,
    WAIT_MS = 20000,
};

static struct vr_error err;

static void must(int r, const char *what)
{
    if (r < 0) {
        fprintf(stderr, "device: %s: %s (%d)\n", what, err.msg, r);
        exit(1);
    }
}

static void check(bool right, const char *what)
{
    if (!right) {
        fprintf(stderr, "device: wrong: %s\n", what);
        exit(1);
    }
    printf("%s\n", what);
}

static uint64_t get(struct vireo_vfio *dev, uint64_t off, unsigned width)
{
    uint64_t val;
    must(vireo_vfio_read(dev, VIREO_VFIO_BAR0, off, width, &val, &err), "reading BAR 0");
    return val;
}

static void put(struct vireo_vfio *dev, uint64_t off, unsigned width, uint64_t val)
{
    must(vireo_vfio_write(dev, VIREO_VFIO_BAR0, off, width, val, &err), "writing BAR 0");
}

/* Let the device be bus master: bit 2 of the command register, with memory decoding. */
static void master(struct vireo_vfio *dev)
{
    uint64_t command;
    must(vireo_vfio_read(dev, VIREO_VFIO_CONFIG, 4, 2, &command, &err), "reading the command");
    must(vireo_vfio_write(dev, VIREO_VFIO_CONFIG, 4, 2, command | 6, &err), "writing it");
}

static bool heard(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t count;
    return poll(&p, 1, timeout_ms) == 1 && read(fd, &count, sizeof(count)) == sizeof(count);
}

static void copy(struct vireo_vfio *dev, uint64_t from, uint64_t to, uint64_t command)
{
    time_t end = time(NULL) + WAIT_MS / 1000;
    put(dev, EDU_DMA_FROM, 8, from);
    put(dev, EDU_DMA_TO, 8, to);
    put(dev, EDU_DMA_LEN, 8, EDU_BUFFER_LEN);
    put(dev, EDU_DMA_COMMAND, 8, command);
    while (get(dev, EDU_DMA_COMMAND, 8) & EDU_DMA_GO) {
        if (time(NULL) > end) {
            fprintf(stderr, "device: its copy does not end\n");
            exit(1);
        }
    }
}

static void edu(struct vireo_vfio_space *space, struct vireo_vfio *dev)
{
    unsigned char *near =
        mmap(NULL, 2 * EDU_BUFFER_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *far = near + EDU_BUFFER_LEN;
    int fd = eventfd(0, EFD_CLOEXEC);
    if (near == MAP_FAILED || fd < 0) {
        perror("device");
        exit(1);
    }
    check((get(dev, EDU_ID, 4) & 0xff) == 0xed, "it is an edu device");
    put(dev, EDU_LIVE, 4, 0x12345678);
    check(get(dev, EDU_LIVE, 4) == (uint32_t)~0x12345678, "it is alive");
    put(dev, EDU_FACTORIAL, 4, 10);
    while (get(dev, EDU_STATUS, 4) & 1) {
    }
    check(get(dev, EDU_FACTORIAL, 4) == 3628800, "it computes");

    master(dev);
    must(vireo_vfio_irq_enable(dev, VIREO_VFIO_MSI, 0, &fd, 1, &err), "enabling MSI");
    put(dev, EDU_IRQ_RAISE, 4, 4);
    check(heard(fd, WAIT_MS), "its message interrupt writes to our eventfd");
    put(dev, EDU_IRQ_ACK, 4, 4);
    must(vireo_vfio_irq_disable(dev, VIREO_VFIO_MSI, &err), "disabling MSI");
    must(vireo_vfio_irq_enable(dev, VIREO_VFIO_INTX, 0, &fd, 1, &err), "enabling INTx");
    put(dev, EDU_IRQ_RAISE, 4, 8);
    check(heard(fd, WAIT_MS), "its line interrupt writes to our eventfd");
    check(get(dev, EDU_IRQ_STATUS, 4) == 8, "its status says which");
    /* The line is still up: it comes again when it is let through, and no more once it is down. */
    must(vireo_vfio_irq_mask(dev, VIREO_VFIO_INTX, 0, false, &err), "unmasking INTx");
    check(heard(fd, WAIT_MS), "a line that stays up comes again when it is unmasked");
    put(dev, EDU_IRQ_ACK, 4, 8);
    must(vireo_vfio_irq_mask(dev, VIREO_VFIO_INTX, 0, false, &err), "unmasking INTx again");
    check(!heard(fd, 0), "a line that is down does not");
    must(vireo_vfio_irq_disable(dev, VIREO_VFIO_INTX, &err), "disabling INTx");

    for (unsigned i = 0; i < EDU_BUFFER_LEN; i++) {
        near[i] = (unsigned char)(i * 7 + i / 256);
    }
    must(vireo_vfio_dma_map(space, IOVA, near, EDU_BUFFER_LEN, false, &err), "mapping to be read");
    must(vireo_vfio_dma_map(space, IOVA + EDU_BUFFER_LEN, far, EDU_BUFFER_LEN, true, &err),
         "mapping to be written");
    copy(dev, IOVA, EDU_BUFFER, EDU_DMA_GO);
    copy(dev, EDU_BUFFER, IOVA + EDU_BUFFER_LEN, EDU_DMA_GO | EDU_DMA_TO_MEMORY);
    check(memcmp(near, far, EDU_BUFFER_LEN) == 0, "it copies memory by the addresses that we gave");
    memset(near, 0x11, EDU_BUFFER_LEN);
    copy(dev, EDU_BUFFER, IOVA, EDU_DMA_GO | EDU_DMA_TO_MEMORY);
    check(near[0] == 0x11 && memcmp(near, near + 1, EDU_BUFFER_LEN - 1) == 0,
          "it cannot write to what it may only read");
    must(vireo_vfio_dma_unmap(space, IOVA + EDU_BUFFER_LEN, EDU_BUFFER_LEN, &err), "unmapping");
    memset(far, 0x22, EDU_BUFFER_LEN);
    copy(dev, EDU_BUFFER, IOVA + EDU_BUFFER_LEN, EDU_DMA_GO | EDU_DMA_TO_MEMORY);
    check(far[0] == 0x22 && memcmp(far, far + 1, EDU_BUFFER_LEN - 1) == 0,
          "it cannot reach memory that was taken back");
    must(vireo_vfio_dma_unmap(space, IOVA, EDU_BUFFER_LEN, &err), "unmapping");
    munmap(near, 2 * EDU_BUFFER_LEN);
    close(fd);
}

static void hold(struct vireo_vfio *dev)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    must(vireo_vfio_irq_enable(dev, VIREO_VFIO_IRQ_REQ, 0, &fd, 1, &err), "asking to be told");
    printf("held\n");
    fflush(stdout);
    check(heard(fd, 3 * WAIT_MS), "the host wants it back");
}

int main(int argc, char **argv)
{
    struct vireo_vfio_options options = {.way = argc < 4 ? VIREO_VFIO_AUTO
                                                : strcmp(argv[3], "iommufd") == 0
                                                    ? VIREO_VFIO_IOMMUFD
                                                    : VIREO_VFIO_GROUP};
    struct vireo_vfio_space *space;
    struct vireo_vfio *dev;
    struct vireo_pci_addr addr;
    if (argc < 3) {
        fprintf(stderr, "usage: device edu|hold ADDRESS [group|iommufd]\n");
        return 2;
    }
    must(vireo_pci_addr_parse(argv[2], &addr, &err), argv[2]);
    must(vireo_vfio_space_create(&options, &space, &err), "making a space");
    must(vireo_vfio_open(space, addr, &dev, &err), "opening");
    if (strcmp(argv[1], "edu") == 0) {
        edu(space, dev);
    } else {
        hold(dev);
    }
    vireo_vfio_close(dev);
    vireo_vfio_space_destroy(space);
    printf("closed\n");
    return 0;
}
