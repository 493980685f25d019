/* What the settings are where the environment says nothing. A file of its own: the drop-in for
   another collector's library has another (shims/gc_defaults.c). */
#include "collector/barrier.h"
#include "collector/settings.h"

const struct settings settings_default = {
    SETTINGS_COMMON,
    .gogc = 100,
    .period_s = 120,
    .mode = SETTING_UNSET,
    .barrier = BARRIER_DELETION,
};
