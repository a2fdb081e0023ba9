#include "symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct object {
    char path[256];
    struct function {
        uint64_t start, end;
        char *name;
    } * function;
    size_t count;
    struct object *next;
};

static int by_start(const void *a, const void *b)
{
    const struct function *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static void take_table(struct object *object, const unsigned char *base, const Elf64_Shdr *table, const char *names)
{
    const Elf64_Sym *symbol = (const void *)(base + table->sh_offset);
    size_t count = table->sh_size / sizeof *symbol;
    object->function = realloc(object->function, (object->count + count) * sizeof *object->function);
    for (size_t i = 0; i < count; i++) {
        unsigned type = ELF64_ST_TYPE(symbol[i].st_info);
        if ((type != STT_FUNC && type != STT_GNU_IFUNC) || !symbol[i].st_size)
            continue;
        char *name = strdup(names + symbol[i].st_name);
        name[strcspn(name, ".")] = 0;
        object->function[object->count++] = (struct function){symbol[i].st_value,
                                                              symbol[i].st_value + symbol[i].st_size, name};
    }
}

static void load(struct object *object)
{
    struct stat stat;
    int fd = open(object->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    const unsigned char *base = MAP_FAILED;
    if (!fstat(fd, &stat) && stat.st_size > (off_t)sizeof(Elf64_Ehdr))
        base = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (base == MAP_FAILED)
        return;
    const Elf64_Ehdr *header = (const void *)base;
    const Elf64_Shdr *section = (const void *)(base + header->e_shoff);
    if (!memcmp(header->e_ident, ELFMAG, SELFMAG) && header->e_ident[EI_CLASS] == ELFCLASS64)
        for (unsigned i = 0; i < header->e_shnum; i++)
            if (section[i].sh_type == SHT_SYMTAB || section[i].sh_type == SHT_DYNSYM)
                take_table(object, base, &section[i], (const char *)base + section[section[i].sh_link].sh_offset);
    munmap((void *)(uintptr_t)base, (size_t)stat.st_size);
    qsort(object->function, object->count, sizeof *object->function, by_start);
}

static const struct object *object_of(const char *path)
{
    static struct object *objects;
    struct object *object = objects;
    while (object && strcmp(object->path, path) != 0)
        object = object->next;
    if (!object) {
        object = calloc(1, sizeof *object);
        strncpy(object->path, path, sizeof object->path - 1);
        load(object);
        object->next = objects;
        objects = object;
    }
    return object;
}

/* Any of the functions that hold `offset`; NULL: none. */
static const struct function *find(const struct object *object, uint64_t offset)
{
    for (size_t low = 0, high = object->count; low < high;) {
        size_t middle = (low + high) / 2;
        const struct function *function = &object->function[middle];
        if (offset < function->start)
            high = middle;
        else if (offset >= function->end)
            low = middle + 1;
        else
            return function;
    }
    return NULL;
}

const char *symbol_name(const char *path, uint64_t offset)
{
    const struct function *function = find(object_of(path), offset);
    return function ? function->name : NULL;
}

bool symbol_is(const char *path, uint64_t offset, const char *name, size_t length)
{
    const struct object *object = object_of(path);
    const struct function *found = find(object, offset), *function = found;
    while (function && function > object->function && function[-1].start == found->start)
        function--;
    for (; function && function < object->function + object->count && function->start == found->start; function++)
        if (strlen(function->name) == length && !memcmp(function->name, name, length))
            return true;
    return false;
}
