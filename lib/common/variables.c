#include "variables.h"

#include "text.h"

#define BUDGET_LEAST (512u << 10)
#define DEPTH_DEFAULT 8192
#define DEPTH_MOST 65536
#define KEEP_DEFAULT 8
#define FILES_DEFAULT 256
#define FILES_MOST 1000 /* outfile_keep.c looks at no more */
#define STRING_SHOWN 50 /* characters behind HEAPTAP_ that `problem` repeats */

/* What a variable's function may need to say what is wrong. */
struct setting {
    struct config *config;
    const char *string; /* NAME=VALUE, without HEAPTAP_ */
    const char *value;
};

/* Only the first problem is kept: the line is for a person, who mends one thing at a time. `used` may be NULL. */
COLD static void complain(const struct setting *setting, const char *what, const char *used)
{
    struct text text = TEXT(setting->config->problem);
    if (*setting->config->problem)
        return;
    text_append(&text, "HEAPTAP_");
    for (size_t i = 0; i < STRING_SHOWN && setting->string[i]; i++) {
        unsigned char c = (unsigned char)setting->string[i];
        text_char(&text, c < ' ' || c == 127 ? '?' : (char)c);
    }
    if (text_length(setting->string) > STRING_SHOWN)
        text_append(&text, "...");
    text_append(&text, ": ");
    text_append(&text, what);
    if (used) {
        text_append(&text, "; using ");
        text_append(&text, used);
    }
}

COLD static void complain_number(const struct setting *setting, const char *what, uint64_t used)
{
    char digits[24];
    struct text text = TEXT(digits);
    text_decimal(&text, used);
    complain(setting, what, digits);
}

/* ---- Kinds of values ---- */

static void set_count(const struct setting *setting, uint32_t *to, uint32_t least, uint32_t most)
{
    uint64_t value;
    const char *end = text_read_decimal(setting->value, &value);
    if (end == setting->value || *end) {
        complain_number(setting, "not a number", *to);
    } else if (value < least || value > most) {
        *to = value < least ? least : most;
        complain_number(setting, value < least ? "too small" : "too large", *to);
    } else {
        *to = (uint32_t)value;
    }
}

/* True if the value is a size. Powers of 1024. */
static bool read_size(const struct setting *setting, uint64_t *bytes)
{
    static const char units[] = "kmg";
    uint64_t value;
    unsigned shift = 0;
    const char *end = text_read_decimal(setting->value, &value);
    bool digits = end != setting->value;
    for (unsigned i = 0; *end && i < 3; i++)
        if ((*end | 0x20) == units[i]) {
            shift = 10 * (i + 1);
            end++;
            break;
        }
    if (!digits || *end) {
        complain(setting, "not a size (a number, with k, m or g)", "the default");
        return false;
    }
    if (value > UINT64_MAX >> 1 >> shift) {
        complain(setting, "too large", "the default");
        return false;
    }
    *bytes = value << shift;
    return true;
}

static bool set_text(const struct setting *setting, char *to, size_t capacity)
{
    if (text_copy(to, capacity, setting->value))
        return true;
    *to = 0;
    complain(setting, "too long", NULL);
    return false;
}

/* True or false if the value is one of the two words, what it was before if it is neither. */
static bool choose(const struct setting *setting, const char *yes, const char *no, bool before)
{
    if (text_equal(setting->value, yes) || text_equal(setting->value, no))
        return text_equal(setting->value, yes);
    if (*setting->value)
        complain(setting, "not understood", before ? yes : no);
    return before;
}

/* ---- Variables ---- */

static void set_out(const struct setting *setting)
{
    struct config *config = setting->config;
    config->out_explicit = set_text(setting, config->out, sizeof config->out) && *config->out;
    config->first = text_starts(setting->string, "OUT=") || !config->out_explicit;
    for (const char *at = config->out; *at; at++)
        if (*at == '%' && *++at != 'e' && *at != 'p' && *at != 'n' && *at != '%') {
            complain(setting, "only %e, %p, %n and %% have a meaning", "it as it is");
            break;
        }
}

