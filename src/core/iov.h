/* Byte ranges over lists of iovecs, most of which lie in guest RAM. */
#ifndef VR_CORE_IOV_H
#define VR_CORE_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Copy at most @len bytes from (to) offset @off of the list; returns how many there were. The bytes
 * are fetched once: the compiler may not read guest memory again where the copy is looked at. */
size_t vr_iov_get(const struct iovec *iov, unsigned count, uint64_t off, void *buf, size_t len);
size_t vr_iov_put(const struct iovec *iov, unsigned count, uint64_t off, const void *buf,
                  size_t len);
/* The part [off, off + len) of the list, cut at its end, as iovecs at @ret_iov; returns how many,
 * at most @count. *ret_first, if not NULL, is the index of the first one in @iov. */
unsigned vr_iov_slice(const struct iovec *iov, unsigned count, uint64_t off, uint64_t len,
                      struct iovec *ret_iov, unsigned *ret_first);

#endif
