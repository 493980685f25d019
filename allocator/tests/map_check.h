/* What the tests of maps share: types of maps, and functions for int64 keys and elements. */
#ifndef SPANHEAP_TESTS_MAP_CHECK_H
#define SPANHEAP_TESTS_MAP_CHECK_H

#include "check.h"

#include <spanheap/map.h>

#include "types/map.h"

/* Not every test program uses each of these. */
#define SHARED static __attribute__((unused))

SHARED const struct sh_type int32_type = {"int32", 4, NULL, 0};
SHARED const struct sh_type int64_type = {"int64", 8, NULL, 0};
SHARED const struct sh_type bool_type = {"bool", 1, NULL, 0};
SHARED const struct sh_type pointer_type = SH_TYPE(void *, 1);

SHARED struct sh_map_type int_to_int = {.key = &int64_type, .element = &int64_type};
SHARED struct sh_map_type int_to_pointer = {.key = &int64_type, .element = &pointer_type};
SHARED struct sh_map_type string_to_pointer = {.key = &sh_string_type,
                                               .element = &pointer_type,
                                               .hash = sh_hash_string,
                                               .equal = sh_equal_string};
SHARED struct sh_map_type double_to_int = {
    .key = &int64_type, .element = &int64_type, .hash = sh_hash_double, .equal = sh_equal_double};

/* All keys in one chain of buckets. */
SHARED uint64_t
hash_badly(const void *key, uint64_t seed)
{
    (void)key;
    (void)seed;
    return 0;
}

SHARED struct sh_map_type colliding = {
    .key = &int64_type, .element = &int64_type, .hash = hash_badly, .equal = sh_equal_int64};

SHARED void
put(struct sh_map *map, int64_t key, int64_t value)
{
    sh_map_set(map, &key, &value);
}

SHARED int64_t
value_of(const struct sh_map *map, int64_t key)
{
    const int64_t *value = sh_map_get(map, &key);
    return value == NULL ? -1 : *value;
}

SHARED size_t
count_shown(struct sh_map *map)
{
    size_t n = 0;
    struct sh_map_iterator it = sh_map_iterate(map);
    while (sh_map_next(&it))
        n++;
    return n;
}

#endif
