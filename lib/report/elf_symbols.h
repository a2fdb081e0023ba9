/* The functions that a module's symbol tables name (.symtab, .gnu_debugdata, .dynsym; of the separate debug file if there is one), sorted by address. */
#ifndef HEAPTAP_ELF_SYMBOLS_H
#define HEAPTAP_ELF_SYMBOLS_H

#include <common/base.h>
#include <elfutils/libdwfl.h>

struct elf_symbol {
    uint64_t start, end;
    uint64_t reach; /* highest end of this one and all before it */
    const char *name;
    bool sized, function;
};

struct elf_symbols {
    uint32_t count;
    struct elf_symbol *symbols;
    bool full; /* more than what the module exports */
};

/* False: no memory. Names belong to the Dwfl_Module. Addresses are elfutils'. */
bool elf_symbols_load(struct elf_symbols *symbols, Dwfl_Module *module);
void elf_symbols_free(struct elf_symbols *symbols);

/*
 * The innermost symbol around an address; NULL: none. A symbol without a size reaches to the next one, where the table is full; in a table of exports alone
 * it names nothing, because what follows it may be any function.
 */
const struct elf_symbol *elf_symbols_find(const struct elf_symbols *symbols, uint64_t address);

#endif
