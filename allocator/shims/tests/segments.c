/* Data segments as roots: those of the program and of a library that it loads, all of them, none of
   them, or those that the program chooses. The library's path is the first argument. */
#define GC_THREADS
#include "slots.h"

#include <dlfcn.h>
#include <gc/gc_mark.h>

static void *static_slots[MANY];

static int asked, named;

static int
refuse_own(const char *file, void *start, size_t size)
{
    asked++;
    char *low = start;
    int own = (char *)static_slots >= low && (char *)static_slots < low + size;
    named += file != NULL && strstr(file, "module") != NULL;
    return !own;
}

static void
chosen(void)
{
    slots = static_slots;
    far_away(fill_slots);
    CHECK(count_dead() == 0);
    GC_register_has_static_roots_callback(refuse_own);
    CHECK(count_dead() >= NEARLY_ALL && asked > 0);
    GC_register_has_static_roots_callback(NULL);
    far_away(fill_slots);
    CHECK(count_dead() == 0);
}

static void
none(void)
{
    GC_set_no_dls(1);
    CHECK(GC_get_no_dls() && count_dead() >= NEARLY_ALL);
    GC_set_no_dls(0);
    far_away(fill_slots);
    CHECK(count_dead() == 0);
}

static void
temporary(void)
{
    void **others = other_memory();
    GC_add_roots(others, others + MANY);
    GC_gcollect();
    CHECK(GC_is_tmp_root(&static_slots[MANY / 2]) && !GC_is_tmp_root(&others[MANY / 2]));
    GC_remove_roots(others, others + MANY);
}

static void
loaded(const char *path)
{
    void *module = GC_dlopen(path, RTLD_NOW);
    CHECK(module != NULL);
    slots = dlsym(module, "module_slots");
    CHECK(slots != NULL);
    far_away(fill_slots);
    CHECK(count_dead() == 0);
    GC_register_has_static_roots_callback(refuse_own);
    CHECK(count_dead() == 0 && named > 0); /* the program's own are left out, this one's are not */
    GC_register_has_static_roots_callback(NULL);
    CHECK(dlclose(module) == 0);
    CHECK(count_dead() >= NEARLY_ALL);
    CHECK(GC_dlopen("/nowhere/module.so", RTLD_NOW) == NULL);
}

int
main(int argc, char **argv)
{
    CHECK(argc == 2);
    GC_INIT();
    chosen();
    none();
    temporary();
    loaded(argv[1]);
    return 0;
}
