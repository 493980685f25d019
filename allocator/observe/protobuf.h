/* A protocol buffer in the making: fields of a message, one after the other. */
#ifndef SPANHEAP_PROTOBUF_H
#define SPANHEAP_PROTOBUF_H

#include "heap/base.h"

/** Begins as {0}. Memory is malloc's. Once there is none, `failed` is set and nothing is added. */
struct protobuf {
    unsigned char *bytes;
    size_t n, cap;
    bool failed;
};

/** A field that is a whole number. */
void protobuf_number(struct protobuf *p, unsigned field, uint64_t value);
void protobuf_string(struct protobuf *p, unsigned field, const char *text);
/** A field that is a message; it is emptied, to be used again. */
void protobuf_message(struct protobuf *p, unsigned field, struct protobuf *message);
/** A field that is a list of numbers. */
void protobuf_numbers(struct protobuf *p, unsigned field, const uint64_t *values, size_t n);
void protobuf_free(struct protobuf *p);

#endif
