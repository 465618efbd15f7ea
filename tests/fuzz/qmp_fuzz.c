/* Bytes from a client of the control socket: any stream is answered with lines that are JSON, and
 * takes a bounded amount of memory. */
#include "fuzz.h"

#include "control/qmp.h"
#include "fuzz_vm.h"

#include <string.h>

static struct vr_qmp *fuzz_qmp;

static void fuzz_send(void *opaque, const char *text, size_t len)
{
    (void)opaque;
    KEEPS(len > 2 && memcmp(text + len - 2, "\r\n", 2) == 0);
    json_t *json = json_loadb(text, len, 0, NULL);
    KEEPS(json);
    json_decref(json);
}

static void fuzz_ready(void *opaque)
{
    (void)opaque;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct vr_qmp_session *session;
    const struct vr_qmp_io io = {.send = fuzz_send, .ready = fuzz_ready, .broken = fuzz_ready};
    if (!fuzz_qmp) {
        KEEPS(vr_qmp_create(fuzz_vm(), &fuzz_qmp, NULL) == 0);
    }
    KEEPS(vr_qmp_open(fuzz_qmp, &io, &session, NULL) == 0);
    /* The first byte says whether it begins with a negotiation, and in which pieces it comes. */
    size_t piece = len ? data[0] / 2 + 1u : 1;
    static const char hello[] = "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": "
                                "[\"oob\"]}}";
    if (len && data[0] % 2) {
        KEEPS(vr_qmp_input(session, hello, sizeof(hello) - 1) == sizeof(hello) - 1);
    }
    for (size_t at = len ? 1 : 0; at < len;) {
        size_t n = len - at < piece ? len - at : piece;
        if (!vr_qmp_takes(session)) {
            vr_qmp_drain(fuzz_qmp);
        }
        at += vr_qmp_input(session, (const char *)data + at, n);
    }
    vr_qmp_close(session);
    vr_qmp_drain(fuzz_qmp);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    static const char *const seeds[] = {
        "\xff{\"execute\": \"query-status\", \"id\": 1}{\"exec-oob\": \"query-version\"}",
        "\x01{\"execute\": \"stop\"}{\"execute\": \"cont\", \"arguments\": {}}\r\n",
        "\x10{\"execute\": \"qmp_capabilities\"}\n{\"execute\": \"query-qmp-schema\"}",
        "\x81{\"execute\": \"x-vireo-events\", \"arguments\": {\"after\": -1}, \"id\": {\"a\": "
        "[]}}",
        "\x21{\"execute\": \"x-vireo-stats\", \"arguments\": {\"group\": \"jit\\u00e9\"}}",
        "\x41[[{\"a\": \"\\\"]}\"}]] nonsense\n{\"execute\": \"query-blockstats\", \"arguments\": "
        "{\"query-nodes\": true}}",
    };
    if (n >= VR_COUNT(seeds) || strlen(seeds[n]) > cap) {
        return 0;
    }
    memcpy(buf, seeds[n], strlen(seeds[n]));
    return strlen(seeds[n]);
}
