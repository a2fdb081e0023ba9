#include "symbolize.h"

#include "debug_file.h"
#include "demangle.h"
#include "dwarf_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct symbolize {
    const struct profile *profile;
    struct symbolize_options options;
    struct debug_file_places places;
    uint32_t done, total; /* places of this call */
    uint32_t count;
    struct symbolize_module module[];
};

struct symbolize *symbolize_new(const struct profile *profile, const struct symbolize_options *options)
{
    struct symbolize *symbolize = calloc(1, sizeof *symbolize +
                                                (size_t)profile->module_count * sizeof symbolize->module[0]);
    if (!symbolize)
        return NULL;
    symbolize->profile = profile;
    symbolize->options = *options;
    symbolize->places.sysroot = options->sysroot;
    symbolize->places.debug_dir = options->debug_dir;
    if (profile->process == READER_RUNNING)
        symbolize->places.pid = profile->header.pid;
    symbolize->count = profile->module_count;
    return symbolize;
}

void symbolize_free(struct symbolize *symbolize)
{
    for (uint32_t i = 0; symbolize && i < symbolize->count; i++)
        free(symbolize->module[i].file);
    free(symbolize);
}

const struct symbolize_module *symbolize_result(const struct symbolize *symbolize, uint32_t row)
{
    return &symbolize->module[row];
}

const char *symbolize_level_text(enum symbolize_level level)
{
    static const char *const texts[SYMBOLIZE_LEVELS] = {"not asked",    "no file",      "another build",    "no names",
                                                        "exports only", "symbol table", "debug information"};
    return texts[level];
}

static void tick(void *arg, uint32_t done)
{
    const struct symbolize *symbolize = arg;
    if (symbolize->options.progress)
        symbolize->options.progress(symbolize->options.progress_arg, symbolize->done + done, symbolize->total);
}

static bool add_symbol(struct names *names, uint32_t place, const struct elf_symbol *symbol)
{
    char bare[NAMES_TEXT_MAX], readable[NAMES_TEXT_MAX];
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(symbol->name, "@"), symbol->name); /* without a symbol version */
    demangle(bare, readable, sizeof readable);
    return names_add(names, place, &(struct names_text){.name = readable, .system_name = bare});
}

/* Where the call is, seen from where it returns to. */
static uint64_t call_address(const struct profile *profile, const struct profile_place *place)
{
    uint64_t address = place->offset;
    if (profile->header.e_machine == EM_ARM || profile->header.e_machine == EM_MIPS)
        address &= ~UINT64_C(1); /* Thumb, MIPS16: the bit tells the encoding */
    return address - !(place->flags & HT_PLACE_EXACT);
}

static enum symbolize_level level_of(const struct elf_symbols *symbols, uint32_t lines)
{
    if (lines)
        return SYMBOLIZE_DEBUG;
    if (!symbols->count)
        return SYMBOLIZE_NOTHING;
    return symbols->full ? SYMBOLIZE_SYMBOLS : SYMBOLIZE_EXPORTS;
}

/* Queries of one module, whose file is open. */
static bool name_module(struct symbolize *symbolize, struct names *names, struct debug_file *file,
                        struct symbolize_module *module, struct dwarf_query *queries)
{
    struct elf_symbols symbols;
    struct dwarf_progress progress = {tick, symbolize, 0};
    Dwarf_Addr bias;
    uint32_t with_lines = 0;
    for (uint32_t i = 0; i < module->places; i++)
        queries[i].address = call_address(symbolize->profile, &symbolize->profile->places[queries[i].place]) +
                             file->bias;
    /* DWARF first: it may lead to the debug file, which has the better symbol table, too. */
    (void)dwfl_module_getdwarf(file->module, &bias);
    bool done = elf_symbols_load(&symbols, file->module) &&
                dwarf_frames_add(file->module, &symbols, queries, module->places, names, &progress, &with_lines);
    module->named = with_lines;
    for (uint32_t i = 0; done && i < module->places; i++) {
        const struct elf_symbol *symbol = elf_symbols_find(&symbols, queries[i].address);
        if (names->places[queries[i].place].count || !symbol)
            continue;
        done = add_symbol(names, queries[i].place, symbol);
        module->named++;
    }
    module->level = level_of(&symbols, with_lines);
    elf_symbols_free(&symbols);
    return done;
}

static bool note(const struct symbolize_module *module, const struct ht_module *row, struct names *names)
{
    char path[sizeof row->path];
    debug_file_path(row, path, sizeof path);
    if (module->level == SYMBOLIZE_DIFFERS)
        return names_note(names, "no names from %s: it is not the build that ran (build-id differs)", module->file);
    return names_note(names, "# names of %s: %s (%u of %u places)%s%s", path, symbolize_level_text(module->level),
                      module->named, module->places, module->file ? ", from " : "", module->file ? module->file : "");
}

static bool name_places(struct symbolize *symbolize, struct names *names, uint32_t row, struct dwarf_query *queries,
                        uint32_t count)
{
    struct debug_file file;
    struct symbolize_module *module = &symbolize->module[row];
    const char *debug = NULL;
    bool done = true;
    free(module->file);
    *module = (struct symbolize_module){.level = SYMBOLIZE_NO_FILE, .places = count};
    if (debug_file_open(&file, &symbolize->profile->modules[row], &symbolize->places)) {
        done = name_module(symbolize, names, &file, module, queries);
        dwfl_module_info(file.module, NULL, NULL, NULL, NULL, NULL, NULL, &debug);
    } else if (file.differs)
        module->level = SYMBOLIZE_DIFFERS;
    if (module->level != SYMBOLIZE_NO_FILE) {
        module->file = strdup(debug ? debug : file.path);
        done = done && module->file;
    }
    debug_file_close(&file);
    symbolize->done += count;
    tick(symbolize, 0);
    return done && note(module, &symbolize->profile->modules[row], names);
}

bool symbolize_places(void *arg, struct names *names, const uint32_t *places, uint32_t count)
{
    struct symbolize *symbolize = arg;
    uint32_t *first = calloc((size_t)symbolize->count + 2, sizeof *first); /* of each module's queries */
    struct dwarf_query *queries = calloc((size_t)count + 1, sizeof *queries);
    bool done = first && queries;
    symbolize->done = 0;
    symbolize->total = count;
    for (uint32_t i = 0; done && i < count; i++)
        first[symbolize->profile->places[places[i]].module + 2]++;
    for (uint32_t row = 0; done && row < symbolize->count; row++)
        first[row + 2] += first[row + 1];
    for (uint32_t i = 0; done && i < count; i++)
        queries[first[symbolize->profile->places[places[i]].module + 1]++].place = places[i];
    for (uint32_t row = 0; done && row < symbolize->count; row++)
        if (first[row + 1] > first[row])
            done = name_places(symbolize, names, row, queries + first[row], first[row + 1] - first[row]);
    free(queries);
    free(first);
    return done;
}
