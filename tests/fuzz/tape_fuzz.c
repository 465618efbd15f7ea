/* A recording of a deterministic machine, from anywhere: it is refused, or every record of it lies
 * inside the file, in order. */
#include "fuzz.h"

#include "base/bits.h"
#include "core/det.h"
#include "core/hash.h"
#include "core/tape.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 40, REC = 24 };

/* Checksums made right, so that what is behind them is reached. */
static void fuzz_sums(uint8_t *b, size_t len)
{
    if (len < HEAD) {
        return;
    }
    uint64_t about = vr_load_le32(b + 12);
    if (about > len - HEAD) {
        return;
    }
    vr_store_le64(b + 32, vr_hash64(b + HEAD, (size_t)about, vr_hash64(b, 32, 0)));
    for (size_t at = HEAD + (size_t)about; len - at >= REC + 8;) {
        uint64_t data = vr_load_le32(b + at);
        if (data > len - at - REC - 8) {
            return;
        }
        vr_store_le64(b + at + REC + data, vr_hash64(b + at, REC + (size_t)data, at));
        at += REC + (size_t)data + 8;
    }
}

static void fuzz_read(const uint8_t *data, size_t len)
{
    struct vr_tape *tape;
    struct vr_tape_rec rec;
    uint64_t beat = 0, bytes = 0, sum = 0;
    if (vr_tape_open_bytes("fuzz", data, len, &tape, NULL) < 0) {
        return;
    }
    for (uint64_t i = 0; vr_tape_get(tape, i, &rec); i++) {
        KEEPS(rec.beat >= beat);
        beat = rec.beat;
        bytes += rec.len;
        for (size_t k = 0; k < rec.len; k++) {
            sum += rec.data[k];
        }
    }
    KEEPS(bytes <= len && sum <= bytes * 255);
    vr_tape_close(tape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *copy = calloc(1, len + 1);
    KEEPS(copy);
    if (len) {
        memcpy(copy, data, len);
    }
    fuzz_read(copy, len);
    fuzz_sums(copy, len);
    fuzz_read(copy, len);
    free(copy);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    size_t len = HEAD + 4;
    if (n > 3 || cap < 512) {
        return 0;
    }
    memset(buf, 0, 512);
    memcpy(buf, "VIREOTAP", 8);
    vr_store_le32(buf + 8, VR_TAPE_VERSION);
    vr_store_le32(buf + 12, 4);
    memcpy(buf + HEAD, "abou", 4);
    for (unsigned i = 0; i < n; i++) {
        vr_store_le32(buf + len, 8 * i);
        vr_store_le16(buf + len + 4, (uint16_t)(VR_DET_SOURCES + i));
        vr_store_le64(buf + len + 8, i);
        len += REC + 8 * i + 8;
    }
    fuzz_sums(buf, len);
    return len;
}
