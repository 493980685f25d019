/*
 * How the buckets of a type of map are laid out, worked out when its first map is made, and the
 * ready-made hashes. Layouts are never freed, as descriptors of objects on the heap must not be.
 */
#include "types/map.h"

#include "heap/meta.h"
#include "heap/os.h"

#define HASH_A UINT64_C(0xe7037ed1a0b428db)
#define HASH_B UINT64_C(0x8ebc6af09c88c6e3)

/* ---- Layout ---- */

static const struct sh_type no_element = {"nothing", 0, NULL, 0};

static enum part_copy
part_copy_of(const struct sh_type *type)
{
    if (type->pointer_mask != NULL) {
        if (type->size == WORD_B)
            return COPY_POINTER;
        return type->size == 2 * WORD_B && (type->pointer_mask[0] & 3) == 1 ? COPY_STRING
                                                                            : COPY_TYPED;
    }
    switch (type->size) {
    case 0:
        return COPY_NOTHING;
    case 1:
        return COPY_1;
    case 4:
        return COPY_4;
    case 8:
        return COPY_8;
    default:
        return COPY_BYTES;
    }
}

static struct map_part
lay_out_part(const struct sh_type *type, uint32_t at)
{
    sh_require(type->pointer_mask == NULL || (type->size > 0 && type->size % WORD_B == 0),
               "type %s: holds pointers, but its size %zu is no multiple of 8", type->name,
               type->size);
    if (type->size > ENTRY_INLINE_MAX_B)
        return (struct map_part){type, at, WORD_B, COPY_POINTER, true, true};
    return (struct map_part){type,
                             at,
                             (uint16_t)type->size,
                             (uint8_t)part_copy_of(type),
                             false,
                             type->pointer_mask != NULL};
}

/* Sets the bits of all slots of a part. */
static void
mask_part(struct map_layout *layout, const struct map_part *part)
{
    static const uint64_t address = 1;
    const uint64_t *mask = part->by_pointer ? &address : part->type->pointer_mask;
    if (mask == NULL)
        return;
    layout->scanned = true;
    size_t words = part->slot_b / WORD_B;
    for (size_t i = 0; i < BUCKET_ENTRIES * words; i++)
        if (mask[0] >> i % words & 1) /* at most 16 words */
            layout->mask[(part->at / WORD_B + i) / 64] |= UINT64_C(1)
                                                          << (part->at / WORD_B + i) % 64;
}

static void
lay_out_bucket(struct map_layout *layout, const struct sh_map_type *type)
{
    layout->key = lay_out_part(type->key, sizeof(struct bucket));
    layout->element = lay_out_part(type->element != NULL ? type->element : &no_element,
                                   layout->key.at + BUCKET_ENTRIES * layout->key.slot_b);
    size_t overflow_at = layout->element.at + (size_t)BUCKET_ENTRIES * layout->element.slot_b;
    mask_part(layout, &layout->key);
    mask_part(layout, &layout->element);
    if (layout->scanned)
        layout->mask[overflow_at / WORD_B / 64] |= UINT64_C(1) << overflow_at / WORD_B % 64;
    layout->bucket = (struct sh_type){"bucket of a map", overflow_at + WORD_B,
                                      layout->scanned ? layout->mask : NULL, 0};
}

static bool
is_key_pair(const struct sh_map_type *type, uint64_t (*hash)(const void *, uint64_t),
            bool (*equal)(const void *, const void *))
{
    return type->hash == hash && type->equal == equal;
}

static enum key_kind
key_kind_of(const struct sh_map_type *type)
{
    size_t size = type->key->size;
    bool bytes = is_key_pair(type, NULL, NULL);
    if (is_key_pair(type, sh_hash_string, sh_equal_string)) {
        sh_require(size == sizeof(struct sh_string),
                   "sh_map_make: keys of type %s are hashed as strings, but have %zu bytes",
                   type->key->name, size);
        return KEY_STRING;
    }
    if (size == 4 && (bytes || is_key_pair(type, sh_hash_int32, sh_equal_int32)))
        return KEY_32;
    if (size == 8 && (bytes || is_key_pair(type, sh_hash_int64, sh_equal_int64)))
        return KEY_64;
    return bytes ? KEY_BYTES : KEY_CALLS;
}

static void
fill_layout(struct map_layout *layout, const struct sh_map_type *type)
{
    layout->hash = type->hash;
    layout->equal = type->equal;
    layout->kind = key_kind_of(type);
    layout->exact = layout->kind == KEY_32 || layout->kind == KEY_64 || layout->kind == KEY_BYTES ||
                    (type->flags & SH_MAP_EXACT) != 0;
    layout->reflexive = layout->exact || layout->kind == KEY_STRING;
    lay_out_bucket(layout, type);
}

/* The process's part of all seeds. */
static uint64_t
secret_now(void)
{
    static _Atomic uint64_t secret SH_STATE;
    uint64_t chosen = atomic_load(&secret), fresh = os_random() | 1;
    if (chosen == 0 && atomic_compare_exchange_strong(&secret, &chosen, fresh))
        return fresh;
    return chosen;
}

