#include "demangle.h"

#include <common/text.h>
#include <libiberty/demangle.h>
#include <libiberty/safe-ctype.h>
#include <setjmp.h>
#include <string.h>

#define LONG_NAME 4096 /* bytes; up to here the demangler's recursion, at most one level a character, fits any stack */

/*
 * Of libiberty only cp-demangle and rust-demangle are linked: their licences allow that without any condition. The one thing they ask the rest of it for
 * (LGPL, static on Debian) is this table, so it is here.
 */
const unsigned short _sch_istable[256] = {
    ['0' ... '9'] = _sch_isdigit | _sch_isxdigit | _sch_isprint,
    ['A' ... 'F'] = _sch_isupper | _sch_isxdigit | _sch_isprint | _sch_isidst,
    ['G' ... 'Z'] = _sch_isupper | _sch_isprint | _sch_isidst,
    ['a' ... 'f'] = _sch_islower | _sch_isxdigit | _sch_isprint | _sch_isidst,
    ['g' ... 'z'] = _sch_islower | _sch_isprint | _sch_isidst,
    [' '] = _sch_isblank | _sch_isspace | _sch_isprint | _sch_isnvsp,
    ['_'] = _sch_ispunct | _sch_isprint | _sch_isidst,
};

struct output {
    char *to;
    size_t length, capacity;
    jmp_buf
        too_long; /* a short name can ask for 2^n bytes; the demanglers hold nothing that a jump would leave behind */
};

static void take(const char *piece, size_t bytes, void *opaque)
{
    struct output *output = opaque;
    if (bytes >= output->capacity - output->length)
        longjmp(output->too_long, 1);
    memcpy(output->to + output->length, piece, bytes);
    output->length += bytes;
    output->to[output->length] = 0;
}

static bool try_demangle(const char *mangled, char *to, size_t capacity)
{
    int options = DMGL_ANSI | (strlen(mangled) <= LONG_NAME ? DMGL_NO_RECURSE_LIMIT : 0);
    struct output output = {.to = to, .capacity = capacity};
    if (setjmp(output.too_long) != 0)
        return false;
    if (text_starts(mangled, "_R") || text_starts(mangled, "_ZN")) {
        if (rust_demangle_callback(mangled, DMGL_ANSI, take, &output) && output.length)
            return true;
        output.length = 0;
    }
    return text_starts(mangled, "_Z") && cplus_demangle_v3_callback(mangled, options, take, &output) && output.length;
}

/* Takes off what names a clone. */
static void strip_clone(char *name)
{
    static const char *const suffixes[] = {".part.",     ".constprop.", ".isra.", ".cold",
                                           ".lto_priv.", ".llvm.",      ".clone."};
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char *at = strstr(name, suffixes[i]);
        if (at && at != name)
            *at = 0;
    }
}

void demangle(const char *mangled, char *to, size_t capacity)
{
    char bare[LONG_NAME * 4];
    text_copy(bare, sizeof bare, mangled);
    strip_clone(bare);
    if (!try_demangle(bare, to, capacity))
        text_copy(to, capacity, bare);
}
