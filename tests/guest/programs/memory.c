/*
 * Uses memory hard and knows what has to be in all of it: takes pieces, fills them, gives them
 * back, and checks them in between. For guests that move while they run.
 *
 *     memory PEAK LOW HIGH FILE     MiB that it takes at first, and holds then at least and at
 * most; FILE: how often it had checked ("3"), or what was wrong
 *
 * After the peak it holds more and more until it has HIGH, then less until LOW, and so on. Ends
 * when FILE.end appears, after a last check of everything.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX = 4096, PIECE = 1 << 18 };

struct piece {
    uint64_t *words;
    uint64_t seed;
};

static struct piece pieces[MAX];
static unsigned count;
static uint64_t made;
static char said[256], name[256], last[260];

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void say(void)
{
    char other[270];
    snprintf(other, sizeof(other), "%s.new", name);
    FILE *f = fopen(other, "w");
    if (!f || fputs(said, f) < 0 || fclose(f) || rename(other, name)) {
        exit(3);
    }
}

/* One word in four; of each page some. */
static void check(const struct piece *p)
{
    for (unsigned i = 0; i < PIECE / 8; i += 4) {
        if (p->words[i] != mix(p->seed + i)) {
            snprintf(said, sizeof(said),
                     "wrong: piece %" PRIu64 ", word %u: %" PRIx64 " for %" PRIx64, p->seed, i,
                     p->words[i], mix(p->seed + i));
            say();
            exit(1);
        }
    }
}

static void take(void)
{
    struct piece *p = &pieces[count];
    if (count == MAX) {
        exit(4);
    }
    p->words = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->words == MAP_FAILED) {
        exit(4);
    }
    p->seed = ++made << 20;
    for (unsigned i = 0; i < PIECE / 8; i += 4) {
        if (p->words[i] || p->words[i + 1]) { /* new memory is empty */
            snprintf(said, sizeof(said), "wrong: new memory holds %" PRIx64, p->words[i]);
            say();
            exit(1);
        }
        p->words[i] = mix(p->seed + i);
    }
    count++;
}

static void give(unsigned i)
{
    check(&pieces[i]);
    munmap(pieces[i].words, PIECE);
    pieces[i] = pieces[--count];
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    unsigned peak = (unsigned)atoi(argv[1]) * 4;
    unsigned low = (unsigned)atoi(argv[2]) * 4, high = (unsigned)atoi(argv[3]) * 4;
    uint64_t random = 1, rounds = 0;
    int up = 1;
    snprintf(name, sizeof(name), "%s", argv[4]);
    snprintf(last, sizeof(last), "%s.end", argv[4]);
    while (count < peak) {
        take();
    }
    while (count > low) {
        give(count - 1);
    }
    for (;;) {
        int end = access(last, F_OK) == 0;
        for (unsigned k = 0; k < 64; k++) {
            random = mix(random + 1);
            up = count >= high ? 0 : count <= low ? 1 : up;
            if (count < low || (up ? random % 4 != 0 : random % 4 == 0)) {
                take();
            } else if (count) {
                /* Now what is anywhere, now what came last, so that large pieces become free. */
                give(rounds / 16 % 2 ? (unsigned)(random >> 32) % count : count - 1);
            }
        }
        for (unsigned i = end ? 0 : rounds % 8; i < count; i += end ? 1 : 8) {
            check(&pieces[i]);
        }
        snprintf(said, sizeof(said), "%" PRIu64 "%s\n", ++rounds, end ? " ended well" : "");
        say();
        if (end) {
            return 0;
        }
    }
}
