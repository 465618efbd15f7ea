/* A debugger's session: registers, memory, breakpoints and watchpoints. */
#include "base/bits.h"
#include "control/gdb_priv.h"
#include "core/det.h"
#include "core/vcpu.h"

#include <errno.h>

/* ---- Registers ---- */

struct gdb_regs {
    struct vr_gdb_session *s;
    const char *args;
    int result;
};

static int gdb_put_reg(struct vr_gdb_session *s, struct vr_vcpu *vcpu, unsigned reg)
{
    uint64_t val;
    unsigned bytes;
    uint8_t le[8];
    int r = vcpu->ops->debug->get(vcpu, reg, &val, &bytes);
    if (r == 0) {
        vr_store_le64(le, val);
        vr_gdb_hex(&s->out, le, bytes);
    }
    return r;
}

static int gdb_take_reg(struct vr_vcpu *vcpu, unsigned reg, const char **at)
{
    uint64_t val;
    unsigned bytes;
    uint8_t le[8] = {0};
    int r = vcpu->ops->debug->get(vcpu, reg, &val, &bytes);
    if (r == 0 && !vr_gdb_take_bytes(at, le, bytes)) {
        r = -EINVAL;
    }
    return r < 0 ? r : vcpu->ops->debug->set(vcpu, reg, vr_load_le64(le));
}

static void gdb_get_all(void *arg)
{
    struct gdb_regs *regs = arg;
    struct vr_vcpu *vcpu = vr_gdb_vcpu(regs->s);
    vr_gdb_begin(&regs->s->out);
    for (unsigned i = 0; i < vcpu->ops->debug->general_count; i++) {
        (void)gdb_put_reg(regs->s, vcpu, i);
    }
}

static void gdb_set_all(void *arg)
{
    struct gdb_regs *regs = arg;
    struct vr_vcpu *vcpu = vr_gdb_vcpu(regs->s);
    for (unsigned i = 0; regs->result == 0 && i < vcpu->ops->debug->general_count; i++) {
        regs->result = gdb_take_reg(vcpu, i, &regs->args);
    }
}

static void gdb_get_one(void *arg)
{
    struct gdb_regs *regs = arg;
    uint64_t reg;
    vr_gdb_begin(&regs->s->out);
    regs->result = vr_gdb_take_number(&regs->args, &reg) && reg < UINT32_MAX
                       ? gdb_put_reg(regs->s, vr_gdb_vcpu(regs->s), (unsigned)reg)
                       : -EINVAL;
}

static void gdb_set_one(void *arg)
{
    struct gdb_regs *regs = arg;
    uint64_t reg;
    regs->result =
        vr_gdb_take_number(&regs->args, &reg) && reg < UINT32_MAX && vr_gdb_take(&regs->args, "=")
            ? gdb_take_reg(vr_gdb_vcpu(regs->s), (unsigned)reg, &regs->args)
            : -EINVAL;
}

bool vr_gdb_is_past(struct vr_gdb_session *s)
{
    struct vr_det *det = vr_machine_det(s->machine);
    if (!vr_det_taped(det)) {
        return false;
    }
    vr_log(vr_machine_env(s->machine)->log, VR_WARN, "debugger",
           "the machine is recorded, or replays: its registers and memory stay as they are");
    vr_gdb_error(s, -EROFS);
    return true;
}

/* @gets: the answer is in out already. */
static void gdb_regs(struct vr_gdb_session *s, const char *args, void (*fn)(void *), bool gets)
{
    struct gdb_regs regs = {.s = s, .args = args};
    if (!gets && vr_gdb_is_past(s)) {
        return;
    }
    vr_machine_still(s->machine, fn, &regs);
    if (regs.result < 0) {
        vr_gdb_error(s, regs.result);
    } else if (gets) {
        vr_gdb_send(s);
    } else {
        vr_gdb_say(s, "OK");
    }
}

static void gdb_g(struct vr_gdb_session *s, const char *args)
{
    gdb_regs(s, args, gdb_get_all, true);
}

static void gdb_G(struct vr_gdb_session *s, const char *args)
{
    gdb_regs(s, args, gdb_set_all, false);
}

static void gdb_p(struct vr_gdb_session *s, const char *args)
{
    gdb_regs(s, args, gdb_get_one, true);
}

static void gdb_P(struct vr_gdb_session *s, const char *args)
{
    gdb_regs(s, args, gdb_set_one, false);
}

/* ---- Memory ---- */

struct gdb_mem {
    struct vr_gdb_session *s;
    uint64_t va;
    size_t len, done;
    bool write;
    uint8_t *buf;
};

/* One access to whatever is at @gpa. */
static bool gdb_device(struct vr_gdb_session *s, uint64_t gpa, uint8_t *buf, size_t len, bool write)
{
    struct vr_space *mem = vr_machine_mem(s->machine);
    uint64_t val = 0;
    if (!s->devices || vr_det_taped(vr_machine_det(s->machine)) ||
        (len != 1 && len != 2 && len != 4 && len != 8) || gpa & (len - 1)) {
        return false;
    }
    if (write) {
        return vr_space_write(mem, &s->view, gpa, (unsigned)len, vr_load_le(buf, (unsigned)len)) ==
               0;
    }
    if (vr_space_read(mem, &s->view, gpa, (unsigned)len, &val) < 0) {
        return false;
    }
    vr_store_le(buf, (unsigned)len, val);
    return true;
}

