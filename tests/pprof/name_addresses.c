/*
 * Names addresses of one ELF file as heaptap would: `name_addresses FILE BUILD-ID [DEBUG-DIR]`, addresses in hexadecimal on stdin, one a line. Prints for each
 * its frames, innermost first, SYSTEM_NAME TAB NAME TAB FILE TAB LINE, and then an empty line. "?" is what is not known.
 */
#include <report/symbolize.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_build_id(struct ht_module *module, const char *hex)
{
    unsigned byte;
    for (; module->build_id_bytes < sizeof module->build_id && sscanf(hex, "%2x", &byte) == 1; hex += 2)
        module->build_id[module->build_id_bytes++] = (uint8_t)byte;
}

static uint32_t read_places(struct profile_place **places)
{
    uint32_t count = 1, capacity = 1u << 20;
    char line[64];
    *places = calloc(capacity, sizeof **places);
    while (*places && count < capacity && fgets(line, sizeof line, stdin))
        (*places)[count++] = (struct profile_place){.offset = strtoull(line, NULL, 16), .flags = HT_PLACE_EXACT};
    return count;
}

static const char *known(const struct names *names, uint32_t text)
{
    return text ? names->texts.text[text] : "?";
}

static void print_place(const struct names *names, uint32_t place)
{
    const struct names_place *frames = &names->places[place];
    for (uint32_t i = frames->first; i < frames->first + frames->count; i++) {
        const struct names_function *function = &names->functions[names->frames[i].function];
        bool placeholder = names_is_placeholder(names, i);
        printf("%s\t%s\t%s\t%u\n", known(names, function->system_name),
               placeholder ? "?" : known(names, function->name), known(names, function->file), names->frames[i].line);
    }
    putchar('\n');
}

int main(int argc, char **argv)
{
    static struct ht_module module = {.state = 1};
    struct profile profile = {.module_count = 1, .modules = &module, .process = READER_ENDED};
    struct names names;
    if (argc < 3)
        return 2;
    snprintf(module.path, sizeof module.path, "%s", argv[1]);
    read_build_id(&module, argv[2]);
    profile.place_count = read_places(&profile.places);
    struct symbolize *symbolize = symbolize_new(&profile, &(struct symbolize_options){.debug_dir = argv[3]});
    uint32_t *list = calloc(profile.place_count, sizeof *list);
    for (uint32_t i = 1; list && i < profile.place_count; i++)
        list[i - 1] = i;
    if (!symbolize || !list || !names_init(&names, &profile, symbolize_places, symbolize, NULL) ||
        !names_resolve(&names, list, profile.place_count - 1))
        abort();
    for (uint32_t i = 1; i < profile.place_count; i++)
        print_place(&names, i);
    fprintf(stderr, "%s, %u of %u\n", symbolize_level_text(symbolize_result(symbolize, 0)->level),
            symbolize_result(symbolize, 0)->named, symbolize_result(symbolize, 0)->places);
    names_free(&names);
    symbolize_free(symbolize);
    free(list);
    free(profile.places);
    return 0;
}
