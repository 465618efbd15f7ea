/* The Internet checksum over packets, for checksum offload. Specifications: RFC 1071; RFC 793 and
 * RFC 768 (pseudo header); RFC 8200, 8.1. */
#ifndef VR_DEV_VIRTIO_NET_CSUM_H
#define VR_DEV_VIRTIO_NET_CSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* The one's complement sum of the bytes [off, end of list), as a number to be stored big-endian;
 * not complemented. */
uint16_t vr_net_sum(const struct iovec *iov, unsigned count, uint64_t off);

/* Does this Ethernet frame hold one whole TCP or UDP packet whose checksum was looked at and is
 * right? False also for whatever is not looked at: fragments, extension headers, no checksum. */
bool vr_net_csum_valid(const uint8_t *frame, size_t len);

#endif
