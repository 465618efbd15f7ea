/* GDB packets: "$data#sum". */
#include "control/gdb_packet.h"
#include "base/text.h"

#include <string.h>

enum { GDB_ESCAPE = '}', GDB_ESCAPE_XOR = 0x20, GDB_CTRL_C = 3 };

/* ---- In ---- */

static enum vr_gdb_got gdb_idle(struct vr_gdb_reader *r, char c)
{
    switch (c) {
    case '$':
        r->state = VR_GDB_DATA;
        r->len = 0;
        r->sum = 0;
        r->too_long = false;
        return VR_GDB_MORE;
    case '+':
        return VR_GDB_ACK;
    case '-':
        return VR_GDB_NAK;
    case GDB_CTRL_C:
        return VR_GDB_INTERRUPT;
    default:
        return VR_GDB_MORE; /* between packets there may be anything */
    }
}

static void gdb_data(struct vr_gdb_reader *r, char c)
{
    if (c == '$') { /* it was cut off, and another begins: data has no bare '$' */
        (void)gdb_idle(r, c);
    } else if (c == '#') {
        r->state = VR_GDB_SUM1;
    } else {
        r->sum = (uint8_t)(r->sum + (uint8_t)c);
        if (r->len == VR_GDB_PACKET) {
            r->too_long = true;
        } else {
            r->buf[r->len++] = c;
        }
    }
}

static enum vr_gdb_got gdb_whole(struct vr_gdb_reader *r, char c)
{
    int digit = vr_hex_digit(c);
    r->state = VR_GDB_IDLE;
    r->buf[r->len] = '\0';
    if (digit < 0 || (r->claimed << 4 | digit) != r->sum) {
        return VR_GDB_DAMAGED;
    }
    return r->too_long ? VR_GDB_TOO_LONG : VR_GDB_COMMAND;
}

enum vr_gdb_got vr_gdb_read(struct vr_gdb_reader *r, const char *buf, size_t len, size_t *ret_used)
{
    enum vr_gdb_got got = VR_GDB_MORE;
    size_t i = 0;
    while (i < len && got == VR_GDB_MORE) {
        char c = buf[i++];
        int digit;
        switch (r->state) {
        case VR_GDB_IDLE:
            got = gdb_idle(r, c);
            break;
        case VR_GDB_DATA:
            gdb_data(r, c);
            break;
        case VR_GDB_SUM1:
            digit = vr_hex_digit(c);
            r->claimed = (uint8_t)digit;
            r->state = digit < 0 ? VR_GDB_IDLE : VR_GDB_SUM2;
            got = digit < 0 ? VR_GDB_DAMAGED : VR_GDB_MORE;
            break;
        case VR_GDB_SUM2:
            got = gdb_whole(r, c);
            break;
        }
    }
    *ret_used = i;
    return got;
}

bool vr_gdb_take_number(const char **at, uint64_t *ret_val)
{
    uint64_t val = 0;
    unsigned digits = 0;
    int digit;
    while (digits < 16 && (digit = vr_hex_digit(**at)) >= 0) {
        val = val << 4 | (uint64_t)digit;
        (*at)++;
        digits++;
    }
    if (digits) {
        *ret_val = val;
    }
    return digits != 0;
}

bool vr_gdb_take(const char **at, const char *word)
{
    size_t len = strlen(word);
    bool is = strncmp(*at, word, len) == 0;
    *at += is ? len : 0;
    return is;
}

bool vr_gdb_take_range(const char **at, uint64_t *ret_va, uint64_t *ret_len)
{
    return vr_gdb_take_number(at, ret_va) && vr_gdb_take(at, ",") &&
           vr_gdb_take_number(at, ret_len);
}

bool vr_gdb_take_bytes(const char **at, void *ret_bytes, size_t len)
{
    uint8_t *to = ret_bytes;
    for (size_t i = 0; i < len; i++) {
        int high = vr_hex_digit((*at)[0]), low = high < 0 ? -1 : vr_hex_digit((*at)[1]);
        if (low < 0) {
            return false;
        }
        to[i] = (uint8_t)(high << 4 | low);
        *at += 2;
    }
    return true;
}

size_t vr_gdb_unescape(char *buf, size_t len)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        bool escaped = buf[i] == GDB_ESCAPE && i + 1 < len;
        i += escaped;
        buf[to++] = escaped ? (char)(buf[i] ^ GDB_ESCAPE_XOR) : buf[i];
    }
    return to;
}

/* ---- Out ---- */

void vr_gdb_begin(struct vr_gdb_writer *w)
{
    w->buf[0] = '$';
    w->len = 1;
    w->full = false;
}

static bool gdb_put(struct vr_gdb_writer *w, const char *bytes, size_t len)
{
    if (w->full || len > VR_GDB_PACKET + 1 - w->len) {
        w->full = true;
        return false;
    }
    memcpy(w->buf + w->len, bytes, len);
    w->len += len;
    return true;
}

void vr_gdb_text(struct vr_gdb_writer *w, const char *text)
{
    (void)gdb_put(w, text, strlen(text));
}

static const char gdb_digits[] = "0123456789abcdef";

void vr_gdb_number(struct vr_gdb_writer *w, uint64_t val)
{
    char text[16];
    size_t at = sizeof(text);
    do {
        text[--at] = gdb_digits[val & 15];
        val >>= 4;
    } while (val);
    (void)gdb_put(w, text + at, sizeof(text) - at);
}

void vr_gdb_hex(struct vr_gdb_writer *w, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;
    for (size_t i = 0; i < len; i++) {
        char pair[2] = {gdb_digits[from[i] >> 4], gdb_digits[from[i] & 15]};
        (void)gdb_put(w, pair, sizeof(pair));
    }
}

size_t vr_gdb_binary(struct vr_gdb_writer *w, const void *bytes, size_t len)
{
    const char *from = bytes;
    for (size_t i = 0; i < len; i++) {
        bool escape = from[i] == '#' || from[i] == '$' || from[i] == '*' || from[i] == GDB_ESCAPE;
        char pair[2] = {GDB_ESCAPE, (char)(from[i] ^ GDB_ESCAPE_XOR)};
        if (!gdb_put(w, escape ? pair : from + i, escape ? 2 : 1)) {
            w->full = false; /* the caller knows */
            return i;
        }
    }
    return len;
}

void vr_gdb_end(struct vr_gdb_writer *w)
{
    uint8_t sum = 0;
    for (size_t i = 1; i < w->len; i++) {
        sum = (uint8_t)(sum + (uint8_t)w->buf[i]);
    }
    w->buf[w->len++] = '#';
    w->buf[w->len++] = gdb_digits[sum >> 4];
    w->buf[w->len++] = gdb_digits[sum & 15];
}
