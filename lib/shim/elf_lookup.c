#include "elf_lookup.h"

#include <common/text.h>

#define VERSION_HIDDEN 0x8000u
#define CHAIN_LIMIT 100000u /* symbols of one hash chain; against a damaged table */

#ifndef STT_GNU_IFUNC
#define STT_GNU_IFUNC 10
#endif

uint32_t elf_gnu_hash(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static uint32_t sysv_hash(const char *name)
{
    uint32_t hash = 0;
    for (; *name; name++) {
        hash = (hash << 4) + (unsigned char)*name;
        hash = (hash ^ ((hash & 0xf0000000u) >> 24)) & 0x0fffffffu;
    }
    return hash;
}

const ElfW(Dyn) * elf_dynamic(const ElfW(Phdr) * headers, size_t count, uintptr_t bias)
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].p_type == PT_DYNAMIC)
            return (const ElfW(Dyn) *)(bias + headers[i].p_vaddr);
    return NULL;
}

bool elf_symbols(const ElfW(Dyn) * dynamic, uintptr_t bias, struct elf_symbols *out)
{
    *out = (struct elf_symbols){.bias = bias};
    if (!dynamic)
        return false;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        /* glibc relocates these pointers in place, musl and the vdso do not. */
        uintptr_t at = (uintptr_t)dynamic->d_un.d_ptr;
        if (at < bias)
            at += bias;
        switch (dynamic->d_tag) {
        case DT_SYMTAB: out->symbols = (const ElfW(Sym) *)at; break;
        case DT_STRTAB: out->names = (const char *)at; break;
        case DT_VERSYM: out->versions = (const ElfW(Half) *)at; break;
        case DT_GNU_HASH: out->gnu_hash = (const uint32_t *)at; break;
        case DT_HASH: out->sysv_hash = (const ElfW(Word) *)at; break;
        default: break;
        }
    }
    return out->symbols && out->names && (out->gnu_hash || out->sysv_hash);
}

/* 0: not this symbol; 1: it is, in a version that is not the default; 2: it is. */
static int match(const struct elf_symbols *object, uint32_t index, const char *name)
{
    const ElfW(Sym) *symbol = &object->symbols[index];
    unsigned type = symbol->st_info & 15;
    if (symbol->st_shndx == SHN_UNDEF || !symbol->st_value || (symbol->st_info >> 4) == STB_LOCAL)
        return 0;
    if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
        return 0;
    if (!text_equal(object->names + symbol->st_name, name))
        return 0;
    return object->versions && (object->versions[index] & VERSION_HIDDEN) ? 1 : 2;
}

static uint32_t find_gnu(const struct elf_symbols *object, const char *name, uint32_t hash)
{
    const uint32_t *table = object->gnu_hash;
    uint32_t buckets = table[0], first = table[1], words = table[2], shift = table[3];
    const ElfW(Addr) *bloom = (const ElfW(Addr) *)(table + 4);
    const uint32_t *bucket = (const uint32_t *)(bloom + words);
    const uint32_t *chain = bucket + buckets;
    const unsigned bits = 8 * sizeof(ElfW(Addr));
    uint32_t other_version = 0;
    if (!buckets || !words)
        return 0;
    ElfW(Addr) word = bloom[(hash / bits) & (words - 1)];
    if (!((word >> (hash % bits)) & (word >> ((hash >> shift) % bits)) & 1))
        return 0;
    uint32_t index = bucket[hash % buckets];
    if (index < first)
        return 0;
    for (uint32_t steps = 0; steps < CHAIN_LIMIT; steps++, index++) {
        uint32_t entry = chain[index - first];
        if ((entry | 1) == (hash | 1)) {
            int found = match(object, index, name);
            if (found == 2)
                return index;
            if (found == 1)
                other_version = index;
        }
        if (entry & 1)
            break;
    }
    return other_version;
}

static uint32_t find_sysv(const struct elf_symbols *object, const char *name)
{
    const ElfW(Word) *table = object->sysv_hash;
    uint32_t buckets = table[0];
    uint32_t other_version = 0;
    if (!buckets)
        return 0;
    uint32_t index = table[2 + sysv_hash(name) % buckets];
    for (uint32_t steps = 0; index && steps < CHAIN_LIMIT; steps++) {
        int found = match(object, index, name);
        if (found == 2)
            return index;
        if (found == 1)
            other_version = index;
        index = table[2 + buckets + index];
    }
    return other_version;
}

void *elf_lookup(const struct elf_symbols *object, const char *name, uint32_t hash)
{
    uint32_t index = object->gnu_hash ? find_gnu(object, name, hash) : find_sysv(object, name);
    if (!index)
        return NULL;
    const ElfW(Sym) *symbol = &object->symbols[index];
    uintptr_t address = object->bias + symbol->st_value;
    if ((symbol->st_info & 15) == STT_GNU_IFUNC)
        address = ((uintptr_t(*)(void))address)();
    return (void *)address;
}
