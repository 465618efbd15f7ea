/* What every C test includes: cmocka, with the headers that it wants before itself. */
#ifndef VR_TEST_H
#define VR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Neither passed nor failed, and why: the runner takes the remark for the reason. */
#define skip_because(...) (print_message("# skipped: " __VA_ARGS__), print_message("\n"), skip())

#endif
