#include "loader.h"

#define OBJECTS_MAX 100000u /* looked at; against a damaged list */

/* Where a debugger finds the list: glibc's structure, and musl's pointer to one. */
extern struct r_debug _r_debug IMPORT;
extern struct r_debug *_dl_debug_addr IMPORT;

static const struct link_map *objects(void)
{
    if (&_r_debug)
        return _r_debug.r_map;
    return &_dl_debug_addr && _dl_debug_addr ? _dl_debug_addr->r_map : NULL;
}

static void *find(const struct elf_symbols *object, const char *name)
{
    return elf_lookup(object, name, elf_gnu_hash(name));
}

/*
 * libc's symbol table, which stays where it is. Others define some of its names, to stand in front of it: it comes last. Threads that look for it at the same
 * time find the same.
 */
static const struct elf_symbols *libc_symbols(void)
{
    static struct elf_symbols libc;
    static uint32_t known;
    const struct link_map *object = word_acquire(&known) ? NULL : objects();
    bool surely = false;
    for (uint32_t i = 0; object && i < OBJECTS_MAX; i++, object = object->l_next) {
        struct elf_symbols symbols;
        if (!elf_symbols(object->l_ld, object->l_addr, &symbols) || !find(&symbols, "dl_iterate_phdr"))
            continue;
        bool starts = find(&symbols, "__libc_start_main");
        if (surely && !starts)
            continue;
        surely |= starts;
        libc = symbols;
    }
    if (libc.symbols)
        word_publish(&known, 1);
    return libc.symbols ? &libc : NULL;
}

void *loader_libc(const char *name)
{
    const struct elf_symbols *libc = libc_symbols();
    return libc ? find(libc, name) : NULL;
}

int loader_walk(int (*visit)(struct dl_phdr_info *, size_t, void *), void *argument)
{
    static int (*walk)(int (*)(struct dl_phdr_info *, size_t, void *), void *);
    int (*own)(int (*)(struct dl_phdr_info *, size_t, void *), void *) = __atomic_load_n(&walk, __ATOMIC_RELAXED);
    if (!own) {
        *(void **)&own = loader_libc("dl_iterate_phdr");
        __atomic_store_n(&walk, own, __ATOMIC_RELAXED);
    }
    return own ? own(visit, argument) : 0;
}
