/* The engine that a test's harts run on: $VR_TEST_ENGINE, so that one test is run on each of them
 * (meson.build). Not set: interp. */
#ifndef VR_TEST_RV_ENGINE_H
#define VR_TEST_RV_ENGINE_H

#include "cpu/jit/jit.h"
#include "cpu/riscv/hart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void engine_differs(void *opaque, unsigned cpu, const char *report)
{
    (void)opaque;
    fprintf(stderr, "hart %u:\n%s", cpu, report);
    abort();
}

/* Code is compiled when it is first run, so that both engines are in use from the start on. */
static inline void engine_named(struct rv_config *config, const char *name)
{
    if (strcmp(name, "interp") == 0) {
        return;
    }
    config->jit = true;
    config->lockstep = strcmp(name, "lockstep") == 0;
    config->jit_opts = (struct vr_jit_opts){
        .hot = strcmp(name, "jit-warm") == 0 ? 3 : 1,
        .code_bytes = strcmp(name, "jit-small") == 0 ? VR_JIT_CODE_MIN : 0,
        .differ = engine_differs,
    };
}

static inline void use_engine(struct rv_config *config)
{
    const char *name = getenv("VR_TEST_ENGINE");
    engine_named(config, name ? name : "interp");
}

/* The engine is not on this host: says so, and there is nothing to run. */
static inline bool engine_missing(void)
{
    const char *name = getenv("VR_TEST_ENGINE");
    struct vr_error why = {0};
    if (!name || strcmp(name, "interp") == 0 || vr_jit_available(&why) == 0) {
        return false;
    }
    printf("1..0 # SKIP %s\n", why.msg);
    return true;
}

#endif
