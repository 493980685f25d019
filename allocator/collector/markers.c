#include "collector/markers.h"

#include "heap/os.h"

#define WAIT_NS 500000u /* at most, for work that others may share */
#define WAIT_SPINS 400  /* before it sleeps: a few microseconds */

_Atomic uint32_t markers_hungry SH_STATE;

static struct {
    _Atomic uint32_t inside, closed;
    _Atomic uint32_t finishing; /* somebody in a stop waits for those inside to leave */
    _Atomic uint32_t bell;      /* changes when there may be work; waiters sleep on it */
    _Atomic uint64_t marked_b, scanned_b, cpu_ns[NROLES];
} markers SH_STATE = {.closed = 1};

void
markers_open(void)
{
    atomic_store(&markers.marked_b, 0);
    atomic_store(&markers.scanned_b, 0);
    for (int role = 0; role < NROLES; role++)
        atomic_store(&markers.cpu_ns[role], 0);
    atomic_store(&markers.closed, 0);
}

bool
markers_close(void)
{
    atomic_store(&markers.closed, 1);
    if (atomic_load(&markers.inside) == 0 && !mark_any_work())
        return true;
    markers_reopen();
    return false;
}

void
markers_reopen(void)
{
    atomic_store(&markers.closed, 0);
    markers_wake();
}

bool
markers_enter(void)
{
    atomic_fetch_add(&markers.inside, 1);
    if (likely(!atomic_load(&markers.closed)))
        return true;
    atomic_fetch_sub(&markers.inside, 1);
    return false;
}

void
markers_add(const struct marker *m)
{
    atomic_fetch_add(&markers.marked_b, m->marked_b);
    atomic_fetch_add(&markers.scanned_b, m->scanned_b);
}

void
markers_leave(struct marker *m, enum marker_role role, uint64_t cpu_ns)
{
    mark_flush(m);
    markers_add(m);
    atomic_fetch_add(&markers.cpu_ns[role], cpu_ns);
    mark_init(m);
    if (atomic_fetch_sub(&markers.inside, 1) == 1 && atomic_load(&markers.finishing))
        markers_wake();
}

bool
markers_idle(void)
{
    return atomic_load(&markers.inside) == 0 && !mark_any_work();
}

struct marker_figures
markers_figures(void)
{
    struct marker_figures f = {
        atomic_load(&markers.marked_b), atomic_load(&markers.scanned_b), {0}};
    for (int role = 0; role < NROLES; role++)
        f.cpu_ns[role] = atomic_load(&markers.cpu_ns[role]);
    return f;
}

void
markers_wait(void)
{
    uint32_t bell = atomic_load(&markers.bell);
    atomic_store(&markers_hungry, 1);
    for (int i = 0; i < WAIT_SPINS && !mark_any_work(); i++)
        pause_processor();
    atomic_store(&markers_hungry, 1); /* whoever woke others meanwhile has cleared it */
    if (!mark_any_work())
        os_futex_wait(&markers.bell, bell, WAIT_NS);
}

void
markers_wake(void)
{
    atomic_fetch_add(&markers.bell, 1);
    if (atomic_exchange(&markers_hungry, 0) != 0)
        os_futex_wake_all(&markers.bell);
}

uint64_t
markers_work(enum marker_role role, uint64_t work_b)
{
    struct marker m;
    mark_init(&m);
    if (!markers_enter())
        return 0;
    uint64_t start_ns = os_cpu_ns();
    while (!mark_drain(&m, work_b) && m.scanned_b + m.stacks_b == 0) {
        /* it has only read: that pays nothing */
    }
    uint64_t scanned_b = m.scanned_b + m.stacks_b;
    markers_leave(&m, role, os_cpu_ns() - start_ns);
    return scanned_b;
}

void
markers_finish(void)
{
    atomic_store(&markers.finishing, 1);
    for (;;) {
        markers_work(MARKER_FORCED, UINT64_MAX);
        if (markers_idle() && markers_close())
            break;
        markers_wait();
    }
    atomic_store(&markers.finishing, 0);
}

void
markers_forget(void)
{
    atomic_store(&markers.inside, 0);
    atomic_store(&markers.closed, 1);
    atomic_store(&markers.finishing, 0);
    atomic_store(&markers_hungry, 0);
}
