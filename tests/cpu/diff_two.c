/* cpu_diff2: compares two oracle commands with each other (--oracle, --against); needs no engine.
 */
#include "diff.h"

int main(int argc, char **argv)
{
    return diff_main(argc, argv, NULL);
}