static void set_dir(const struct setting *setting)
{
    set_text(setting, setting->config->dir, sizeof setting->config->dir);
}

static void set_only(const struct setting *setting)
{
    /* Who asked for one program must not get every other one. */
    if (!set_text(setting, setting->config->only, sizeof setting->config->only))
        setting->config->named = false;
}

static void set_children(const struct setting *setting)
{
    struct config *config = setting->config;
    if (text_equal(setting->value, "-")) {
        config->children = false;
        config->first = false;
        config->chosen = false;
    } else {
        config->children = choose(setting, "1", "0", true);
    }
}

static void set_start(const struct setting *setting)
{
    setting->config->start_paused = !choose(setting, "on", "off", true);
}

static void set_log(const struct setting *setting)
{
    setting->config->log = choose(setting, "1", "0", false);
}

static void set_budget(const struct setting *setting)
{
    struct config *config = setting->config;
    if (!read_size(setting, &config->budget_bytes))
        return;
    config->budget_explicit = true;
    if (config->budget_bytes < BUDGET_LEAST) {
        config->budget_bytes = BUDGET_LEAST;
        complain(setting, "less than 512k", "512k");
    }
}

static void set_ring(const struct setting *setting)
{
    read_size(setting, &setting->config->ring_bytes);
}

static void set_depth(const struct setting *setting)
{
    set_count(setting, &setting->config->depth_max, 1, DEPTH_MOST);
}

static void set_keep(const struct setting *setting)
{
    set_count(setting, &setting->config->keep, 0, FILES_MOST);
}

static void set_files(const struct setting *setting)
{
    set_count(setting, &setting->config->files_max, 1, FILES_MOST);
}

static void set_bytes(const struct setting *setting)
{
    read_size(setting, &setting->config->bytes_max);
}

static const struct variable {
    const char *name; /* without HEAPTAP_ */
    void (*set)(const struct setting *);
} variables[] = {
    {"OUT", set_out},           {"SUB", set_out},     {"DIR", set_dir},   {"ONLY", set_only},
    {"LOG", set_log},           {"START", set_start}, {"KEEP", set_keep}, {"FILES", set_files},
    {"BYTES", set_bytes},       {"DEPTH", set_depth}, {"RING", set_ring}, {"BUDGET", set_budget},
    {"CHILDREN", set_children},
};

/* Not for the library: the tool's own, those of tests/run, and what an ancestor was told (config_mark_children). */
static const char *const others[] = {"LIB", "TOP", "BUILD", "OLD"};

/* Behind NAME=; NULL: the string is another variable's. */
static const char *value_of(const char *string, const char *name)
{
    const char *value = string + text_length(name);
    return text_starts(string, name) && *value == '=' ? value + 1 : NULL;
}

static bool is_another(const char *string)
{
    for (uint32_t i = 0; i < ARRAY_LEN(others); i++)
        if (value_of(string, others[i]))
            return true;
    return false;
}

void variables_begin(struct config *config)
{
    *config = (struct config){
        .first = true, .children = true, .depth_max = DEPTH_DEFAULT, .keep = KEEP_DEFAULT, .files_max = FILES_DEFAULT};
}

void variables_take(struct config *config, const char *string)
{
    enum { OUT, SUB };
    if (!text_starts(string, "HEAPTAP_"))
        return;
    string += 8;
    for (uint32_t i = 0; i < ARRAY_LEN(variables); i++) {
        const char *value = value_of(string, variables[i].name);
        if (!value)
            continue;
        bool again = config->taken & 1u << i;
        config->taken |= 1u << i;
        if (!again && !(i == SUB && config->taken & 1u << OUT))
            variables[i].set(&(struct setting){config, string, value});
        return;
    }
    if (!is_another(string))
        complain(&(struct setting){config, string, NULL}, "there is no such variable; man heaptap lists them", NULL);
}
