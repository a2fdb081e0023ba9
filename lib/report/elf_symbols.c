#include "elf_symbols.h"

#include <stdlib.h>
#include <string.h>

static bool has_section(Elf *elf, unsigned type, const char *name)
{
    size_t names;
    GElf_Shdr header;
    if (!elf || elf_getshdrstrndx(elf, &names) != 0)
        return false;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        if (!gelf_getshdr(section, &header))
            continue;
        const char *found = elf_strptr(elf, names, header.sh_name);
        if (name ? found && strcmp(found, name) == 0 : header.sh_type == type)
            return true;
    }
    return false;
}

/* True if the symbol is code; gives where its section ends. */
static bool is_code(Elf *elf, GElf_Addr bias, GElf_Word index, uint64_t *section_end)
{
    GElf_Shdr header;
    Elf_Scn *section = elf_getscn(elf, index);
    if (!section || !gelf_getshdr(section, &header) || !(header.sh_flags & SHF_EXECINSTR))
        return false;
    *section_end = header.sh_addr + header.sh_size + bias;
    return true;
}

static bool take(struct elf_symbol *to, Dwfl_Module *module, int index)
{
    GElf_Sym symbol;
    GElf_Addr address, bias;
    GElf_Word section;
    Elf *elf;
    uint64_t section_end;
    const char *name = dwfl_module_getsym_info(module, index, &symbol, &address, &section, &elf, &bias);
    int type = GELF_ST_TYPE(symbol.st_info);
    if (!name || !*name || *name == '$' || section == SHN_UNDEF || !elf ||
        (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) || !is_code(elf, bias, section, &section_end))
        return false;
    GElf_Ehdr header;
    if (gelf_getehdr(elf, &header) && header.e_machine == EM_ARM)
        address &= ~UINT64_C(1); /* Thumb */
    *to = (struct elf_symbol){.start = address,
                              .end = symbol.st_size ? address + symbol.st_size : section_end,
                              .name = name,
                              .sized = symbol.st_size != 0,
                              .function = type != STT_NOTYPE};
    return to->end > to->start;
}

static size_t underscores(const char *name)
{
    return strspn(name, "_");
}

/* By start; of those that start together the best comes last: a function, with a size, with the plainest name. */
static int compare(const void *a, const void *b)
{
    const struct elf_symbol *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->function != y->function)
        return x->function ? 1 : -1;
    if (x->sized != y->sized)
        return x->sized ? 1 : -1;
    size_t x_marks = underscores(x->name), y_marks = underscores(y->name);
    if (x_marks != y_marks)
        return x_marks < y_marks ? 1 : -1;
    size_t x_length = strlen(x->name), y_length = strlen(y->name);
    if (x_length != y_length)
        return x_length < y_length ? 1 : -1;
    return strcmp(y->name, x->name);
}

/* A symbol without size ends where the next begins. */
static void finish(struct elf_symbols *symbols)
{
    uint64_t next = UINT64_MAX, reach = 0;
    for (uint32_t i = symbols->count; i--;) {
        struct elf_symbol *symbol = &symbols->symbols[i];
        if (i + 1 < symbols->count && symbols->symbols[i + 1].start > symbol->start)
            next = symbols->symbols[i + 1].start;
        if (!symbol->sized)
            symbol->end = MIN(symbol->end, next);
    }
    for (uint32_t i = 0; i < symbols->count; i++) {
        reach = MAX(reach, symbols->symbols[i].end);
        symbols->symbols[i].reach = reach;
    }
}

bool elf_symbols_load(struct elf_symbols *symbols, Dwfl_Module *module)
{
    memset(symbols, 0, sizeof *symbols);
    int count = dwfl_module_getsymtab(module);
    const char *debug = NULL;
    GElf_Addr bias;
    Elf *elf = dwfl_module_getelf(module, &bias);
    dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, &debug);
    symbols->full = debug || has_section(elf, SHT_SYMTAB, NULL) || has_section(elf, 0, ".gnu_debugdata");
    if (count <= 0)
        return true;
    symbols->symbols = malloc((size_t)count * sizeof *symbols->symbols);
    if (!symbols->symbols)
        return false;
    for (int i = 1; i < count; i++) {
        struct elf_symbol *to = &symbols->symbols[symbols->count];
        symbols->count += take(to, module, i) && (to->sized || symbols->full);
    }
    qsort(symbols->symbols, symbols->count, sizeof *symbols->symbols, compare);
    finish(symbols);
    return true;
}

void elf_symbols_free(struct elf_symbols *symbols)
{
    free(symbols->symbols);
    memset(symbols, 0, sizeof *symbols);
}

const struct elf_symbol *elf_symbols_find(const struct elf_symbols *symbols, uint64_t address)
{
    uint32_t low = 0, high = symbols->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (symbols->symbols[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    while (low-- && symbols->symbols[low].reach > address)
        if (symbols->symbols[low].end > address)
            return &symbols->symbols[low];
    return NULL;
}
