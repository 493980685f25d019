#include "collector/stress.h"

#include "heap/os.h"

#ifdef SH_DEBUG
void (*stress_at_edge)(void) SH_STATE;
#endif
uint64_t stress_delay_max_ns SH_STATE;
static _Atomic uint64_t draws SH_STATE;

/* Half of the time nothing: what is to be found are orders, not slowness. */
void
stress_delay_slow(void)
{
    uint64_t x = (atomic_fetch_add(&draws, 1) + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    if (x & 1) {
        _Atomic uint32_t never = 0;
        os_futex_wait(&never, 0, 1 + (x >> 1) % stress_delay_max_ns);
    }
}
