/* A folder of the run's own, for tests that write files: make_folder and remove_folder are the
 * setup and the teardown of the group. */
#ifndef SPANHEAP_TESTS_FOLDER_H
#define SPANHEAP_TESTS_FOLDER_H

#include "check.h"

#include <limits.h>

static char folder[] = "/tmp/spanheap-test-XXXXXX";

static const char *
in_folder(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int
make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

#endif
