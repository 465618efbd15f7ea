/* What a person sees of a difference: the code, the values that go in, the values that differ. */
#include "diff.h"
#include "isa.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *report_cause(uint32_t cause)
{
    static const char *const name[] = {"end",        "ebreak", "illegal", "access fault",
                                       "misaligned", "other",  "timeout"};

    return cause < sizeof(name) / sizeof(name[0]) ? name[cause] : "?";
}

/* Marks the registers that a line of disassembly names. */
static void note_registers(const char *text, bool used[2][32])
{
    const char *p = strchr(text, ' ');

    while (p && *p) {
        if ((*p == 'x' || *p == 'f') && p[1] >= '0' && p[1] <= '9' && p[-1] != '0') {
            unsigned long r = strtoul(p + 1, NULL, 10);

            if (r < 32) {
                used[*p == 'f'][r] = true;
            }
        } else if (p[0] == 's' && p[1] == 'p') {
            used[0][2] = true;
        }
        p++;
    }
}

void report_case(const char *const names[2], const struct batch *b, uint32_t i,
                 const struct batch_result *r0, const struct batch_result *r1)
{
    const struct batch_case *c = &b->c[i];
    const uint8_t *code = b->code + (size_t)i * BATCH_CODE_MAX;
    bool used[2][32] = {{false}};

    for (uint32_t off = 0; off < c->code_bytes;) {
        uint32_t w = 0;
        char text[128];
        unsigned len;

        memcpy(&w, code + off, off + 4 <= c->code_bytes ? 4 : 2);
        len = isa_print(text, sizeof(text), c->pc + off, w, b->features);
        if (w != 0x13 && !(len == 2 && (w & 0xffff) == 1)) { /* leave out what shrinking emptied */
            printf("#   %08" PRIx64 ": %0*x%*s %s\n", c->pc + off, (int)len * 2,
                   len == 2 ? w & 0xffff : w, len == 2 ? 4 : 0, "", text);
            note_registers(text, used);
        }
        off += len;
    }
    printf("#   in:  fcsr=%02x scratch_seed=%" PRIx64 "\n", c->fcsr, c->scratch_seed);
    for (unsigned k = 0; k < 64; k++) {
        if (used[k / 32][k % 32]) {
            printf("#   in:  %c%u=%016" PRIx64 "\n", k < 32 ? 'x' : 'f', k % 32,
                   k < 32 ? c->x[k] : c->f[k - 32]);
        }
    }
    printf("#   %-24s %16s %16s\n", "", names[0], names[1]);
    if (r0->cause != r1->cause || r0->pc != r1->pc) {
        printf("#   %-24s %16s %16s\n", "ended by", report_cause(r0->cause),
               report_cause(r1->cause));
        printf("#   %-24s %16" PRIx64 " %16" PRIx64 "\n", "pc", r0->pc, r1->pc);
    }
    for (unsigned k = 0; k < 64; k++) {
        uint64_t v0 = k < 32 ? r0->x[k] : r0->f[k - 32], v1 = k < 32 ? r1->x[k] : r1->f[k - 32];

        if (v0 != v1) {
            printf("#   %c%-23u %016" PRIx64 " %016" PRIx64 "\n", k < 32 ? 'x' : 'f', k % 32, v0,
                   v1);
        }
    }
    if (r0->fcsr != r1->fcsr) {
        printf("#   %-24s %16x %16x\n", "fcsr", r0->fcsr, r1->fcsr);
    }
    if (r0->hash != r1->hash) {
        printf("#   %-24s %016" PRIx64 " %016" PRIx64 "\n", "memory hash", r0->hash, r1->hash);
    }
}
