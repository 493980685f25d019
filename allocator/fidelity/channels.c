/* What each operation on each kind of channel comes to. */
#include "fidelity.h"

#include <spanheap/channel.h>
#include <spanheap/panic.h>
#include <spanheap/task.h>

static const struct sh_type int_type = {"int", sizeof(int), NULL, 0};

enum { WAIT_NS = 30000000 };

static const char *const kinds[] = {
    "nil",  "unbuffered",        "buffered empty", "half full",
    "full", "closed unbuffered", "closed empty",   "closed half full"};
static const char *const operations[] = {"send",  "receive",     "close",          "len",
                                         "cap",   "select send", "select receive", "select two",
                                         "range", "close twice", "try all twice"};

static struct sh_channel *
make_kind(size_t kind)
{
    static const struct {
        size_t cap;
        int filled;
        bool closed;
    } shape[] = {{0, 0, false}, {0, 0, false}, {2, 0, false}, {2, 1, false},
                 {2, 2, false}, {0, 0, true},  {2, 0, true},  {2, 1, true}};
    if (kind == 0)
        return NULL;
    struct sh_channel *c = sh_channel_make(&int_type, shape[kind].cap);
    for (int i = 1; i <= shape[kind].filled; i++)
        sh_channel_send(c, &i);
    if (shape[kind].closed)
        sh_channel_close(c);
    return c;
}

struct attempt {
    size_t kind, operation;
    char result[200];
    struct sh_channel *done;
};

static void
try_all_twice(struct sh_channel *c, char *result)
{
    for (int i = 0; i < 2; i++) {
        int value = 9;
        struct sh_select_case receive = {c, &value, SH_SELECT_RECEIVE, false};
        if (sh_select(&receive, 1, true) == 0)
            result += sprintf(result, "%d %s, ", value, receive.received ? "true" : "false");
        else
            result += sprintf(result, "default, ");
    }
    sprintf(result, "len %zu", sh_channel_len(c));
}

static void
operate(struct sh_channel *c, size_t operation, char *result)
{
    int value = 7, n = 0;
    struct sh_select_case cases[] = {{c, &value, SH_SELECT_SEND, false},
                                     {c, &value, SH_SELECT_RECEIVE, false},
                                     {NULL, NULL, SH_SELECT_RECEIVE, false}};
    switch (operation) {
    case 0:
        sh_channel_send(c, &value);
        sprintf(result, "sent, len %zu", sh_channel_len(c));
        break;
    case 1: {
        bool ok = sh_channel_receive(c, &value);
        sprintf(result, "%d %s", value, ok ? "true" : "false");
        break;
    }
    case 2:
        sh_channel_close(c);
        sprintf(result, "closed");
        break;
    case 3:
        sprintf(result, "%zu", sh_channel_len(c));
        break;
    case 4:
        sprintf(result, "%zu", sh_channel_cap(c));
        break;
    case 5:
        sprintf(result, "%s", sh_select(&cases[0], 1, true) == 0 ? "sent" : "default");
        break;
    case 6:
        if (sh_select(&cases[1], 1, true) == 0)
            sprintf(result, "%d %s", value, cases[1].received ? "true" : "false");
        else
            sprintf(result, "default");
        break;
    case 7:
        sh_select(&cases[1], 2, false);
        sprintf(result, "%d %s", value, cases[1].received ? "true" : "false");
        break;
    case 8:
        while (sh_channel_receive(c, &value))
            n++;
        sprintf(result, "%d values", n);
        break;
    case 9:
        sh_channel_close(c);
        sh_channel_close(c);
        break;
    default:
        try_all_twice(c, result);
        break;
    }
}

static void
note_panic(void *attempt)
{
    const struct sh_panic_value *value = sh_recover();
    if (value != NULL)
        sprintf(((struct attempt *)attempt)->result, "panic: %.150s", value->message);
}

static void
survive(struct attempt *a)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, note_panic, a);
    operate(make_kind(a->kind), a->operation, a->result);
}

static void
run_attempt(void *attempt)
{
    struct attempt *a = attempt;
    survive(a);
    sh_channel_close(a->done);
}

void
channels(void)
{
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++)
        for (size_t operation = 0; operation < COUNT_OF(operations); operation++) {
            struct attempt *a = calloc(1, sizeof *a); /* a task that waits for ever keeps it */
            struct sh_channel *done = sh_channel_make(&int_type, 0);
            *a = (struct attempt){.kind = kind, .operation = operation, .done = done};
            sh_task_start(run_attempt, a);
            struct sh_select_case cases[] = {{done, NULL, SH_SELECT_RECEIVE, false},
                                             {sh_after(WAIT_NS), NULL, SH_SELECT_RECEIVE, false}};
            bool waits = sh_select(cases, 2, false) == 1;
            record_text(waits ? "waits" : a->result, "channel/%s/%s", kinds[kind],
                        operations[operation]);
        }
}
