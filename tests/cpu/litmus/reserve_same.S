/* reserve.S where the other hart stores the very value that is there. */
#define SAME_VALUE
#include "reserve.S"
