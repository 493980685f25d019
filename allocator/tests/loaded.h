/* Libraries that a test compiles and loads at run time, in the folder of the run. */
#ifndef SPANHEAP_TESTS_LOADED_H
#define SPANHEAP_TESTS_LOADED_H

#include "folder.h"

#include <dlfcn.h>

/* Compiles `text`, C without single quotes. The path holds until the next one is asked for. */
static const char *
build_library(const char *name, const char *text)
{
    char command[2 * PATH_MAX];
    const char *path = in_folder(name);
    snprintf(command, sizeof command,
             "echo '%s' | cc -O0 -shared -fPIC -ftls-model=global-dynamic -xc - -o '%s'", text,
             path);
    assert_int_equal(system(command), 0);
    return path;
}

#endif
