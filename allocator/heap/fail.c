/* Messages from places where no lock may be taken and nothing allocated: one write(2) each. */
#include "heap/base.h"
#include "heap/os.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX_B 512

static void
write_message(const char *prefix, const char *format, va_list args)
{
    char line[MESSAGE_MAX_B];
    int head = snprintf(line, sizeof line, "%s", prefix);
    int body = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
    size_t length = (size_t)head + (body > 0 ? (size_t)body : 0);
    length = size_min(length, sizeof line - 2);
    line[length++] = '\n';
    os_write_error(line, length);
}

void
sh_fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_message("spanheap: fatal: ", format, args);
    va_end(args);
    abort();
}

void
sh_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_message("spanheap: ", format, args);
    va_end(args);
}