static bool gdb_piece(struct vr_gdb_session *s, uint64_t gpa, uint8_t *buf, size_t len, bool write)
{
    struct vr_space *mem = vr_machine_mem(s->machine);
    int r = write ? vr_dma_write(mem, &s->view, gpa, buf, len)
                  : vr_dma_read(mem, &s->view, gpa, buf, len);
    return r == 0 || gdb_device(s, gpa, buf, len, write);
}

size_t vr_gdb_memory(struct vr_gdb_session *s, uint64_t va, uint8_t *buf, size_t len, bool write)
{
    struct vr_vcpu *vcpu = vr_gdb_vcpu(s);
    size_t done = 0;
    while (done < len) {
        uint64_t at = va + done, gpa = at, room = VR_PAGE_SIZE - (at & (VR_PAGE_SIZE - 1));
        if (!s->phys && !vcpu->ops->debug->translate(vcpu, at, &gpa, &room)) {
            break;
        }
        size_t n = room < len - done ? (size_t)room : len - done;
        if (!gdb_piece(s, gpa, buf + done, n, write)) {
            break;
        }
        done += n;
    }
    return done;
}

static void gdb_access(void *arg)
{
    struct gdb_mem *m = arg;
    m->done = vr_gdb_memory(m->s, m->va, m->buf, m->len, m->write);
}

static void gdb_m(struct vr_gdb_session *s, const char *args)
{
    uint8_t buf[VR_GDB_TEXT];
    struct gdb_mem m = {.s = s, .buf = buf};
    uint64_t want;
    if (!vr_gdb_take_range(&args, &m.va, &want)) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    m.len = want < sizeof(buf) ? (size_t)want : sizeof(buf);
    vr_machine_still(s->machine, gdb_access, &m);
    if (m.done == 0 && m.len) {
        vr_gdb_error(s, -EFAULT);
        return;
    }
    vr_gdb_begin(&s->out);
    vr_gdb_hex(&s->out, buf, m.done);
    vr_gdb_send(s);
}

static void gdb_write(struct vr_gdb_session *s, struct gdb_mem *m)
{
    if (vr_gdb_is_past(s)) {
        return;
    }
    vr_machine_still(s->machine, gdb_access, m);
    if (m->done == m->len) {
        vr_gdb_say(s, "OK");
    } else {
        vr_gdb_error(s, -EFAULT);
    }
}

static void gdb_M(struct vr_gdb_session *s, const char *args)
{
    uint8_t buf[VR_GDB_TEXT];
    struct gdb_mem m = {.s = s, .buf = buf, .write = true};
    uint64_t want;
    if (!vr_gdb_take_range(&args, &m.va, &want) || want > sizeof(buf) || !vr_gdb_take(&args, ":") ||
        !vr_gdb_take_bytes(&args, buf, (size_t)want) || *args) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    m.len = (size_t)want;
    gdb_write(s, &m);
}

static void gdb_X(struct vr_gdb_session *s, const char *args)
{
    struct gdb_mem m = {.s = s, .write = true};
    uint64_t want;
    if (!vr_gdb_take_range(&args, &m.va, &want) || !vr_gdb_take(&args, ":")) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    size_t at = (size_t)(args - s->in.buf);
    char *data = s->in.buf + at;
    m.len = vr_gdb_unescape(data, s->in.len - at);
    m.buf = (uint8_t *)data;
    if (m.len != want) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    gdb_write(s, &m);
}

/* ---- Points ---- */

struct gdb_point {
    struct vr_gdb_session *s;
    struct vr_debug_point point;
    int result;
};

static void gdb_add_point(void *arg)
{
    struct gdb_point *p = arg;
    p->result = vr_debug_add(p->s->machine, &p->point);
}

static void gdb_remove_point(void *arg)
{
    struct gdb_point *p = arg;
    vr_debug_remove(p->s->machine, &p->point);
}

/* "TYPE,ADDR,KIND": of breakpoints the kind is a length of an instruction, of others bytes. */
static void gdb_point(struct vr_gdb_session *s, const char *args, void (*fn)(void *))
{
    static const enum vr_debug_kind kinds[] = {VR_DEBUG_BREAK, VR_DEBUG_BREAK, VR_DEBUG_WRITE,
                                               VR_DEBUG_READ, VR_DEBUG_ACCESS};
    struct gdb_point p = {.s = s};
    uint64_t type;
    if (!vr_gdb_take_number(&args, &type) || !vr_gdb_take(&args, ",") ||
        !vr_gdb_take_range(&args, &p.point.va, &p.point.len)) {
        vr_gdb_error(s, -EINVAL);
        return;
    }
    if (type >= VR_COUNT(kinds)) {
        vr_gdb_say(s, "");
        return;
    }
    p.point.kind = kinds[type];
    p.point.len = p.point.kind == VR_DEBUG_BREAK ? 1 : p.point.len;
    vr_machine_still(s->machine, fn, &p);
    if (p.result < 0) {
        vr_gdb_error(s, p.result);
    } else {
        vr_gdb_say(s, "OK");
    }
}

static void gdb_Z(struct vr_gdb_session *s, const char *args)
{
    gdb_point(s, args, gdb_add_point);
}

static void gdb_z(struct vr_gdb_session *s, const char *args)
{
    gdb_point(s, args, gdb_remove_point);
}

const struct vr_gdb_row vr_gdb_access_rows[] = {
    {"g", gdb_g, false}, {"G", gdb_G, false},
    {"p", gdb_p, false}, {"P", gdb_P, false},
    {"m", gdb_m, false}, {"M", gdb_M, false},
    {"X", gdb_X, false}, {"Z", gdb_Z, false},
    {"z", gdb_z, false}, {0},
};
