/* The order of deferred calls, recovery, and what a loop of them holds. */
#include "fidelity.h"

#include <spanheap/panic.h>

enum { LOOP = 100000 };

static struct text words;

static void
say(void *word)
{
    text_add(&words, "%s ", (const char *)word);
}

static void
recover_it(void *arg)
{
    (void)arg;
    const struct sh_panic_value *value = sh_recover();
    text_add(&words, "recover(%s) ", value == NULL ? "nil" : value->message);
}

static void
panic_with(void *message)
{
    sh_panic("%s", (const char *)message);
}

static void
in_order(void)
{
    SH_SCOPE(scope);
    sh_defer(&scope, say, "1");
    sh_defer(&scope, say, "2");
    sh_defer(&scope, say, "3");
    say("body");
}

static void
recovered(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, say, "last");
    sh_defer(&scope, recover_it, NULL);
    sh_defer(&scope, say, "first");
    sh_panic("a");
}

static void
recovered_twice(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, recover_it, NULL);
    sh_defer(&scope, recover_it, NULL);
    sh_panic("b");
}

static void
replaced(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, recover_it, NULL);
    sh_defer(&scope, panic_with, "second");
    sh_panic("first");
}

static void
recover_inside(void *message)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, recover_it, NULL);
    panic_with(message);
}

static void
nested(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, recover_it, NULL);
    sh_defer(&scope, recover_inside, "inner");
    sh_panic("outer");
}

static void
late(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, panic_with, "late");
    sh_defer(&scope, recover_it, NULL);
    sh_panic("early");
}

static void
late_outside(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, recover_it, NULL);
    late();
    say("not reached");
}

static void
without_panic(void)
{
    SH_SCOPE(scope);
    sh_defer(&scope, recover_it, NULL);
}

/* The words that both sides have; behind them stands which pointer it was. */
static void
recover_words(void *arg)
{
    (void)arg;
    const struct sh_panic_value *value = sh_recover();
    text_add(&words, "recover(%.64s) ", value == NULL ? "nil" : value->message);
}

static void
no_function(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, recover_words, NULL);
    sh_defer(&scope, say, "older");
    sh_defer(&scope, NULL, NULL);
    sh_defer(&scope, say, "newer");
    say("body");
}

/* One more than Go codes openly. */
static void
nine(void)
{
    static char numbers[][2] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
    SH_OPEN_SCOPE(scope);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        sh_defer_open(&scope, say, numbers[i]);
    sh_panic("past nine");
}

static void
past_nine(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, recover_it, NULL);
    nine();
}

static void
do_nothing(void *arg)
{
    (void)arg;
}

static NOINLINE void
hold_many(void)
{
    uint64_t start = live_now();
    SH_SCOPE(scope);
    for (int i = 0; i < LOOP; i++)
        sh_defer(&scope, do_nothing, NULL);
    record_number((double)(live_now() - start) / LOOP, "defer/bytes held a call");
}

void
defers(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"order", in_order},
        {"recovered", recovered},
        {"recovered twice", recovered_twice},
        {"replaced", replaced},
        {"nested", nested},
        {"late", late_outside},
        {"without panic", without_panic},
        {"no function", no_function},
        {"past nine", past_nine},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        words.len = 0;
        cases[i].run();
        record_text(words.data, "defer/%s", cases[i].name);
    }
    hold_many();
}
