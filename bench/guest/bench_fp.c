/* Floating point. */
#include "bench.h"

/* double matmul 64x64, plain multiply and add; op = one multiply-add */
static double MA[64][64], MB[64][64], MC[64][64];
static void mat_init(void)
{
    if (MA[1][1] == 0) {
        for (int i = 0; i < 64; i++) {
            for (int j = 0; j < 64; j++) {
                MA[i][j] = i * 0.5 + j;
                MB[i][j] = i - j * 0.25;
            }
        }
    }
}
static uint64_t BENCH_NOINLINE __attribute__((optimize("fp-contract=off"))) b_matmul(uint64_t n)
{
    mat_init();
    for (uint64_t k = 0; k < n; k += 64 * 64 * 64) {
        for (int i = 0; i < 64; i++) {
            for (int j = 0; j < 64; j++) {
                double s = 0;
                for (int l = 0; l < 64; l++) {
                    s += MA[i][l] * MB[l][j];
                }
                MC[i][j] = s;
            }
        }
    }
    return (uint64_t)(int64_t)MC[5][7];
}

/* the same with fused multiply-add (fmadd.d; FMA3 natively); op = one fma */
static uint64_t BENCH_NOINLINE b_matmul_fma(uint64_t n)
{
    mat_init();
    for (uint64_t k = 0; k < n; k += 64 * 64 * 64) {
        for (int i = 0; i < 64; i++) {
            for (int j = 0; j < 64; j++) {
                double s = 0;
                for (int l = 0; l < 64; l++) {
                    s = __builtin_fma(MA[i][l], MB[l][j], s);
                }
                MC[i][j] = s;
            }
        }
    }
    return (uint64_t)(int64_t)MC[5][7];
}

/* nbody; op = one step of 5 bodies */
static struct {
    double x[3], v[3], m;
} nb[5] = {{{0, 0, 0}, {0, 0, 0}, 39.47841760435743},
           {{4.84143144246472090, -1.16032004402742839, -0.103622044471123109},
            {0.606326392995832, 2.81198684491626, -0.02521836165988763},
            0.03769367487038949},
           {{8.34336671824457987, 4.12479856412430479, -0.403523417114321381},
            {-1.01077434617879, 1.82566237123041, 0.00841576137658415},
            0.011286326131968767},
           {{12.8943695621391310, -15.1111514016986312, -0.223307578892655734},
            {1.08279100644154, 0.868713018169608, -0.010832637401363636},
            0.0017237240570597112},
           {{15.3796971148509165, -25.9193146099879641, 0.179258772950371181},
            {0.979090732243898, 0.594698998647676, -0.034755955504078104},
            0.0020336868699246304}};
static uint64_t BENCH_NOINLINE b_nbody(uint64_t n)
{
    const double dt = 0.001;
    while (n--) {
        for (int i = 0; i < 5; i++) {
            for (int j = i + 1; j < 5; j++) {
                double d[3], d2 = 0;
                for (int k = 0; k < 3; k++) {
                    d[k] = nb[i].x[k] - nb[j].x[k];
                    d2 += d[k] * d[k];
                }
                double mag = dt / (d2 * __builtin_sqrt(d2));
                for (int k = 0; k < 3; k++) {
                    nb[i].v[k] -= d[k] * nb[j].m * mag;
                    nb[j].v[k] += d[k] * nb[i].m * mag;
                }
            }
        }
        for (int i = 0; i < 5; i++) {
            for (int k = 0; k < 3; k++) {
                nb[i].x[k] += dt * nb[i].v[k];
            }
        }
    }
    return (uint64_t)(int64_t)(nb[0].x[0] * 1e9);
}

/* mandelbrot; op = one inner iteration */
static uint64_t BENCH_NOINLINE __attribute__((optimize("fp-contract=off"))) b_mandel(uint64_t n)
{
    uint64_t it = 0, in = 0;
    for (int p = 0; it < n; p++) {
        double cx = -2 + 2.5 * ((p * 7919) % 997) / 997.0,
               cy = -1.2 + 2.4 * ((p * 104729) % 991) / 991.0;
        double x = 0, y = 0, x2 = 0, y2 = 0;
        int k;
        for (k = 0; k < 200 && x2 + y2 < 4; k++) {
            y = 2 * x * y + cy;
            x = x2 - y2 + cx;
            x2 = x * x;
            y2 = y * y;
        }
        it += (uint64_t)k + 1;
        in += k == 200;
    }
    return in;
}

/* single precision saxpy + dot; op = one element */
static uint64_t BENCH_NOINLINE __attribute__((optimize("fp-contract=off"))) b_float32(uint64_t n)
{
    static float x[1024], y[1024];
    for (int i = 0; i < 1024; i++) {
        x[i] = (float)i * 0.01f;
        y[i] = 1.0f;
    }
    float dot = 0;
    for (uint64_t k = 0; k < n; k += 1024) {
        dot = 0;
        for (int i = 0; i < 1024; i++) {
            y[i] = y[i] * 0.999f + x[i] * 0.001f;
            dot += y[i] * x[i];
        }
    }
    return (uint64_t)(int64_t)dot;
}

/* conversions and compares; op = one round */
static uint64_t BENCH_NOINLINE b_fpconv(uint64_t n)
{
    double a = 1.25;
    int64_t s = 0;
    float f = 0.5f;
    while (n--) {
        int64_t i = (int64_t)(a * 3.7);
        double b = (double)(i ^ (int64_t)n);
        f = (float)b;
        if (b < a) {
            s++;
        } else {
            s -= 2;
        }
        a = (double)f * 1e-3 + (double)(int32_t)s;
        if (a > 1e6 || a < -1e6) {
            a = 1.25;
            s = 0;
        }
    }
    return (uint64_t)s + (uint64_t)(int64_t)a;
}

const struct bench bench_fp[] = {
    {"matmul", "fp", b_matmul, 262144},
    {"matmul_fma", "fp", b_matmul_fma, 262144},
    {"nbody", "fp", b_nbody, 1000},
    {"mandel", "fp", b_mandel, 50000},
    {"float32", "fp", b_float32, 102400},
    {"fpconv", "fp", b_fpconv, 20000},
    {NULL, NULL, NULL, 0},
};
