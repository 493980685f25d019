/* A forced collection and one that the heap's size has started; the harness reads their trace
 * lines.
 */
#include "fidelity.h"

static void *volatile sink;

void
trace(void)
{
    for (int i = 0; i < 200000; i++)
        sink = sh_alloc_noscan(64);
    sh_collect();
    record_number(1, "trace/ran");
}
