/*
 * Floating point: the integer code against the host's FPU (fenv) and against the oracle of
 * fp_oracle.h in all rounding modes, the fast paths against the integer code, and the cases that
 * the RISC-V manual spells out. VR_TEST_SEED picks another stream of operands.
 */
#include "cpu/fp/fp_fast.h"
#include "fp_operands.h"
#include "fp_oracle.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* One shape for all operations: operands, and results, are raw bits or integers in 64 bits. */
typedef uint64_t thunk_fn(const uint64_t v[3], unsigned rm, uint32_t *flags);

#define THUNK(name, call)                                                   \
    static uint64_t name(const uint64_t v[3], unsigned rm, uint32_t *flags) \
    {                                                                       \
        (void)rm;                                                           \
        return (uint64_t)(call);                                            \
    }

#define A v[0]
#define B v[1]
#define C v[2]
/* Integers that go into conversions come from all 64 bits: the calls truncate them. */
#define THUNKS_ARITH(p, fmt, type)                                                   \
    THUNK(t_##p##fmt##_add, p##fmt##_add((type)A, (type)B, rm, flags))               \
    THUNK(t_##p##fmt##_sub, p##fmt##_sub((type)A, (type)B, rm, flags))               \
    THUNK(t_##p##fmt##_mul, p##fmt##_mul((type)A, (type)B, rm, flags))               \
    THUNK(t_##p##fmt##_div, p##fmt##_div((type)A, (type)B, rm, flags))               \
    THUNK(t_##p##fmt##_sqrt, p##fmt##_sqrt((type)A, rm, flags))                      \
    THUNK(t_##p##fmt##_fma, p##fmt##_fma((type)A, (type)B, (type)C, rm, flags))      \
    THUNK(t_##p##fmt##_to_i32, p##fmt##_to_i32((type)A, rm, flags))                  \
    THUNK(t_##p##fmt##_to_u32, p##fmt##_to_u32((type)A, rm, flags))                  \
    THUNK(t_##p##fmt##_to_i64, p##fmt##_to_i64((type)A, rm, flags))                  \
    THUNK(t_##p##fmt##_to_u64, p##fmt##_to_u64((type)A, rm, flags))                  \
    THUNK(t_##p##fmt##_from_i32, p##fmt##_from_i32((int32_t)(uint32_t)A, rm, flags)) \
    THUNK(t_##p##fmt##_from_u32, p##fmt##_from_u32((uint32_t)A, rm, flags))          \
    THUNK(t_##p##fmt##_from_i64, p##fmt##_from_i64((int64_t)A, rm, flags))           \
    THUNK(t_##p##fmt##_from_u64, p##fmt##_from_u64(A, rm, flags))
#define THUNKS_CMP(p, fmt, type)                                   \
    THUNK(t_##p##fmt##_min, p##fmt##_min((type)A, (type)B, flags)) \
    THUNK(t_##p##fmt##_max, p##fmt##_max((type)A, (type)B, flags)) \
    THUNK(t_##p##fmt##_eq, p##fmt##_eq((type)A, (type)B, flags))   \
    THUNK(t_##p##fmt##_lt, p##fmt##_lt((type)A, (type)B, flags))   \
    THUNK(t_##p##fmt##_le, p##fmt##_le((type)A, (type)B, flags))
#define THUNKS_SOFT(fmt, type)                                         \
    THUNKS_ARITH(vr_, fmt, type)                                       \
    THUNKS_CMP(vr_, fmt, type)                                         \
    THUNK(t_vr_##fmt##_minm, vr_##fmt##_minm((type)A, (type)B, flags)) \
    THUNK(t_vr_##fmt##_maxm, vr_##fmt##_maxm((type)A, (type)B, flags)) \
    THUNK(t_vr_##fmt##_ltq, vr_##fmt##_ltq((type)A, (type)B, flags))   \
    THUNK(t_vr_##fmt##_leq, vr_##fmt##_leq((type)A, (type)B, flags))   \
    THUNK(t_vr_##fmt##_round, vr_##fmt##_round((type)A, rm, flags))    \
    THUNK(t_vr_##fmt##_roundnx, vr_##fmt##_roundnx((type)A, rm, flags))
THUNKS_SOFT(f16, uint16_t)
THUNKS_SOFT(f32, uint32_t)
THUNKS_SOFT(f64, uint64_t)
THUNKS_ARITH(vr_fast_, f32, uint32_t)
THUNKS_ARITH(vr_fast_, f64, uint64_t)
THUNKS_CMP(vr_fast_, f32, uint32_t)
THUNKS_CMP(vr_fast_, f64, uint64_t)
THUNK(t_f64_to_f32, vr_f64_to_f32(A, rm, flags))
THUNK(t_f64_to_f16, vr_f64_to_f16(A, rm, flags))
THUNK(t_f32_to_f16, vr_f32_to_f16((uint32_t)A, rm, flags))
THUNK(t_f32_to_f64, vr_f32_to_f64((uint32_t)A, flags))
THUNK(t_f16_to_f64, vr_f16_to_f64((uint16_t)A, flags))
THUNK(t_f16_to_f32, vr_f16_to_f32((uint16_t)A, flags))
THUNK(t_fast_f64_to_f32, vr_fast_f64_to_f32(A, rm, flags))
THUNK(t_fast_f32_to_f64, vr_fast_f32_to_f64((uint32_t)A, flags))

enum kind { ARITH, CONVERT, FROM_INT, TO_INT, ROUND, MIN_MAX, COMPARE };

struct op {
    const char *name;
    enum kind kind;
    int arg;                 /* ARITH_x; target format; width, negative when signed; see the kind */
    thunk_fn *soft[FORMATS]; /* by source format; target format for FROM_INT */
    thunk_fn *fast[FORMATS];
};

#define SOFT(name)                                        \
    {                                                     \
        t_vr_f16_##name, t_vr_f32_##name, t_vr_f64_##name \
    }
#define FAST(name)                                       \
    {                                                    \
        NULL, t_vr_fast_f32_##name, t_vr_fast_f64_##name \
    }

/* For MIN_MAX: bit 0 maximum, bit 1 a NaN is kept. For COMPARE: bit 0 less, bit 1 equal, bit 2
 * quiet. For ROUND: whether NX is raised. */
static const struct op ops[] = {
    {"add", ARITH, ARITH_ADD, SOFT(add), FAST(add)},
    {"sub", ARITH, ARITH_SUB, SOFT(sub), FAST(sub)},
    {"mul", ARITH, ARITH_MUL, SOFT(mul), FAST(mul)},
    {"div", ARITH, ARITH_DIV, SOFT(div), FAST(div)},
    {"sqrt", ARITH, ARITH_SQRT, SOFT(sqrt), FAST(sqrt)},
    {"fma", ARITH, ARITH_FMA, SOFT(fma), FAST(fma)},
    {"to_f16", CONVERT, F16, {NULL, t_f32_to_f16, t_f64_to_f16}, {NULL}},
    {"to_f32", CONVERT, F32, {t_f16_to_f32, NULL, t_f64_to_f32}, {NULL, NULL, t_fast_f64_to_f32}},
    {"to_f64", CONVERT, F64, {t_f16_to_f64, t_f32_to_f64, NULL}, {NULL, t_fast_f32_to_f64, NULL}},
    {"from_i32", FROM_INT, -32, SOFT(from_i32), FAST(from_i32)},
    {"from_u32", FROM_INT, 32, SOFT(from_u32), FAST(from_u32)},
    {"from_i64", FROM_INT, -64, SOFT(from_i64), FAST(from_i64)},
    {"from_u64", FROM_INT, 64, SOFT(from_u64), FAST(from_u64)},
    {"to_i32", TO_INT, -32, SOFT(to_i32), FAST(to_i32)},
    {"to_u32", TO_INT, 32, SOFT(to_u32), FAST(to_u32)},
    {"to_i64", TO_INT, -64, SOFT(to_i64), FAST(to_i64)},
    {"to_u64", TO_INT, 64, SOFT(to_u64), FAST(to_u64)},
    {"round", ROUND, false, SOFT(round), {NULL}},
    {"roundnx", ROUND, true, SOFT(roundnx), {NULL}},
    {"min", MIN_MAX, 0, SOFT(min), FAST(min)},
    {"max", MIN_MAX, 1, SOFT(max), FAST(max)},
    {"minm", MIN_MAX, 2, SOFT(minm), {NULL}},
    {"maxm", MIN_MAX, 3, SOFT(maxm), {NULL}},
    {"eq", COMPARE, 2 | 4, SOFT(eq), FAST(eq)},
    {"lt", COMPARE, 1, SOFT(lt), FAST(lt)},
    {"le", COMPARE, 1 | 2, SOFT(le), FAST(le)},
    {"ltq", COMPARE, 1 | 4, SOFT(ltq), {NULL}},
    {"leq", COMPARE, 1 | 2 | 4, SOFT(leq), {NULL}},
};
#define OPS (sizeof(ops) / sizeof(ops[0]))

static void start(struct run *run, uint64_t salt)
{
    const char *seed = getenv("VR_TEST_SEED");

    run->rng = (seed ? strtoull(seed, NULL, 0) : 1) * 1000 + salt;
    run->compared = 0;
}

static void finish(const struct run *run, const char *what)
{
    printf("# %s: %" PRIu64 " comparisons\n", what, run->compared);
    assert_true(run->compared > 0);
}

static void pick(struct run *run, const struct op *op, int format, uint64_t v[3])
{
    if (op->kind == FROM_INT) {
        v[0] = integer_operand(run);
        v[1] = 0;
        v[2] = 0;
    } else {
        operands(run, formats[format], v);
    }
}

/* Integer results of 32 bits are compared as such. */
static uint64_t significant(const struct op *op, uint64_t bits)
{
    return op->kind == TO_INT && abs(op->arg) == 32 ? (uint32_t)bits : bits;
}

static void check(struct run *run, const char *who, const struct op *op, int format,
                  const uint64_t v[3], unsigned rm, struct answer got, struct answer want)
{
    run->compared++;
    if (significant(op, got.bits) != significant(op, want.bits) || got.flags != want.flags) {
        fail_msg("%s f%d %s rm %u (%" PRIx64 ", %" PRIx64 ", %" PRIx64 "): %" PRIx64
                 " flags %02x, expected %" PRIx64 " flags %02x",
                 who, 16 << format, op->name, rm, v[0], v[1], v[2], got.bits, got.flags, want.bits,
                 want.flags);
    }
}

static struct answer call(thunk_fn *fn, const uint64_t v[3], unsigned rm, uint32_t flags)
{
    struct answer a;

    a.flags = flags;
    a.bits = fn(v, rm, &a.flags);
    return a;
}

static struct answer expected_min_max(struct fmt f, const uint64_t v[3], bool max, bool keep_nan)
{
    struct answer a = {nan_bits(f), is_snan(f, v[0]) || is_snan(f, v[1]) ? VR_FF_NV : 0};
    long double x = to_wide(f, v[0]);
    long double y = to_wide(f, v[1]);

    if (isnan(x) || isnan(y)) {
        if (!keep_nan && !(isnan(x) && isnan(y))) {
            a.bits = isnan(x) ? v[1] : v[0];
        }
        return a;
    }
    if (x == y) {
        /* Equal, or zeros: the maximum is negative only if both are. */
        a.bits = max ? v[0] & v[1] : v[0] | v[1];
    } else {
        a.bits = (x < y) != max ? v[0] : v[1];
    }
    return a;
}

static struct answer expected_compare(struct fmt f, const uint64_t v[3], int how)
{
    struct answer a = {0, 0};
    long double x = to_wide(f, v[0]);
    long double y = to_wide(f, v[1]);

    if (isnan(x) || isnan(y)) {
        a.flags = !(how & 4) || is_snan(f, v[0]) || is_snan(f, v[1]) ? VR_FF_NV : 0;
    } else {
        a.bits = (how & 1 && x < y) || (how & 2 && x == y);
    }
    return a;
}

static struct answer expected(const struct op *op, int format, const uint64_t v[3], unsigned rm)
{
    struct fmt f = formats[format];

    switch (op->kind) {
    case ARITH:
        return oracle(op->arg, f, f, v, rm);
    case CONVERT:
        return oracle(ARITH_SAME, formats[op->arg], f, v, rm);
    case FROM_INT: {
        uint32_t high = abs(op->arg) == 64 ? (uint32_t)(v[0] >> 32) : 0;

        if (op->arg == -32 && v[0] & 0x80000000) {
            high = UINT32_MAX;
        }
        return oracle_from_int(f, op->arg < 0 ? (long double)(int32_t)high : (long double)high,
                               (uint32_t)v[0], rm);
    }
    case TO_INT:
        return oracle_to_int(f, v[0], abs(op->arg), op->arg < 0, rm);
    case ROUND:
        return oracle_round(f, v[0], op->arg, rm);
    case MIN_MAX:
        return expected_min_max(f, v, op->arg & 1, op->arg & 2);
    case COMPARE:
        break;
    }
    return expected_compare(f, v, op->arg);
}

/* The integer code against the oracle: every operation, format and rounding mode. */
static void test_oracle(void **state)
{
    struct run run;
    int format;
    size_t o;
    int i;

    (void)state;
    start(&run, 1);
    for (format = 0; format < FORMATS; format++) {
        if (!oracle_knows(format)) {
            printf("# the host has no format wide enough to judge f%d\n", 16 << format);
            continue;
        }
        for (o = 0; o < OPS; o++) {
            int count = ops[o].soft[format] == NULL ? 0 : ops[o].kind == ARITH ? 4000 : 1500;

            for (i = 0; i < count; i++) {
                uint64_t v[3];
                unsigned rm;

                pick(&run, &ops[o], format, v);
                for (rm = VR_RNE; rm <= VR_RMM; rm++) {
                    check(&run, "soft", &ops[o], format, v, rm, call(ops[o].soft[format], v, rm, 0),
                          expected(&ops[o], format, v, rm));
                }
            }
        }
    }
    finish(&run, "integer code against oracle");
}

/* All binary16 operands of the operations that have just one. */
static void test_f16_all(void **state)
{
    struct run run;
    size_t o;

    (void)state;
    start(&run, 2);
    for (o = 0; o < OPS; o++) {
        const struct op *op = &ops[o];
        uint64_t v[3] = {0, 0, 0};

        if (!op->soft[F16] || op->kind == FROM_INT || op->kind == MIN_MAX || op->kind == COMPARE ||
            (op->kind == ARITH && op->arg != ARITH_SQRT)) {
            continue;
        }
        for (v[0] = 0; v[0] < 0x10000; v[0]++) {
            unsigned rm = op->kind == CONVERT ? VR_RNE : (unsigned)((v[0] * 7 + o) % 5);

            check(&run, "soft", op, F16, v, rm, call(op->soft[F16], v, rm, 0),
                  expected(op, F16, v, rm));
        }
    }
    finish(&run, "all binary16 numbers");
}

static uint32_t host_flags(void)
{
    int raised = fetestexcept(FE_ALL_EXCEPT);

    return (raised & FE_INEXACT ? VR_FF_NX : 0) | (raised & FE_UNDERFLOW ? VR_FF_UF : 0) |
           (raised & FE_OVERFLOW ? VR_FF_OF : 0) | (raised & FE_DIVBYZERO ? VR_FF_DZ : 0) |
           (raised & FE_INVALID ? VR_FF_NV : 0);
}

#define HOST_ARITH(fmt, bits_type, type, square_root, fused)                  \
    static struct answer host_##fmt(int op, const uint64_t v[3], unsigned rm) \
    {                                                                         \
        volatile type a = vr_##fmt##_host((bits_type)v[0]);                   \
        volatile type b = vr_##fmt##_host((bits_type)v[1]);                   \
        volatile type c = vr_##fmt##_host((bits_type)v[2]);                   \
        volatile type r = 0;                                                  \
        struct answer answer;                                                 \
                                                                              \
        fesetround(host_mode(rm));                                            \
        feclearexcept(FE_ALL_EXCEPT);                                         \
        switch (op) {                                                         \
        case ARITH_ADD:                                                       \
            r = a + b;                                                        \
            break;                                                            \
        case ARITH_SUB:                                                       \
            r = a - b;                                                        \
            break;                                                            \
        case ARITH_MUL:                                                       \
            r = a * b;                                                        \
            break;                                                            \
        case ARITH_DIV:                                                       \
            r = a / b;                                                        \
            break;                                                            \
        case ARITH_SQRT:                                                      \
            r = square_root(a);                                               \
            break;                                                            \
        default:                                                              \
            r = fused(a, b, c);                                               \
            break;                                                            \
        }                                                                     \
        answer.flags = host_flags();                                          \
        fesetround(FE_TONEAREST);                                             \
        answer.bits = vr_##fmt##_bits(r);                                     \
        return answer;                                                        \
    }
HOST_ARITH(f32, uint32_t, float, sqrtf, fmaf)
HOST_ARITH(f64, uint64_t, double, sqrt, fma)

static struct answer host_narrow(const uint64_t v[3], unsigned rm)
{
    volatile double a = vr_f64_host(v[0]);
    volatile float r;
    struct answer answer;

    fesetround(host_mode(rm));
    feclearexcept(FE_ALL_EXCEPT);
    r = (float)a;
    answer.flags = host_flags();
    fesetround(FE_TONEAREST);
    answer.bits = vr_f32_bits(r);
    return answer;
}

/* Whether the host, like RISC-V, looks for tiny results after rounding: here it is not tiny. */
static bool host_detects_tiny_after(void)
{
    /* (1 - 2^-52) * (1 + 2^-52) is 2^-104 below 1, and rounded up 1: of the smallest normal number.
     */
    const uint64_t v[3] = {0x3feffffffffffffe, 0x0010000000000001, 0};

    return !(host_f64(ARITH_MUL, v, VR_RUP).flags & VR_FF_UF);
}

/* The integer code against the host's own arithmetic, in the four modes that it has. */
static void test_host(void **state)
{
    uint32_t ignored = host_detects_tiny_after() ? 0 : VR_FF_UF;
    struct run run;
    int format;
    size_t o;
    int i;

    (void)state;
    start(&run, 3);
    for (format = F32; format <= F64; format++) {
        struct fmt f = formats[format];

        for (o = 0; o < OPS; o++) {
            const struct op *op = &ops[o];
            bool narrow = op->kind == CONVERT && format == F64 && op->arg == F32;

            for (i = 0; (op->kind == ARITH || narrow) && i < 20000; i++) {
                struct answer want;
                struct answer got;
                uint64_t v[3];
                unsigned rm = (unsigned)i & 3;

                pick(&run, op, format, v);
                got = call(op->soft[format], v, rm, 0);
                want = narrow          ? host_narrow(v, rm)
                       : format == F64 ? host_f64(op->arg, v, rm)
                                       : host_f32(op->arg, v, rm);
                if (is_nan(formats[narrow ? F32 : format], want.bits)) {
                    want.bits = nan_bits(formats[narrow ? F32 : format]);
                }
                if (op->kind == ARITH && op->arg == ARITH_FMA && is_nan(f, v[2])) {
                    /* inf * 0 + NaN: hosts differ. */
                    got.flags &= ~(uint32_t)VR_FF_NV;
                    want.flags &= ~(uint32_t)VR_FF_NV;
                }
                got.flags &= ~ignored;
                want.flags &= ~ignored;
                check(&run, "host", op, format, v, rm, got, want);
            }
        }
    }
    finish(&run, "integer code against host");
}

/* The fast paths against the integer code, with NX clear and set before. */
static void test_fast(void **state)
{
    static const unsigned modes[] = {VR_RNE, VR_RNE, VR_RTZ, VR_RNE,
                                     VR_RDN, VR_RNE, VR_RUP, VR_RMM};
    struct run run;
    int format;
    size_t o;
    int i;

    (void)state;
    start(&run, 4);
    for (format = F32; format <= F64; format++) {
        for (o = 0; o < OPS; o++) {
            const struct op *op = &ops[o];

            for (i = 0; op->fast[format] && i < 40000; i++) {
                unsigned rm = modes[i & 7];
                uint32_t flags = i & 8 ? VR_FF_NX : i & 16 ? VR_FF_UF | VR_FF_DZ : 0;
                uint64_t v[3];

                pick(&run, op, format, v);
                check(&run, "fast", op, format, v, rm, call(op->fast[format], v, rm, flags),
                      call(op->soft[format], v, rm, flags));
            }
        }
    }
    finish(&run, "fast paths against integer code");
}

static void test_min_max_specials(void **state)
{
    uint32_t flags = 0;

    (void)state;
    assert_int_equal(vr_f64_min(0x8000000000000000, 0, &flags), 0x8000000000000000);
    assert_int_equal(vr_f64_min(0, 0x8000000000000000, &flags), 0x8000000000000000);
    assert_int_equal(vr_f64_max(0x8000000000000000, 0, &flags), 0);
    assert_int_equal(vr_f32_max(0, 0x80000000, &flags), 0);
    assert_int_equal(vr_f32_min(0x7fc00001, 0x3f800000, &flags), 0x3f800000);
    assert_int_equal(vr_f32_min(0x7fc00001, 0xffc00001, &flags), VR_F32_NAN);
    assert_int_equal(flags, 0);
    assert_int_equal(vr_f32_min(0x7f800001, 0x3f800000, &flags), 0x3f800000);
    assert_int_equal(flags, VR_FF_NV);
    flags = 0;
    assert_int_equal(vr_f16_max(0x3c00, 0x7d00, &flags), 0x3c00);
    assert_int_equal(flags, VR_FF_NV);
    flags = 0;
    assert_int_equal(vr_f64_minm(0x7ff8000000000001, 0, &flags), VR_F64_NAN);
    assert_int_equal(flags, 0);
    assert_int_equal(vr_f64_maxm(0, 0x7ff0000000000001, &flags), VR_F64_NAN);
    assert_int_equal(flags, VR_FF_NV);
}

static void test_arith_specials(void **state)
{
    uint32_t flags = 0;

    (void)state;
    /* A product of infinity and zero is invalid whatever is added. */
    assert_int_equal(vr_f64_fma(0x7ff0000000000000, 0, VR_F64_NAN, VR_RNE, &flags), VR_F64_NAN);
    assert_int_equal(flags, VR_FF_NV);
    flags = 0;
    assert_int_equal(vr_f32_div(0x3f800000, 0x80000000, VR_RNE, &flags), 0xff800000);
    assert_int_equal(flags, VR_FF_DZ);
    flags = 0;
    assert_int_equal(vr_f64_sqrt(0x8000000000000000, VR_RNE, &flags), 0x8000000000000000);
    assert_int_equal(flags, 0);
    assert_int_equal(vr_f64_sqrt(0xbff0000000000000, VR_RNE, &flags), VR_F64_NAN);
    assert_int_equal(flags, VR_FF_NV);
    /* x - x, and a NaN's payload and sign. */
    flags = 0;
    assert_int_equal(vr_f32_sub(0x3f800000, 0x3f800000, VR_RDN, &flags), 0x80000000);
    assert_int_equal(vr_f32_sub(0x3f800000, 0x3f800000, VR_RUP, &flags), 0);
    assert_int_equal(vr_f32_add(0xffc12345, 0x3f800000, VR_RNE, &flags), VR_F32_NAN);
    assert_int_equal(flags, 0);
    /* Ties: 1 + 2^-24 in the five modes. */
    assert_int_equal(vr_f32_add(0x3f800000, 0x33800000, VR_RNE, &flags), 0x3f800000);
    assert_int_equal(vr_f32_add(0x3f800000, 0x33800000, VR_RMM, &flags), 0x3f800001);
    assert_int_equal(vr_f32_add(0xbf800000, 0xb3800000, VR_RMM, &flags), 0xbf800001);
    assert_int_equal(flags, VR_FF_NX);
    /* Just below the least normal number: rounded up to it, and not tiny, or just tiny. */
    flags = 0;
    assert_int_equal(vr_f32_mul(0x3f7fffff, 0x00800001, VR_RNE, &flags), 0x00800000);
    assert_int_equal(flags, VR_FF_NX);
    flags = 0;
    assert_int_equal(vr_f32_mul(0x3f7fffff, 0x00800000, VR_RNE, &flags), 0x00800000);
    assert_int_equal(flags, VR_FF_NX | VR_FF_UF);
}

static void test_int_specials(void **state)
{
    /* The manual's table "Domains of float-to-integer conversions and behavior for invalid inputs".
     */
    static const uint64_t in[] = {0xfff0000000000000, 0x7ff0000000000000, 0x7ff8000000000000,
                                  0xffefffffffffffff, 0xfff0000000000001};
    static const bool low[] = {true, false, false, true, false};
    uint32_t flags;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        flags = 0;
        assert_true(vr_f64_to_i32(in[i], VR_RTZ, &flags) == (low[i] ? INT32_MIN : INT32_MAX));
        assert_true(vr_f64_to_i64(in[i], VR_RTZ, &flags) == (low[i] ? INT64_MIN : INT64_MAX));
        assert_true(vr_f64_to_u32(in[i], VR_RTZ, &flags) == (low[i] ? 0 : UINT32_MAX));
        assert_true(vr_f64_to_u64(in[i], VR_RTZ, &flags) == (low[i] ? 0 : UINT64_MAX));
        assert_int_equal(flags, VR_FF_NV);
    }
    flags = 0;
    assert_int_equal(vr_f64_to_u32(0xbfe0000000000000, VR_RNE, &flags), 0); /* -0.5 */
    assert_int_equal(flags, VR_FF_NX);
    flags = 0;
    assert_int_equal(vr_f64_to_u32(0xbfe0000000000000, VR_RMM, &flags), 0); /* to -1 */
    assert_int_equal(flags, VR_FF_NV);
    flags = 0;
    assert_true(vr_f64_to_i32(0x41dfffffffe00000, VR_RNE, &flags) == INT32_MAX); /* 2^31 - 1/2 */
    assert_int_equal(flags, VR_FF_NV);
    flags = 0;
    assert_true(vr_f64_to_i32(0x41dfffffffe00000, VR_RTZ, &flags) == INT32_MAX);
    assert_int_equal(flags, VR_FF_NX);
}

static void test_cvtmod(void **state)
{
    static const struct {
        uint64_t in;
        uint32_t out;
        uint32_t flags;
    } cases[] = {
        {0x0000000000000000, 0, 0},
        {0x8000000000000000, 0, 0},
        {0x7ff0000000000000, 0, VR_FF_NV},
        {0xfff0000000000000, 0, VR_FF_NV},
        {0x7ff8000000000000, 0, VR_FF_NV},
        {0x7ff0000000000001, 0, VR_FF_NV},
        {0x3ff8000000000000, 1, VR_FF_NX},          /* 1.5 */
        {0xbff8000000000000, UINT32_MAX, VR_FF_NX}, /* -1.5 */
        {0x41e0000000000000, 0x80000000, VR_FF_NV}, /* 2^31 */
        {0xc1e0000000000000, 0x80000000, 0},        /* -2^31 */
        {0xc1e0000000100000, 0x80000000, VR_FF_NX}, /* -2^31 - 1/2 */
        {0x41f0000000000000, 0, VR_FF_NV},          /* 2^32 */
        {0x41f0000000180000, 1, VR_FF_NV},          /* 2^32 + 1.5 */
        {0xc1f0000000180000, UINT32_MAX, VR_FF_NV}, /* -2^32 - 1.5 */
        {0x4330000000000001, 1, VR_FF_NV},          /* 2^52 + 1 */
        {0xc330000000000001, UINT32_MAX, VR_FF_NV}, /* -2^52 - 1 */
        {0x43effffffffffffe, 0xfffff000, VR_FF_NV}, /* 2^64 - 2^12 */
        {0x4510000000000001, 0x40000000, VR_FF_NV}, /* 2^82 + 2^30 */
        {0x4520000000000001, 0x80000000, VR_FF_NV}, /* 2^83 + 2^31 */
        {0x4530000000000001, 0, VR_FF_NV},          /* 2^84 + 2^32 */
        {0x7fefffffffffffff, 0, VR_FF_NV},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t flags = 0;

        assert_int_equal((uint32_t)vr_f64_cvtmod_i32(cases[i].in, &flags), cases[i].out);
        assert_int_equal(flags, cases[i].flags);
    }
}

static void test_class(void **state)
{
    static const uint64_t in[FORMATS][10] = {
        {0xfc00, 0xc000, 0x83ff, 0x8000, 0x0000, 0x0001, 0x0400, 0x7c00, 0x7c01, 0xfe00},
        {0xff800000, 0x80800000, 0x807fffff, 0x80000000, 0, 1, 0x7f7fffff, 0x7f800000, 0xffbfffff,
         0x7fc00000},
        {0xfff0000000000000, 0xbff0000000000000, 0x8000000000000001, 0x8000000000000000, 0,
         0x000fffffffffffff, 0x0010000000000000, 0x7ff0000000000000, 0x7ff0000000000001,
         0xfff8000000000000},
    };
    unsigned i;

    (void)state;
    for (i = 0; i < 10; i++) {
        assert_int_equal(vr_f16_class((uint16_t)in[F16][i]), 1u << i);
        assert_int_equal(vr_f32_class((uint32_t)in[F32][i]), 1u << i);
        assert_int_equal(vr_f64_class(in[F64][i]), 1u << i);
    }
}

static void test_fli(void **state)
{
    static const double values[32] = {
        -1.0,   0,   0x1p-16, 0x1p-15, 0x1p-8, 0x1p-7, 0.0625,  0.125,   0.25,     0.3125, 0.375,
        0.4375, 0.5, 0.625,   0.75,    0.875,  1.0,    1.25,    1.5,     1.75,     2.0,    2.5,
        3.0,    4.0, 8.0,     16.0,    128.0,  256.0,  32768.0, 65536.0, INFINITY, 0,
    };
    unsigned i;

    (void)state;
    for (i = 0; i < 31; i++) {
        if (i != 1) {
            assert_int_equal(vr_f64_fli(i), vr_f64_bits(values[i]));
            assert_int_equal(vr_f32_fli(i), vr_f32_bits((float)values[i]));
            assert_int_equal(vr_f16_fli(i), i == 29 ? 0x7c00 : from_wide(formats[F16], values[i]));
        }
    }
    assert_int_equal(vr_f64_fli(1), vr_f64_bits(DBL_MIN));
    assert_int_equal(vr_f32_fli(1), vr_f32_bits(FLT_MIN));
    assert_int_equal(vr_f16_fli(1), 0x0400);
    assert_int_equal(vr_f64_fli(31), VR_F64_NAN);
    assert_int_equal(vr_f32_fli(31), VR_F32_NAN);
    assert_int_equal(vr_f16_fli(31), VR_F16_NAN);
}

static void test_boxing(void **state)
{
    (void)state;
    assert_int_equal(vr_f32_unbox(0xffffffff3f800000), 0x3f800000);
    assert_int_equal(vr_f32_unbox(0xfffffffe3f800000), VR_F32_NAN);
    assert_int_equal(vr_f32_unbox(0x000000003f800000), VR_F32_NAN);
    assert_int_equal(vr_f16_unbox(0xffffffffffff3c00), 0x3c00);
    assert_int_equal(vr_f16_unbox(0xfffffffffffe3c00), VR_F16_NAN);
    assert_int_equal(vr_f32_box(0x80000000), 0xffffffff80000000);
    assert_int_equal(vr_f16_box(0x8000), 0xffffffffffff8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle),
        cmocka_unit_test(test_f16_all),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_fast),
        cmocka_unit_test(test_min_max_specials),
        cmocka_unit_test(test_arith_specials),
        cmocka_unit_test(test_int_specials),
        cmocka_unit_test(test_cvtmod),
        cmocka_unit_test(test_class),
        cmocka_unit_test(test_fli),
        cmocka_unit_test(test_boxing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
