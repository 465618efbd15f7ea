/* Sv57: see paging.h. */
#define LEVELS 5
#include "paging.h"
