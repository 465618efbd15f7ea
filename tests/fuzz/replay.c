/*
 * Runs a fuzz target without a fuzzer: each seed, then mutations of the seeds from a fixed random
 * sequence, as one TAP test each. With --seeds DIR it writes the seeds there, as a first corpus for
 * libFuzzer; with file names it runs those files (to look at a crash). FUZZ_SEED and FUZZ_COUNT in
 * the environment: another random sequence, and how many mutations.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUT_MAX = 1 << 20,
    MUTATIONS = 3000,
};

static uint64_t replay_random(uint64_t *state)
{
    *state ^= *state << 13; /* xorshift64, Marsaglia 2003 */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Exactly sized and on the heap, so that the address sanitizer sees the first byte out of bounds.
 */
static void replay_run(const uint8_t *data, size_t len)
{
    uint8_t *copy = calloc(1, len ? len : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static size_t replay_mutate(uint64_t *rng, uint8_t *buf, size_t len)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe};
    unsigned changes = 1 + (unsigned)(replay_random(rng) % 8);
    for (unsigned i = 0; i < changes && len > 0; i++) {
        size_t at = (size_t)(replay_random(rng) % len);
        size_t run = 1 + (size_t)(replay_random(rng) % 8);
        switch (replay_random(rng) % 5) {
        case 0:
            buf[at] ^= (uint8_t)(1u << (replay_random(rng) % 8));
            break;
        case 1:
            buf[at] = (uint8_t)replay_random(rng);
            break;
        case 2: /* a whole field at an edge value */
            memset(buf + at, edges[replay_random(rng) % sizeof(edges)],
                   run < len - at ? run : len - at);
            break;
        case 3: /* cut */
            len = at;
            break;
        default: /* a piece from elsewhere */
            run = run < len - at ? run : len - at;
            memmove(buf + (size_t)(replay_random(rng) % (len - run + 1)), buf + at, run);
            break;
        }
    }
    return len;
}

static uint64_t replay_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static int replay_write_seeds(const char *dir, uint8_t *buf)
{
    size_t len;
    for (unsigned n = 0; (len = fuzz_seed(n, buf, INPUT_MAX)) > 0; n++) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%s/seed%u", dir, n);
        FILE *f = fopen(path, "wb");
        bool good = f && fwrite(buf, 1, len, f) == len;
        if ((f && fclose(f) != 0) || !good) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

static int replay_file(const char *path, uint8_t *buf)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    size_t len = fread(buf, 1, INPUT_MAX, f);
    (void)fclose(f);
    replay_run(buf, len);
    return 0;
}

int main(int argc, char **argv)
{
    uint8_t *buf = calloc(1, INPUT_MAX), *seed = calloc(1, INPUT_MAX);
    if (!buf || !seed) {
        return 1;
    }
    int bad = 0;
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        bad = replay_write_seeds(argv[2], buf);
    } else if (argc > 1) {
        for (int i = 1; i < argc; i++) {
            bad |= replay_file(argv[i], buf);
        }
    } else {
        unsigned seeds = 0;
        replay_run(buf, 0);
        for (size_t len; (len = fuzz_seed(seeds, buf, INPUT_MAX)) > 0; seeds++) {
            replay_run(buf, len);
        }
        uint64_t rng = 0x9e3779b97f4a7c15 ^ replay_number("FUZZ_SEED", 0) << 1;
        uint64_t count = replay_number("FUZZ_COUNT", MUTATIONS);
        for (uint64_t i = 0; i < count && seeds > 0; i++) {
            size_t len = fuzz_seed((unsigned)(i % seeds), seed, INPUT_MAX);
            len = replay_mutate(&rng, seed, len);
            replay_run(seed, len);
        }
        printf("1..2\n%sok 1 - %u seeds\nok 2 - %llu mutations\n", seeds ? "" : "not ", seeds,
               (unsigned long long)count);
        bad = seeds == 0;
    }
    free(buf);
    free(seed);
    return bad;
}
