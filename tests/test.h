/* What every C test includes: cmocka, with the headers that it wants before itself. */
#ifndef VR_TEST_H
#define VR_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
