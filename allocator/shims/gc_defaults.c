/*
 * In place of collector/defaults.c. Programs for gc.h have no write barriers, so marking stops the
 * world; and they expect no collection but when the heap has grown. 40 percent is 120 divided by
 * GC_free_space_divisor, which is 3 (gc_settings.c).
 */
#include "collector/barrier.h"
#include "collector/cycle.h"
#include "collector/settings.h"

const struct settings settings_default = {
    .gogc = 40,
    .memory_limit_b = UINT64_MAX,
    .huge_pages = SETTING_UNSET,
    .period_s = 0,
    .mode = MODE_STW,
    .barrier = BARRIER_NONE,
    .workers = INT32_MAX,
    .profile_rate_b = SETTING_UNSET,
    .types = SETTING_UNSET,
    .poison = 1,
    .quarantine_b = SETTING_UNSET,
    .stress_buffers = WORKBUF_WORDS,
    .task_stack_b = UINT64_C(64) << 10,
};
