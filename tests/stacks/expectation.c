#include "expectation.h"

#include "symbols.h"
#include <heaptap/format.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *cut_name(unsigned cut)
{
    static const char *const names[HT_CUTS] = {"complete", "depth", "no-table", "refused",
                                               "memory",   "busy",  "frozen",   "full"};
    return cut < HT_CUTS ? names[cut] : "unknown";
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void print_frames(const struct frame *frames, size_t count, unsigned cut, size_t from)
{
    for (size_t i = from; i < count && i < from + 24; i++) {
        const struct frame *frame = &frames[i];
        const char *name = frame->path ? symbol_name(frame->path, frame->offset - !frame->exact) : NULL;
        printf("    %4zu %012" PRIx64 " %s+%" PRIx64 "%s %s\n", i, frame->address,
               frame->path ? base_name(frame->path) : "-", frame->offset, frame->exact ? " exact" : "",
               name ? name : "");
    }
    printf("    %4zu frames%s%s\n", count, cut ? ", cut: " : "", cut ? cut_name(cut) : "");
}

/* The reference does not say which frame was interrupted: for it either reading of the address will do. */
static bool is_name(const struct frame *frame, bool heaptap, const char *name, size_t length)
{
    if (!frame->path)
        return false;
    if (heaptap)
        return symbol_is(frame->path, frame->offset - !frame->exact, name, length);
    return symbol_is(frame->path, frame->offset - 1, name, length) ||
           symbol_is(frame->path, frame->offset, name, length);
}

static bool frame_matches(const struct frame *frame, bool heaptap, const char *word, size_t length)
{
    if (length == 1 && *word == '%')
        return true;
    if (*word == '@')
        return frame->path && strlen(base_name(frame->path)) == length - 1 &&
               !memcmp(base_name(frame->path), word + 1, length - 1);
    return is_name(frame, heaptap, word, length);
}

/* What is left of a stack, and whose it is. */
struct rest {
    const struct frame *frame;
    size_t count;
    unsigned cut;
    bool heaptap;
};

/* One word and the frames that it stands for: as few as it allows. *more: it would take further ones. */
static bool take_word(struct rest *rest, const char *word, size_t length, bool *more)
{
    size_t name = strcspn(word, " \n#"), least = 1;
    *more = name < length && word[name + 1] == '+';
    if (name < length && !*more)
        least = strtoul(word + name + 1, NULL, 10);
    for (; least; least--) {
        if (!rest->count || !frame_matches(rest->frame, rest->heaptap, word, name))
            return false;
        rest->frame++;
        rest->count--;
    }
    return true;
}

static bool is_end(const struct rest *rest, const char *word, size_t length)
{
    if (!length)
        return !rest->count && !rest->cut;
    if (*word == '*')
        return length == 2 || !rest->cut;
    return !rest->heaptap || (!rest->count && rest->cut && strlen(cut_name(rest->cut)) == length - 2 &&
                              !strncmp(word + 1, cut_name(rest->cut), length - 2));
}

/* True if the stack is what the words say. The last word with "+" takes one frame more whenever what follows it does not match. */
static bool matches(struct rest rest, const char *words)
{
    struct rest plus_rest = rest;
    const char *plus = NULL;
    for (;;) {
        words += strspn(words, " \n");
        size_t length = strcspn(words, " \n");
        bool more = false, good;
        if (!length || *words == '*' || *words == '[') {
            if (is_end(&rest, words, length))
                return true;
            good = false;
        } else
            good = take_word(&rest, words, length, &more);
        if (more && good) {
            plus = words;
            plus_rest = rest;
        }
        words += length;
        if (good)
            continue;
        if (!plus || !take_word(&plus_rest, plus, strcspn(plus, " \n"), &more))
            return false;
        rest = plus_rest;
        words = plus + strcspn(plus, " \n");
    }
}

static unsigned check_line(const struct source *source, const char *line, unsigned *checked)
{
    static struct frame frames[FRAMES_MAX];
    uint64_t size, last;
    unsigned long seen = 0, wrong = 0;
    char count[16];
    int words = 0;
    if (sscanf(line, "expect %" SCNu64 "-%" SCNu64 " %15s%n", &size, &last, count, &words) != 3) {
        if (sscanf(line, "expect %" SCNu64 " %15s%n", &size, count, &words) != 2)
            return 0;
        last = size;
    }
    for (size_t s = 0; s < source->streams; s++)
        for (size_t i = 0; i < source->stream[s].count; i++) {
            const struct event *event = &source->stream[s].event[i];
            unsigned cut;
            if (event->size < size || event->size > last)
                continue;
            seen++;
            size_t n = source_frames(source, event, frames, FRAMES_MAX, &cut);
            if (cut == HT_CUT_BUSY) /* for the scheduler to say; compare_stacks shows how many there are */
                continue;
            if (matches((struct rest){frames, n, cut, source->buffer != NULL}, line + words))
                continue;
            if (!wrong++) {
                printf("  not as expected: %s", line);
                print_frames(frames, n, cut, 0);
            }
        }
    *checked += (unsigned)seen;
    if (*count == '+' ? seen == 0 : seen != strtoul(count, NULL, 10)) {
        printf("  %lu allocations, expected: %s", seen, line);
        wrong++;
    }
    return (unsigned)wrong;
}

unsigned expectation_check(const struct source *source, const char *path, unsigned *checked)
{
    char *line = NULL;
    size_t capacity = 0;
    unsigned wrong = 0;
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return 1;
    }
    *checked = 0;
    while (getline(&line, &capacity, file) > 0)
        wrong += check_line(source, line, checked);
    if (!*checked) {
        printf("  %s expects nothing\n", path);
        wrong++;
    }
    free(line);
    fclose(file);
    return wrong;
}
