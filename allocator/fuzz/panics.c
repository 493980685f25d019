/* Panics, recovered and compared, for the targets that are types. */
#include "fuzz.h"

#include <spanheap/panic.h>

#include <stdarg.h>
#include <string.h>

static void
note_message(void *message)
{
    const struct sh_panic_value *said = sh_recover();
    if (said != NULL)
        snprintf(message, 300, "%s", said->message);
}

const char *
panic_of(void (*call)(void *arg), void *arg)
{
    static char message[300];
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return message;
    sh_defer(&scope, note_message, message);
    call(arg);
    return NULL;
}

void
need_panic(void (*call)(void *arg), void *arg, const char *format, ...)
{
    char wanted[300] = "";
    const char *message = panic_of(call, arg);
    if (format != NULL) {
        va_list list;
        va_start(list, format);
        vsnprintf(wanted, sizeof wanted, format, list);
        va_end(list);
    }
    if (message != NULL ? strcmp(message, wanted) == 0 : format == NULL)
        return;
    fprintf(stderr, "wanted %s%s, ", format == NULL ? "no panic" : "panic: ", wanted);
    fprintf(stderr, "got %s%s\n",
            message == NULL ? "none" : "panic: ", message == NULL ? "" : message);
    need(false, "it panics as in Go");
}
