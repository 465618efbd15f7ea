/* Atomics on guest memory with the host's own. ISA manual, A, Zabha, Zacas. */
#include "cpu/interp/fpx.h"
#include "cpu/interp/ops.h"

#define EVAL(U, I)                                                                    \
    do {                                                                              \
        U *m = p, v = (U)operand, old;                                                \
        switch (kind) {                                                               \
        case VR_AMO_SWAP:                                                             \
            return (uint64_t)(int64_t)(I)__atomic_exchange_n(m, v, __ATOMIC_SEQ_CST); \
        case VR_AMO_ADD:                                                              \
            return (uint64_t)(int64_t)(I)__atomic_fetch_add(m, v, __ATOMIC_SEQ_CST);  \
        case VR_AMO_XOR:                                                              \
            return (uint64_t)(int64_t)(I)__atomic_fetch_xor(m, v, __ATOMIC_SEQ_CST);  \
        case VR_AMO_AND:                                                              \
            return (uint64_t)(int64_t)(I)__atomic_fetch_and(m, v, __ATOMIC_SEQ_CST);  \
        case VR_AMO_OR:                                                               \
            return (uint64_t)(int64_t)(I)__atomic_fetch_or(m, v, __ATOMIC_SEQ_CST);   \
        default:                                                                      \
            break;                                                                    \
        }                                                                             \
        old = __atomic_load_n(m, __ATOMIC_RELAXED);                                   \
        for (;;) {                                                                    \
            U next = kind == VR_AMO_MIN    ? ((I)old < (I)v ? old : v)                \
                     : kind == VR_AMO_MAX  ? ((I)old > (I)v ? old : v)                \
                     : kind == VR_AMO_MINU ? (old < v ? old : v)                      \
                                           : (old > v ? old : v);                     \
            if (__atomic_compare_exchange_n(m, &old, next, false, __ATOMIC_SEQ_CST,   \
                                            __ATOMIC_SEQ_CST)) {                      \
                return (uint64_t)(int64_t)(I)old;                                     \
            }                                                                         \
        }                                                                             \
    } while (0)

uint64_t vr_amo_eval(void *p, enum vr_amo kind, unsigned log2_bytes, uint64_t operand)
{
    switch (log2_bytes) {
    case 0:
        EVAL(uint8_t, int8_t);
    case 1:
        EVAL(uint16_t, int16_t);
    case 2:
        EVAL(uint32_t, int32_t);
    default:
        EVAL(uint64_t, int64_t);
    }
}

#define CAS(U, I)                                                                               \
    do {                                                                                        \
        U want = (U)r[ir->d];                                                                   \
        done = __atomic_compare_exchange_n((U *)p, &want, (U)r[ir->b], false, __ATOMIC_SEQ_CST, \
                                           __ATOMIC_SEQ_CST);                                   \
        old = (uint64_t)(int64_t)(I)want;                                                       \
    } while (0)

bool vr_amocas_eval(void *p, unsigned log2_bytes, uint64_t *r, const struct vr_ir *ir)
{
    uint64_t old = 0;
    bool done = false;
    switch (log2_bytes) {
    case 0:
        CAS(uint8_t, int8_t);
        break;
    case 1:
        CAS(uint16_t, int16_t);
        break;
    case 2:
        CAS(uint32_t, int32_t);
        break;
    case 3:
        CAS(uint64_t, int64_t);
        break;
    default: {
        /* A pair that starts at x0 reads as zero, both halves, and drops both results. */
        unsigned __int128 want = r[ir->d], next = r[ir->b];
        want |= ir->d ? (unsigned __int128)r[ir->d + 1] << 64 : 0;
        next |= ir->b ? (unsigned __int128)r[ir->b + 1] << 64 : 0;
        done = __atomic_compare_exchange_n((unsigned __int128 *)p, &want, next, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        if (ir->d) {
            r[ir->d] = (uint64_t)want;
            r[ir->d + 1] = (uint64_t)(want >> 64);
        }
        return done;
    }
    }
    if (ir->d) {
        r[ir->d] = old;
    }
    return done;
}

/* SC: d = 0 when stored. False: an exception was taken. */
bool vr_store_conditional(struct vr_cpu *cpu, const struct vr_ir *ip, unsigned width)
{
    uint64_t gpa, *r = cpu->r;
    void *p = vr_mem_ram(cpu, r[ip->a], width, VR_WRITE, &gpa);
    if (!p) {
        return false;
    }
    uint64_t va = r[ip->a]; /* the result may replace it */
    bool ok = cpu->res_valid && cpu->res_gpa == gpa && cpu->res_size == width;
    cpu->res_valid = false;
    if (ok && width == 4) {
        uint32_t want = (uint32_t)cpu->res_val;
        ok = __atomic_compare_exchange_n((uint32_t *)p, &want, (uint32_t)r[ip->b], false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    } else if (ok) {
        uint64_t want = cpu->res_val;
        ok = __atomic_compare_exchange_n((uint64_t *)p, &want, r[ip->b], false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST);
    }
    if (ok) {
        vr_mem_wrote(cpu, va, gpa, width);
    }
    r[ip->d] = !ok;
    return true;
}

bool vr_load_reserved(struct vr_cpu *cpu, const struct vr_ir *ip, unsigned width)
{
    uint64_t gpa;
    void *p = vr_mem_ram(cpu, cpu->r[ip->a], width, VR_READ, &gpa);
    if (!p) {
        return false;
    }
    uint64_t v = width == 4 ? op_sext32(__atomic_load_n((uint32_t *)p, __ATOMIC_SEQ_CST))
                            : __atomic_load_n((uint64_t *)p, __ATOMIC_SEQ_CST);
    cpu->res_valid = true;
    cpu->res_gpa = gpa;
    cpu->res_size = (uint8_t)width;
    cpu->res_val = v;
    cpu->r[ip->d] = v;
    return true;
}

bool vr_amo_slow(struct vr_cpu *cpu, const struct vr_ir *ip)
{
    uint64_t gpa;
    unsigned log2_bytes = ip->op == VR_IR_amo ? ip->c >> 4 : ip->c;
    uint64_t va = cpu->r[ip->a]; /* the result may replace it */
    if (vr_cpu_watched(cpu, va, 1u << log2_bytes, VR_READ)) {
        return false;
    }
    void *p = vr_mem_ram(cpu, va, 1u << log2_bytes, VR_WRITE, &gpa);
    if (!p) {
        return false;
    }
    bool wrote = true;
    if (ip->op == VR_IR_amo) {
        cpu->r[ip->d] = vr_amo_eval(p, ip->c & 15, log2_bytes, cpu->r[ip->b]);
    } else {
        wrote = vr_amocas_eval(p, log2_bytes, cpu->r, ip);
    }
    if (wrote) {
        vr_mem_wrote(cpu, va, gpa, 1u << log2_bytes);
    }
    return true;
}
