/* Go 1.19, runtime/sizeclasses.go. */
#include "go_sizes.h"

#include "fuzz.h"

#define PAGE_OF_GO 8192

static const uint16_t go_sizes[] = {
    8,     16,    24,    32,    48,    64,    80,    96,    112,   128,   144,   160,
    176,   192,   208,   224,   240,   256,   288,   320,   352,   384,   416,   448,
    480,   512,   576,   640,   704,   768,   896,   1024,  1152,  1280,  1408,  1536,
    1792,  2048,  2304,  2688,  3072,  3200,  3456,  4096,  4864,  5376,  6144,  6528,
    6784,  6912,  8192,  9472,  9728,  10240, 10880, 12288, 13568, 14336, 16384, 18432,
    19072, 20480, 21760, 24576, 27264, 28672, 32768,
};

size_t
class_of_go(size_t n)
{
    return go_sizes[n % COUNT_OF(go_sizes)];
}

size_t
size_of_go(size_t size)
{
    for (size_t c = 0; c < COUNT_OF(go_sizes); c++)
        if (size <= go_sizes[c])
            return go_sizes[c];
    return (size + PAGE_OF_GO - 1) / PAGE_OF_GO * PAGE_OF_GO;
}
