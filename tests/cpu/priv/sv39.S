/* Sv39: see paging.h. */
#define LEVELS 3
#include "paging.h"
