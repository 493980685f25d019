#include "observe/protobuf.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN_B ((size_t)256)
#define VARINT_MAX_B 10

enum wire_type { WIRE_VARINT = 0, WIRE_BYTES = 2 };

static bool
make_room(struct protobuf *p, size_t more)
{
    size_t cap = p->cap < CAP_MIN_B ? CAP_MIN_B : p->cap;
    while (cap - p->n < more)
        cap *= 2;
    if (cap != p->cap && !p->failed) {
        unsigned char *bytes = realloc(p->bytes, cap);
        p->failed = bytes == NULL;
        if (bytes != NULL) {
            p->bytes = bytes;
            p->cap = cap;
        }
    }
    return !p->failed;
}

static void
put_varint(struct protobuf *p, uint64_t value)
{
    if (!make_room(p, VARINT_MAX_B))
        return;
    for (; value >= 0x80; value >>= 7)
        p->bytes[p->n++] = (unsigned char)(value | 0x80);
    p->bytes[p->n++] = (unsigned char)value;
}

static void
put_bytes(struct protobuf *p, unsigned field, const void *bytes, size_t n)
{
    put_varint(p, field << 3 | WIRE_BYTES);
    put_varint(p, n);
    if (n == 0 || !make_room(p, n))
        return;
    memcpy(p->bytes + p->n, bytes, n);
    p->n += n;
}

void
protobuf_number(struct protobuf *p, unsigned field, uint64_t value)
{
    put_varint(p, field << 3 | WIRE_VARINT);
    put_varint(p, value);
}

void
protobuf_string(struct protobuf *p, unsigned field, const char *text)
{
    put_bytes(p, field, text, strlen(text));
}

void
protobuf_message(struct protobuf *p, unsigned field, struct protobuf *message)
{
    p->failed = p->failed || message->failed;
    put_bytes(p, field, message->bytes, message->n);
    message->n = 0;
}

void
protobuf_numbers(struct protobuf *p, unsigned field, const uint64_t *values, size_t n)
{
    struct protobuf packed = {0};
    for (size_t i = 0; i < n; i++)
        put_varint(&packed, values[i]);
    protobuf_message(p, field, &packed);
    protobuf_free(&packed);
}

void
protobuf_free(struct protobuf *p)
{
    free(p->bytes);
    *p = (struct protobuf){0};
}
