#include "symbolize.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct module {
    bool tried;
    const char *problem;
    Dwfl *dwfl; /* one session a module: addresses of different modules overlap */
    Dwfl_Module *dwfl_module;
    GElf_Addr bias; /* of elfutils' view against addresses in the file */
};

struct symbolize {
    uint32_t count;
    struct module module[];
};

static char *debug_path; /* NULL: elfutils' default, :.debug:/usr/lib/debug */
static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debug_path,
};

struct symbolize *symbolize_new(const struct profile *profile)
{
    struct symbolize *symbolize = calloc(1, sizeof *symbolize +
                                                (size_t)profile->module_count * sizeof symbolize->module[0]);
    if (symbolize)
        symbolize->count = profile->module_count;
    return symbolize;
}

void symbolize_free(struct symbolize *symbolize)
{
    for (uint32_t i = 0; symbolize && i < symbolize->count; i++)
        if (symbolize->module[i].dwfl)
            dwfl_end(symbolize->module[i].dwfl);
    free(symbolize);
}

const char *symbolize_problem(const struct symbolize *symbolize, uint32_t module)
{
    return module < symbolize->count ? symbolize->module[module].problem : NULL;
}

/* A device or FIFO that a file names must neither block nor be touched. */
static int open_regular(const char *path)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool same_build_id(Dwfl_Module *found, const struct ht_module *wanted)
{
    const unsigned char *bits = NULL;
    GElf_Addr address;
    int bytes = dwfl_module_build_id(found, &bits, &address);
    if (bytes <= 0)
        return wanted->build_id_bytes == 0;
    return MIN((uint32_t)bytes, (uint32_t)sizeof wanted->build_id) == wanted->build_id_bytes &&
           memcmp(bits, wanted->build_id, wanted->build_id_bytes) == 0;
}

static const char *load(struct module *module, const struct ht_module *source)
{
    int fd = source->path[0] == '/' ? open_regular(source->path) : -1;
    if (fd < 0)
        return "its file cannot be opened";
    module->dwfl = dwfl_begin(&callbacks);
    if (module->dwfl)
        module->dwfl_module = dwfl_report_offline(module->dwfl, source->path, source->path, fd);
    if (!module->dwfl_module) {
        close(fd);
        return "its file is not an ELF file";
    }
    dwfl_report_end(module->dwfl, NULL, NULL);
    if (!dwfl_module_getelf(module->dwfl_module, &module->bias))
        return "its file is not an ELF file";
    return same_build_id(module->dwfl_module, source) ? NULL : "its file is another build (build-id differs)";
}

bool symbolize_lookup(void *arg, const struct profile *profile, const struct profile_place *place, char *to,
                      size_t capacity)
{
    struct symbolize *symbolize = arg;
    if (place->module >= symbolize->count || place->offset == 0)
        return false;
    struct module *module = &symbolize->module[place->module];
    if (!module->tried) {
        module->tried = true;
        module->problem = load(module, &profile->modules[place->module]);
    }
    if (module->problem)
        return false;
    uint64_t address = place->offset - !(place->flags & HT_PLACE_EXACT);
    GElf_Off offset;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(module->dwfl_module, address + module->bias, &offset, &symbol, NULL, NULL,
                                            NULL);
    if (!name || !*name)
        return false;
    snprintf(to, capacity, "%.*s", (int)strcspn(name, "@"), name); /* without the version of a dynamic symbol */
    return to[0] != 0;
}
