/*
 * Maps as in Go: hash tables of any type of key and element, with Go's buckets, growth and rules of
 * iteration. A map is a reference: copying the pointer shares it. NULL is Go's nil map: it reads as
 * empty, and cannot be written to.
 *
 *     static struct sh_map_type ages = {.key = &sh_string_type, .element = &int_type,
 *                                       .hash = sh_hash_string, .equal = sh_equal_string};
 *     struct sh_map *age_of = sh_map_make(&ages, 0);
 *     sh_map_set(age_of, &SH_STRING("Ann"), &(int){31});
 *     int *age = sh_map_get(age_of, &SH_STRING("Ann"));      // NULL: she is not in it
 *
 *     struct sh_map_iterator it = sh_map_iterate(age_of);    // in no order, each time in another
 *     while (sh_map_next(&it))
 *         printf("%.*s is %d\n", (int)((struct sh_string *)it.key)->len,
 *                ((struct sh_string *)it.key)->data, *(int *)it.element);
 *
 * Keys and elements are passed by address, and copied. A map never shrinks: what was deleted leaves
 * room for others, and a smaller map is a new one.
 *
 * Threads: any number may read (get, len, iterate) at the same time; a write needs the map for
 * itself. As in Go, a map that is caught in misuse ends the program ("concurrent map writes" and
 * the like); that it is caught is likely, not certain.
 *
 * Where addresses of keys and elements are returned, they are valid until the map is written to
 * next, in any way: the entry may have moved then. They never dangle, since they keep the memory
 * that they point into, all of it, alive; but what is stored through an old one may be lost.
 */
#ifndef SPANHEAP_MAP_H
#define SPANHEAP_MAP_H

#include <spanheap.h>
#include <spanheap/string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sh_map_flags {
    /** Equal keys are the same in every byte, and each key equals itself. Saves what is needed for
     * keys such as 0.0 and -0.0, or NaN. Only says something beside a hash of one's own. */
    SH_MAP_EXACT = 1,
};

/**
 * What a map is made of. Must outlive every map made with it, and cannot be const; a static object
 * is usual.
 */
struct sh_map_type {
    const struct sh_type *key;
    const struct sh_type *element; /**< NULL: the map is a set of keys */
    /**
     * The hash of a key; equal keys must have the same one for the same seed. All 64 bits should
     * be good: the lowest and the highest are used. hash and equal both NULL: a key is its bytes,
     * which fits integers, pointers, and structs without padding, and is the fastest. Either may
     * panic (panic.h): a write that it ends has done nothing, and the map can be used again, by the
     * deferred calls too. In Go the map may stay "being written" where equality panics.
     */
    uint64_t (*hash)(const void *key, uint64_t seed);
    bool (*equal)(const void *a, const void *b);
    unsigned flags; /**< of enum sh_map_flags, or 0 */
    /* The rest belongs to the map. */
    const struct map_layout *layout;
};

/* Ready-made pairs of hash and equal. */

/** Integers of 4 bytes. */
SH_API uint64_t sh_hash_int32(const void *key, uint64_t seed);
SH_API bool sh_equal_int32(const void *a, const void *b);
/** Integers of 8 bytes, and pointers: by address. */
SH_API uint64_t sh_hash_int64(const void *key, uint64_t seed);
SH_API bool sh_equal_int64(const void *a, const void *b);
/** struct sh_string: by its bytes. They must not change while the string is a key. */
SH_API uint64_t sh_hash_string(const void *key, uint64_t seed);
SH_API bool sh_equal_string(const void *a, const void *b);
/** float and double: 0.0 is -0.0. NaN equals nothing, itself included: each one that is set is a
 * new entry, which iteration shows, but which can be neither found nor deleted, only cleared. */
SH_API uint64_t sh_hash_float(const void *key, uint64_t seed);
SH_API bool sh_equal_float(const void *a, const void *b);
SH_API uint64_t sh_hash_double(const void *key, uint64_t seed);
SH_API bool sh_equal_double(const void *a, const void *b);

/** A hash of size bytes, to build others from: pass the hash of one field as the seed of the next.
 * It multiplies to 128 bits and folds, after Wang Yi's wyhash. */
SH_API uint64_t sh_hash_bytes(const void *data, size_t size, uint64_t seed);

/** A map; on the heap, and freed when nobody holds it. */
struct sh_map;

/**
 * A new map, with room for hint entries before it has to grow (0: none yet; one too large to be
 * true counts as 0). Keys and elements of more than 128 bytes are objects of their own; of smaller
 * ones the alignment is at most 8. Fatal: type has no key, or one of hash and equal without the
 * other.
 */
SH_API struct sh_map *sh_map_make(struct sh_map_type *type, size_t hint);

/** How many entries; 0 for NULL. */
SH_API size_t sh_map_len(const struct sh_map *map);

/** The element of a key, or NULL if the key is not in the map. See above for how long it is valid.
 */
SH_API void *sh_map_get(const struct sh_map *map, const void *key);

/**
 * map[key] = *value; NULL: zero bytes. key and value may lie in the map itself. May allocate, and
 * moves a little of a map that grows. Panics on NULL ("assignment to entry in nil map").
 */
SH_API void sh_map_set(struct sh_map *map, const void *key, const void *value);

/**
 * Where the element of a key is to be stored: the entry is made, with a zeroed element, if the key
 * is not in the map. For map[key] += 1 and the like. Pointers are stored there with sh_store() and
 * its family, all else plainly, and before the map is written to again: see above. Panics as
 * sh_map_set().
 */
SH_API void *sh_map_slot(struct sh_map *map, const void *key);

/** Takes a key out. Returns whether it was in. Nothing happens to NULL. */
SH_API bool sh_map_delete(struct sh_map *map, const void *key);

/** Takes all entries out, NaN included, and keeps the memory for new ones. */
SH_API void sh_map_clear(struct sh_map *map);

/** A way through a map. Lives on the stack; in a heap object it must be untyped (sh_alloc). */
struct sh_map_iterator {
    void *key; /**< of the entry; not to be changed */
    /** May be stored to, as what sh_map_slot() returns; but not where the key is NaN: once the map
     * has grown this may be an old copy, and there is no way from such a key to the new one. */
    void *element;
    /* The rest belongs to the map. */
    struct sh_map *map;
    void *buckets, *at, *kept[2];
    size_t first_bucket, next_bucket, only;
    uint32_t seed;
    uint8_t log2, offset, i, wrapped;
};

/**
 * Begins before the first entry, which is another one each time. While it goes on, the map may be
 * written to, by the same thread: an entry is shown once at most; one that was deleted before it
 * was reached, not at all; one that is new, perhaps; every other one, once.
 */
SH_API struct sh_map_iterator sh_map_iterate(struct sh_map *map);
/** Goes to the next entry: fills it->key and it->element. False: there is none; both are NULL. */
SH_API bool sh_map_next(struct sh_map_iterator *it);

#ifdef __cplusplus
}
#endif
#endif
