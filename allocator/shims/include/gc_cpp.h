/* For programs that say <gc_cpp.h>. */
#include "gc/gc_cpp.h"
