#include "reader_stage.h"

#include <report/write.h>
#include <unistd.h>

bool open_bytes(struct reader *reader, const struct build *build, size_t bytes, struct err *err)
{
    int fd = build_descriptor(build, bytes);
    ck_assert_int_ge(fd, 0);
    memset(err, 0, sizeof *err);
    bool done = reader_open_fd(reader, fd, "FILE", err);
    close(fd);
    return done;
}

void open_good(struct reader *reader, const struct build *build)
{
    struct err err;
    ck_assert_msg(open_bytes(reader, build, BUILD_BYTES, &err), "%s", err.text);
}

void refused(const struct build *build, size_t bytes, const char *words)
{
    struct reader reader;
    struct err err;
    ck_assert_msg(!open_bytes(&reader, build, bytes, &err), "%zu bytes were accepted", bytes);
    ck_assert_msg(strstr(err.text, words), "\"%s\" does not say \"%s\"", err.text, words);
    ck_assert_msg(strstr(err.text, "FILE") && !strchr(err.text, '\n'), "%s", err.text);
}

void check_sound(const struct profile *profile)
{
    for (uint32_t id = 1; id < profile->node_count; id++) {
        ck_assert_uint_lt(profile->nodes[id].parent, id);
        ck_assert_uint_lt(profile->nodes[id].place, profile->place_count);
    }
    for (uint32_t id = 0; id < profile->place_count; id++)
        ck_assert(profile->places[id].module < profile->module_count || profile->places[id].module >= PROFILE_DAMAGED);
    for (uint32_t i = 0; i < profile->site_count; i++) {
        ck_assert_uint_lt(profile->sites[i].node, profile->node_count);
        ck_assert(profile->sites[i].kind > 0 && profile->sites[i].kind < HT_KINDS);
        ck_assert(i == 0 || profile->sites[i].id > profile->sites[i - 1].id);
    }
    for (uint32_t row = 0; row < profile->module_count; row++) {
        ck_assert_uint_le(profile->modules[row].build_id_bytes, 32);
        ck_assert_uint_le(profile->modules[row].segment_count, HT_MODULE_SEGMENTS);
        ck_assert(memchr(profile->modules[row].path, 0, sizeof profile->modules[row].path) != NULL);
    }
}

void load(struct profile *profile, const struct build *build)
{
    struct reader reader;
    open_good(&reader, build);
    ck_assert(profile_load(profile, &reader, NULL));
    reader_close(&reader);
    check_sound(profile);
}

void each_form(void (*test)(bool big, unsigned word_bytes))
{
    for (int big = 0; big < 2; big++)
        for (unsigned word_bytes = 4; word_bytes <= 8; word_bytes += 4)
            test(big, word_bytes);
}

char *folded(const struct build *build, enum profile_view view)
{
    struct profile profile;
    struct names names;
    char *text = NULL;
    size_t bytes = 0;
    load(&profile, build);
    FILE *out = open_memstream(&text, &bytes);
    ck_assert(names_init(&names, &profile, NULL, NULL, NULL));
    ck_assert(write_folded(out, &names, view, NULL));
    fclose(out);
    names_free(&names);
    profile_free(&profile);
    return text;
}
