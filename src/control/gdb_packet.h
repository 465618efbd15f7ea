/*
 * Packets of GDB's remote protocol (GDB manual, "Overview" of the remote protocol): framing, and
 * the text in them. Knows no machine.
 */
#ifndef VR_CONTROL_GDB_PACKET_H
#define VR_CONTROL_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VR_GDB_PACKET = 16 << 10 }; /* bytes of a packet's data, either way */

enum vr_gdb_got {
    VR_GDB_MORE,     /* nothing whole yet */
    VR_GDB_COMMAND,  /* in buf, len */
    VR_GDB_DAMAGED,  /* one with a wrong checksum */
    VR_GDB_TOO_LONG, /* one that does not fit */
    VR_GDB_ACK,
    VR_GDB_NAK,
    VR_GDB_INTERRUPT, /* Ctrl-C */
};

struct vr_gdb_reader {
    enum { VR_GDB_IDLE, VR_GDB_DATA, VR_GDB_SUM1, VR_GDB_SUM2 } state;
    uint8_t sum, claimed;
    bool too_long;
    size_t len;
    char buf[VR_GDB_PACKET + 1]; /* ends with a NUL when it is a command */
};

/* Take bytes up to the end of one thing at most; *ret_used: how many. */
enum vr_gdb_got vr_gdb_read(struct vr_gdb_reader *r, const char *buf, size_t len, size_t *ret_used);

/* A packet that is being made; what does not fit is left out, and full says so. */
struct vr_gdb_writer {
    size_t len; /* of buf; its data begin at 1 */
    bool full;
    char buf[VR_GDB_PACKET + 4];
};
void vr_gdb_begin(struct vr_gdb_writer *w);
void vr_gdb_text(struct vr_gdb_writer *w, const char *text);
void vr_gdb_number(struct vr_gdb_writer *w, uint64_t val); /* hex digits, as few as it takes */
void vr_gdb_hex(struct vr_gdb_writer *w, const void *bytes, size_t len);
/* As binary data; returns how many bytes of @bytes fitted. */
size_t vr_gdb_binary(struct vr_gdb_writer *w, const void *bytes, size_t len);
/* Put the checksum behind it: then buf and len are what is sent. */
void vr_gdb_end(struct vr_gdb_writer *w);

/* Read hex digits, at least one and at most 16, off *at. */
bool vr_gdb_take_number(const char **at, uint64_t *ret_val);
/* Read "@word" off *at, if it is there. */
bool vr_gdb_take(const char **at, const char *word);
/* Read "ADDRESS,LEN" off *at. */
bool vr_gdb_take_range(const char **at, uint64_t *ret_va, uint64_t *ret_len);
/* Read @len bytes as pairs of hex digits off *at. */
bool vr_gdb_take_bytes(const char **at, void *ret_bytes, size_t len);
/* Undo the escapes of binary data in place; the new length. */
size_t vr_gdb_unescape(char *buf, size_t len);

#endif
