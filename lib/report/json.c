#include "json.h"

#include "err.h"

#include <string.h>

void json_text(FILE *out, const char *text)
{
    putc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < 0x20 || strchr("<>&\"\\'\x7f", *at))
            fprintf(out, "\\u%04x", *at);
        else
            putc(*at, out);
    }
    putc('"', out);
}

void json_foreign(FILE *out, const char *text)
{
    char safe[4096];
    err_safe_text(safe, sizeof safe, text);
    json_text(out, safe);
}
