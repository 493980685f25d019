/* RFC 8259, section 7; UTF-8 as in RFC 3629, section 4. */
#include "observe/json_text.h"

#include <stddef.h>

/* Bytes of the UTF-8 character at text, 1 to 4; 0: it is none. */
static size_t
character_length(const unsigned char *text)
{
    size_t n = *text < 0x80 ? 1 : *text >= 0xf0 ? 4 : *text >= 0xe0 ? 3 : *text >= 0xc2 ? 2 : 0;
    if (*text > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (*text == 0xe0 && text[1] < 0xa0) || (*text == 0xf0 && text[1] < 0x90);
    bool surrogate = *text == 0xed && text[1] >= 0xa0;
    bool beyond = *text == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : n;
}

bool
json_put_string(FILE *out, const char *string)
{
    if (string == NULL)
        return fputs("null", out) >= 0;
    const unsigned char *text = (const unsigned char *)string;
    bool good = fputc('"', out) >= 0;
    while (good && *text != '\0') {
        size_t n = character_length(text);
        if (n == 0)
            good = fputc('?', out) >= 0;
        else if (*text < 0x20 || *text == '"' || *text == '\\' || *text == 0x7f)
            good = fprintf(out, "\\u%04x", *text) >= 0;
        else
            good = fwrite(text, 1, n, out) == n;
        text += n == 0 ? 1 : n;
    }
    return good && fputc('"', out) >= 0;
}
