#include "sheet.h"

#include <common/text.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 100 /* where it is no terminal */
#define WIDTH_MIN 40
#define SEPARATOR " < "

void sheet_open(struct sheet *sheet, FILE *out)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS"), *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    int fd = fileno(out);
    bool is_terminal = fd >= 0 && isatty(fd);
    uint64_t width = 0;
    sheet->out = out;
    if (is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (!width && columns)
        text_read_decimal(columns, &width);
    sheet->width = (unsigned)MAX(width && width < 10000 ? width : WIDTH_DEFAULT, WIDTH_MIN);
    sheet->colour = is_terminal && !(no_colour && *no_colour) && !(terminal && strcmp(terminal, "dumb") == 0);
}

static unsigned columns_of(const char *text)
{
    unsigned columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

static const char *skip_columns(const char *text, unsigned columns)
{
    for (; *text; text++)
        if (((unsigned char)*text & 0xc0) != 0x80 && columns-- == 0)
            break;
    return text;
}

void sheet_cut(const struct sheet *sheet, const char *text, unsigned most)
{
    unsigned columns = columns_of(text);
    if (columns <= most) {
        fputs(text, sheet->out);
        return;
    }
    unsigned head = (most - 3) * 2 / 3, tail = most - 3 - head;
    fwrite(text, 1, (size_t)(skip_columns(text, head) - text), sheet->out);
    fputs("...", sheet->out);
    fputs(skip_columns(text, columns - tail), sheet->out);
}

void sheet_hanging(const struct sheet *sheet, const char *before, const char *text)
{
    unsigned indent = columns_of(before), room = sheet->width - indent;
    for (bool first = true; *text; first = false) {
        const char *end = skip_columns(text, room);
        if (*end) {
            const char *blank = end;
            while (blank > text && *blank != ' ')
                blank--;
            end = blank > text ? blank : end;
        }
        fprintf(sheet->out, "%*s%.*s\n", (int)indent, first ? before : "", (int)(end - text), text);
        for (text = end; *text == ' '; text++) {
        }
    }
}

void sheet_wrapped(const struct sheet *sheet, unsigned indent, const char *text)
{
    char before[32];
    snprintf(before, sizeof before, "%*s", (int)indent, "");
    sheet_hanging(sheet, before, text);
}

void sheet_heading(const struct sheet *sheet, const char *text)
{
    fputc('\n', sheet->out);
    fputs(sheet_bold(sheet), sheet->out);
    sheet_cut(sheet, text, sheet->width);
    fprintf(sheet->out, "%s\n", sheet_plain(sheet));
}

/* A path that is being printed. */
struct path {
    const struct sheet *sheet;
    unsigned indent, lines_max;
    unsigned line, at; /* at: columns of this line, without the indent */
    unsigned left;     /* frames that found no room */
};

/* Columns that the last line keeps for saying what is left. */
static unsigned reserve(const struct path *path)
{
    return path->line == path->lines_max ? (unsigned)strlen(SEPARATOR "10000 more") : 0;
}

static unsigned columns_in_path(const struct path *path, const char *text)
{
    return MIN(columns_of(text), path->sheet->width - path->indent - 2 - reserve(path));
}

/* `times` are the frames that the text stands for. */
static void print_frame(struct path *path, const char *text, unsigned times)
{
    const struct sheet *sheet = path->sheet;
    bool first = path->line == 1 && !path->at;
    unsigned columns = columns_in_path(path, text), separator = first ? 0 : (unsigned)strlen(SEPARATOR);
    bool full = path->at + separator + columns + reserve(path) > sheet->width - path->indent;
    if (path->left || (!first && full && path->line == path->lines_max)) {
        path->left += times;
        return;
    }
    if (!first && full) {
        fprintf(sheet->out, "\n%*s< ", (int)path->indent, "");
        path->line++;
        path->at = 2;
        columns = columns_in_path(path, text);
    } else if (!first) {
        fputs(SEPARATOR, sheet->out);
        path->at += separator;
    }
    sheet_cut(sheet, text, columns);
    path->at += columns;
}

/* The frame as one word of a path: NAME (FILE:LINE). */
static void describe_frame(const struct names *names, uint32_t frame, unsigned times, char *to, size_t capacity)
{
    const char *file = names->texts.text[names->functions[names->frames[frame].function].file];
    uint32_t line = names->frames[frame].line;
    int at = snprintf(to, capacity, "%s", names_of_frame(names, frame));
    if (*file && line)
        at += snprintf(to + at, capacity - (size_t)at, " (%s:%u)", text_basename(file), line);
    if (times > 1)
        snprintf(to + at, capacity - (size_t)at, " %u times", times);
}

static bool same_frame(const struct names *names, uint32_t a, uint32_t b)
{
    return names->frames[a].function == names->frames[b].function && names->frames[a].line == names->frames[b].line;
}

/* Of the standard library of C++ or Rust, told by the source or, without one, by the name. */
static bool is_of_std(const struct names *names, uint32_t frame)
{
    static const char *const starts[] = {"std::", "__gnu_cxx::", "<std::", "<core::", "<alloc::"};
    const char *file = names->texts.text[names->functions[names->frames[frame].function].file];
    if (strstr(file, "/include/c++/") || text_starts(file, "/rustc/") || text_starts(file, "/rust/deps/"))
        return true;
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        found |= text_starts(names_of_frame(names, frame), starts[i]);
    return found;
}

void sheet_path(const struct sheet *sheet, unsigned indent, unsigned lines_max, const struct names *names,
                const struct profile_site *site)
{
    static char text[2 * NAMES_TEXT_MAX + 64]; /* a name, a file and two numbers */
    struct path path = {sheet, indent, lines_max, 1, 0, 0};
    struct top_walk walk = top_walk(site);
    uint32_t frame, next;
    unsigned inside = 0; /* frames of a standard library, of which only the one that was called from outside is told */
    bool more = top_next(&walk, names, &frame);
    for (; more; frame = next) {
        unsigned times = 1;
        while ((more = top_next(&walk, names, &next)) && same_frame(names, frame, next))
            times++; /* recursion */
        if (more && is_of_std(names, frame) && is_of_std(names, next)) {
            inside += times;
            continue;
        }
        if (inside) {
            snprintf(text, sizeof text, "%u of std", inside);
            print_frame(&path, text, inside);
        }
        describe_frame(names, frame, times, text, sizeof text);
        print_frame(&path, text, times);
        inside = 0;
    }
    if (path.left)
        fprintf(sheet->out, SEPARATOR "%u more", path.left);
    fputc('\n', sheet->out);
}
