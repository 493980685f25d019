#include "observe/gzip.h"

#include "heap/base.h"

#include <errno.h>

#define BLOCK_MAX_B ((size_t)65535) /* of a stored block, RFC 1951 */

/* The reflected polynomial 0xedb88320, four bits at a time. */
static uint32_t
crc32_of(const unsigned char *bytes, size_t n)
{
    uint32_t table[16], crc = UINT32_MAX;
    for (uint32_t i = 0; i < 16; i++) {
        table[i] = i;
        for (int bit = 0; bit < 4; bit++)
            table[i] = table[i] >> 1 ^ (table[i] % 2 == 1 ? UINT32_C(0xedb88320) : 0);
    }
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc % 16];
        crc = crc >> 4 ^ table[crc % 16];
    }
    return ~crc;
}

/* Low byte first. */
static void
put_number(FILE *out, uint32_t value, int bytes)
{
    for (; bytes > 0; bytes--, value >>= 8)
        fputc((int)(value & 0xff), out);
}

int
gzip_write(FILE *out, const unsigned char *bytes, size_t n)
{
    static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    size_t done = 0;
    errno = 0;
    fwrite(head, 1, sizeof head, out);
    do {
        size_t part = size_min(n - done, BLOCK_MAX_B);
        put_number(out, done + part == n, 1); /* the last block; stored */
        put_number(out, (uint32_t)part, 2);
        put_number(out, ~(uint32_t)part, 2);
        fwrite(bytes + done, 1, part, out);
        done += part;
    } while (done < n);
    put_number(out, crc32_of(bytes, n), 4);
    put_number(out, (uint32_t)n, 4);
    fflush(out);
    if (!ferror(out))
        return 0;
    return errno != 0 ? errno : EIO;
}
