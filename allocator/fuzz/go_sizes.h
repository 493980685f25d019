/* Go's size classes, from another source than the library's. */
#ifndef SPANHEAP_FUZZ_GO_SIZES_H
#define SPANHEAP_FUZZ_GO_SIZES_H

#include <stddef.h>

/** A size of Go's size classes: n of any value. */
size_t class_of_go(size_t n);
/** What Go's heap takes for size bytes. */
size_t size_of_go(size_t size);

#endif
