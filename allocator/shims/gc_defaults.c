/*
 * In place of collector/defaults.c. Programs for gc.h have no write barriers, so marking stops the
 * world; and they expect no collection but when the heap has grown. 40 percent is 120 divided by
 * GC_free_space_divisor, which is 3 (gc_settings.c).
 */
#include "collector/barrier.h"
#include "collector/cycle.h"
#include "collector/settings.h"

const struct settings settings_default = {
    SETTINGS_COMMON, .gogc = 40, .period_s = 0, .mode = MODE_STW, .barrier = BARRIER_NONE,
};
