/* Sv48: see paging.h. */
#define LEVELS 4
#include "paging.h"
