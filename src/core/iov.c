/* Byte ranges over lists of iovecs. */
#include "core/iov.h"

#include <stdatomic.h>
#include <string.h>

/* The next piece of the list at or after *ret_index that holds @off, which becomes relative. */
static unsigned iov_seek(const struct iovec *iov, unsigned count, uint64_t *off)
{
    unsigned i = 0;
    while (i < count && *off >= iov[i].iov_len) {
        *off -= iov[i].iov_len;
        i++;
    }
    return i;
}

size_t vr_iov_get(const struct iovec *iov, unsigned count, uint64_t off, void *buf, size_t len)
{
    size_t done = 0;
    for (unsigned i = iov_seek(iov, count, &off); i < count && done < len; i++) {
        size_t n = iov[i].iov_len - (size_t)off;
        n = n < len - done ? n : len - done;
        memcpy((uint8_t *)buf + done, (const uint8_t *)iov[i].iov_base + off, n);
        done += n;
        off = 0;
    }
    atomic_signal_fence(memory_order_seq_cst);
    return done;
}

size_t vr_iov_put(const struct iovec *iov, unsigned count, uint64_t off, const void *buf,
                  size_t len)
{
    size_t done = 0;
    for (unsigned i = iov_seek(iov, count, &off); i < count && done < len; i++) {
        size_t n = iov[i].iov_len - (size_t)off;
        n = n < len - done ? n : len - done;
        memcpy((uint8_t *)iov[i].iov_base + off, (const uint8_t *)buf + done, n);
        done += n;
        off = 0;
    }
    return done;
}

unsigned vr_iov_slice(const struct iovec *iov, unsigned count, uint64_t off, uint64_t len,
                      struct iovec *ret_iov, unsigned *ret_first)
{
    unsigned n = 0, i = iov_seek(iov, count, &off);
    if (ret_first) {
        *ret_first = i;
    }
    for (; i < count && len > 0; i++) {
        uint64_t part = iov[i].iov_len - off;
        part = part < len ? part : len;
        ret_iov[n].iov_base = (uint8_t *)iov[i].iov_base + off;
        ret_iov[n].iov_len = (size_t)part;
        len -= part;
        off = 0;
        n++;
    }
    return n;
}
