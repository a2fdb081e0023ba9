#include "convert.h"
#include "write.h"

#include <string.h>

static const struct {
    const char *name;
    const char *suffix;
} formats[CONVERT_FORMATS] = {
    [CONVERT_FOLDED] = {"folded", ".folded"},
    [CONVERT_RAW] = {"raw", ".raw"},
};

int convert_format_by_name(const char *name)
{
    for (int i = 0; i < CONVERT_FORMATS; i++)
        if (strcmp(name, formats[i].name) == 0)
            return i;
    return -1;
}

int convert_format_by_path(const char *path)
{
    size_t length = strlen(path);
    for (int i = 0; i < CONVERT_FORMATS; i++) {
        size_t suffix = strlen(formats[i].suffix);
        if (length > suffix && strcmp(path + length - suffix, formats[i].suffix) == 0)
            return i;
    }
    return -1;
}

static bool write_named(FILE *out, const struct profile *profile, const struct convert_options *options,
                        struct err *err)
{
    struct names names = {0};
    struct symbolize *symbolize = symbolize_new(profile, &options->symbolize);
    bool done = names_init(&names, profile, symbolize ? symbolize_places : NULL, symbolize, err) &&
                write_folded(out, &names, options->view, err);
    names_free(&names);
    symbolize_free(symbolize);
    return done;
}

bool convert_write(FILE *out, struct reader *reader, const struct convert_options *options, struct err *err)
{
    struct profile profile;
    bool done = profile_load(&profile, reader, err);
    if (done && options->format == CONVERT_RAW)
        write_raw(out, &profile, reader);
    reader_close(reader); /* a profile stands alone */
    if (done && options->format != CONVERT_RAW)
        done = write_named(out, &profile, options, err);
    profile_free(&profile);
    return done;
}
