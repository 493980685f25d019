#include <spanheap/task.h>

#include "types/panic.h"
#include "types/soft_lock.h"
#include "types/wait.h"

static void
unlock_group(void *group)
{
    soft_unlock(&((struct sh_wait_group *)group)->lock);
}

void
sh_wait_group_add(struct sh_wait_group *group, int64_t delta)
{
    refuse_nil(group, "sh_wait_group_add: group");
    soft_lock(&group->lock);
    int64_t count = group->count + delta;
    if (unlikely(count < 0)) {
        soft_unlock(&group->lock);
        panic_plain("sync: negative WaitGroup counter");
    }
    group->count = count;
    struct sh_waiter *w = NULL;
    if (count == 0) {
        w = group->first;
        group->first = NULL;
    }
    soft_unlock(&group->lock);
    while (w != NULL) { /* it may be gone once its owner runs */
        struct sh_waiter *next = w->next;
        wait_wake(w->parking);
        w = next;
    }
}

void
sh_wait_group_done(struct sh_wait_group *group)
{
    refuse_nil(group, "sh_wait_group_done: group");
    sh_wait_group_add(group, -1);
}

void
sh_wait_group_wait(struct sh_wait_group *group)
{
    struct parking p;
    refuse_nil(group, "sh_wait_group_wait: group");
    soft_lock(&group->lock);
    if (group->count == 0) {
        soft_unlock(&group->lock);
        return;
    }
    wait_init(&p);
    struct sh_waiter w = {.parking = &p, .next = group->first};
    group->first = &w;
    wait_park(&p, unlock_group, group, "semacquire", group, __builtin_return_address(0));
}
