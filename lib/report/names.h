/*
 * What places are called: for each place its frames, innermost first. There is more than one where the compiler inlined: the last is the function that
 * the code belongs to. Text comes from a source (symbolize.h); where that knows nothing the one frame is a placeholder, MODULE+0xOFFSET: the last component of
 * the module's path and the address in the ELF file. Nothing is resolved before it is asked for. All text in here may be shown (err_safe_text): no control
 * characters, valid UTF-8.
 */
#ifndef HEAPTAP_NAMES_H
#define HEAPTAP_NAMES_H

#include "intern.h"
#include "profile.h"

#define NAMES_TEXT_MAX 16384 /* longer names are cut */

/* Text is by number in names.texts; 0: unknown. */
struct names_function {
    uint32_t name;        /* as people read it; never 0 */
    uint32_t system_name; /* as the linker spells it; 0: a placeholder, nothing is known */
    uint32_t file;        /* source */
    uint32_t start_line;
};

struct names_frame {
    uint32_t function;
    uint32_t line; /* where it is, or calls the frame before it; 0: unknown */
};

/* Frames of one place: frames[first] is the innermost. */
struct names_place {
    uint32_t first, count;
};

/* What a source says about one frame. NULL and 0: unknown. */
struct names_text {
    const char *name;
    const char *system_name;
    const char *file;
    uint32_t line, start_line;
};

struct names;
/* Calls names_add for what it knows of these places, which lie in modules. Places are distinct. False: no memory. */
typedef bool names_source(void *arg, struct names *names, const uint32_t *places, uint32_t count);

struct names {
    const struct profile *profile;
    names_source *source; /* NULL: none */
    void *source_arg;
    struct intern texts;
    struct names_function *functions;
    uint32_t function_count, function_capacity;
    uint32_t *function_hash; /* open: index + 1; twice function_capacity */
    struct names_frame *frames;
    uint32_t frame_count, frame_capacity;
    struct names_place *places; /* by place id; count 0: not resolved */
    struct intern notes;        /* what the source has to say about where names come from, from 1 on; for people */
};

/* The frame of stacks that were not recorded: "[no stack]". */
#define NAMES_NO_STACK 0u

bool names_init(struct names *names, const struct profile *profile, names_source *source, void *source_arg,
                struct err *err);
void names_free(struct names *names);

/*
 * After this each of these places has its frames. Those that are no code are called "[cut: REASON]", "[damaged]" and, for code outside any module,
 * "[generated]+0xADDRESS". False: no memory.
 */
bool names_resolve(struct names *names, const uint32_t *places, uint32_t count);

/* For a source: one more frame of a place, outside those that it has. Frames of one place are added one after the other. False: no memory. */
bool names_add(struct names *names, uint32_t place, const struct names_text *text);

/* For a source: one more note. False: no memory. */
bool names_note(struct names *names, const char *format, ...) __attribute__((format(printf, 2, 3)));

INLINE const char *names_of_frame(const struct names *names, uint32_t frame)
{
    return names->texts.text[names->functions[names->frames[frame].function].name];
}
/* Nothing but module and offset is known. */
INLINE bool names_is_placeholder(const struct names *names, uint32_t frame)
{
    return names->functions[names->frames[frame].function].system_name == 0;
}

#endif
