/* For programs that say <gc.h>. */
#include "gc/gc.h"
