/* Symbol tables of a loaded object, read where the loader mapped them. No section headers, no libc, no allocation. */
#ifndef HEAPTAP_ELF_LOOKUP_H
#define HEAPTAP_ELF_LOOKUP_H

#include <common/base.h>
#include <elf.h>
#pragma GCC visibility push(default) /* its functions are libc's: hidden.h */
#include <link.h>
#pragma GCC visibility pop

struct elf_symbols {
    uintptr_t bias;
    const ElfW(Sym) * symbols;
    const char *names;
    const ElfW(Half) * versions; /* NULL: not versioned */
    const uint32_t *gnu_hash;    /* NULL: none */
    const ElfW(Word) * sysv_hash;
};

/* NULL: none. */
const ElfW(Dyn) * elf_dynamic(const ElfW(Phdr) * headers, size_t count, uintptr_t bias);

/* False: the object has no dynamic symbol table (or no hash of it). `dynamic` may be NULL. */
bool elf_symbols(const ElfW(Dyn) * dynamic, uintptr_t bias, struct elf_symbols *out);

uint32_t elf_gnu_hash(const char *name);

/* Address of a function that the object defines and exports, its default version if there are several; NULL: none. `hash` is elf_gnu_hash(name). */
void *elf_lookup(const struct elf_symbols *object, const char *name, uint32_t hash);

#endif
