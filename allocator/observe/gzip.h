/* Bytes as a gzip file (RFC 1952) in stored blocks, which need no compressor. */
#ifndef SPANHEAP_GZIP_H
#define SPANHEAP_GZIP_H

#include <stddef.h>
#include <stdio.h>

/** Returns 0 or the errno of the write that failed. */
int gzip_write(FILE *out, const unsigned char *bytes, size_t n);

#endif
