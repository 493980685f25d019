/*
 * In place of collector/defaults.c. Programs for gc.h have no write barriers, so marking stops the
 * world; and they expect no collection but when the heap has grown. GC_free_space_divisor is 3, by
 * which Boehm's collector lets the heap grow by two thirds of what lives.
 */
#include "collector/barrier.h"
#include "collector/cycle.h"
#include "collector/settings.h"

const struct settings settings_default = {
    .gogc = 66,
    .memory_limit_b = UINT64_MAX,
    .huge_pages = SETTING_UNSET,
    .period_s = 0,
    .mode = MODE_STW,
    .barrier = BARRIER_NONE,
    .workers = INT32_MAX,
    .profile_rate_b = SETTING_UNSET,
    .stress_buffers = WORKBUF_WORDS,
    .task_stack_b = UINT64_C(64) << 10,
};
