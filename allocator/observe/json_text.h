/* Strings in JSON. */
#ifndef SPANHEAP_JSON_TEXT_H
#define SPANHEAP_JSON_TEXT_H

#include <stdbool.h>
#include <stdio.h>

/** Writes a string with its quotes, or null for NULL. It may hold any bytes: what is not UTF-8
 * becomes a question mark. False: it cannot be written, errno says why. */
bool json_put_string(FILE *out, const char *string);

#endif
