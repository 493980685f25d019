/* What the settings are where the environment says nothing. A file of its own: the drop-in for
   another collector's library has another (shims/gc_defaults.c). */
#include "collector/barrier.h"
#include "collector/settings.h"

const struct settings settings_default = {
    .gogc = 100,
    .memory_limit_b = UINT64_MAX,
    .huge_pages = SETTING_UNSET,
    .period_s = 120,
    .mode = SETTING_UNSET,
    .barrier = BARRIER_DELETION,
    .workers = INT32_MAX,
    .profile_rate_b = SETTING_UNSET,
    .types = SETTING_UNSET,
    .poison = 1,
    .quarantine_b = SETTING_UNSET,
    .stress_buffers = WORKBUF_WORDS,
    .task_stack_b = UINT64_C(64) << 10,
};