const struct map_layout *
map_layout_of(struct sh_map_type *type)
{
    const struct map_layout *layout = __atomic_load_n(&type->layout, __ATOMIC_ACQUIRE);
    if (likely(layout != NULL))
        return layout;
    sh_require(type->key != NULL, "sh_map_make: the type has no key");
    sh_require((type->hash == NULL) == (type->equal == NULL),
               "sh_map_make: keys of type %s have one of hash and equal without the other",
               type->key->name);
    struct map_layout *fresh = meta_alloc(sizeof *fresh);
    sh_require(fresh != NULL, "out of memory: for the layout of a map");
    fill_layout(fresh, type);
    fresh->secret = secret_now();
    if (__atomic_compare_exchange_n(&type->layout, &layout, fresh, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return fresh;
    meta_free(fresh, sizeof *fresh); /* another thread was faster */
    return layout;
}

/* ---- Random numbers ---- */

uint64_t
map_random(void)
{
    static _Thread_local uint64_t random_state;
    if (unlikely(random_state == 0))
        random_state = os_random();
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    return hash_mix(random_state, random_state ^ HASH_A);
}

/* ---- Hashes ---- */

/* Up to 16 bytes, as two words that overlap or are the same. */
static inline uint64_t
hash_short(const char *p, size_t size, uint64_t seed)
{
    uint64_t a = 0, b = 0;
    if (size >= 8) {
        a = word_at(p);
        b = word_at(p + size - 8);
    } else if (size >= 4) {
        a = half_at(p);
        b = half_at(p + size - 4);
    } else if (size > 0) {
        a = (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[size / 2] << 8 |
            (uint8_t)p[size - 1];
    }
    return hash_mix(a ^ HASH_A, b ^ seed);
}

/* In two lanes, since a product takes longer than what else there is to do. */
static uint64_t
hash_long(const char *p, size_t size, uint64_t seed)
{
    const char *end = p + size;
    uint64_t other = seed;
    for (; end - p > 32; p += 32) {
        seed = hash_mix(word_at(p) ^ HASH_A, word_at(p + 8) ^ seed);
        other = hash_mix(word_at(p + 16) ^ HASH_B, word_at(p + 24) ^ other);
    }
    seed ^= other;
    if (end - p > 16)
        seed = hash_mix(word_at(p) ^ HASH_A, word_at(p + 8) ^ seed);
    return hash_mix(word_at(end - 16) ^ HASH_A, word_at(end - 8) ^ seed);
}

uint64_t
sh_hash_bytes(const void *data, size_t size, uint64_t seed)
{
    if (unlikely(data == NULL) && size > 0)
        panic_nil("sh_hash_bytes: data");
    uint64_t h = likely(size <= 16) ? hash_short(data, size, seed) : hash_long(data, size, seed);
    return hash_mix(h ^ HASH_B, size ^ HASH_A);
}

uint64_t
sh_hash_int32(const void *key, uint64_t seed)
{
    refuse_nil(key, "sh_hash_int32: key");
    return hash_word(half_at(key), seed);
}

bool
sh_equal_int32(const void *a, const void *b)
{
    refuse_nil(a, "sh_equal_int32: a");
    refuse_nil(b, "sh_equal_int32: b");
    return half_at(a) == half_at(b);
}

uint64_t
sh_hash_int64(const void *key, uint64_t seed)
{
    refuse_nil(key, "sh_hash_int64: key");
    return hash_word(word_at(key), seed);
}

bool
sh_equal_int64(const void *a, const void *b)
{
    refuse_nil(a, "sh_equal_int64: a");
    refuse_nil(b, "sh_equal_int64: b");
    return word_at(a) == word_at(b);
}

uint64_t
sh_hash_string(const void *key, uint64_t seed)
{
    refuse_nil(key, "sh_hash_string: key");
    const struct sh_string *s = key;
    return sh_hash_bytes(s->data, s->len, seed);
}

bool
sh_equal_string(const void *a, const void *b)
{
    refuse_nil(a, "sh_equal_string: a");
    refuse_nil(b, "sh_equal_string: b");
    return sh_string_equal(*(const struct sh_string *)a, *(const struct sh_string *)b);
}

/* One hash for both zeroes, and any for NaN, or all of them would share a bucket. */
uint64_t
sh_hash_double(const void *key, uint64_t seed)
{
    refuse_nil(key, "sh_hash_double: key");
    double value = *(const double *)key;
    if (value == 0)
        return hash_word(0, seed);
    return value == value ? hash_word(word_at(key), seed) : map_random();
}

bool
sh_equal_double(const void *a, const void *b)
{
    refuse_nil(a, "sh_equal_double: a");
    refuse_nil(b, "sh_equal_double: b");
    return *(const double *)a == *(const double *)b;
}

uint64_t
sh_hash_float(const void *key, uint64_t seed)
{
    refuse_nil(key, "sh_hash_float: key");
    double value = (double)*(const float *)key;
    return sh_hash_double(&value, seed);
}

bool
sh_equal_float(const void *a, const void *b)
{
    refuse_nil(a, "sh_equal_float: a");
    refuse_nil(b, "sh_equal_float: b");
    return *(const float *)a == *(const float *)b;
}
