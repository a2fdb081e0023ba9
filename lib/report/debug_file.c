#include "debug_file.h"

#include <common/text.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* A device or FIFO that a file names must neither block nor be touched. */
static int only_regular(int fd)
{
    struct stat stat;
    if (fd >= 0 && (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Symbolic links of the sysroot lead to places inside it. Kernels before 5.6 cannot say so. */
static int open_below(const char *root, const char *path)
{
    char whole[PATH_MAX];
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_IN_ROOT};
    int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -1;
    int fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    bool old = fd < 0 && errno == ENOSYS;
    close(directory);
    if (old && (size_t)snprintf(whole, sizeof whole, "%s%s", root, path) < sizeof whole)
        fd = open(whole, OPEN_FLAGS);
    return only_regular(fd);
}

static bool same_build_id(const void *bits, ssize_t bytes, const struct ht_module *wanted)
{
    if (bytes <= 0)
        return wanted->build_id_bytes == 0;
    return MIN((size_t)bytes, sizeof wanted->build_id) == wanted->build_id_bytes &&
           memcmp(bits, wanted->build_id, wanted->build_id_bytes) == 0;
}

/* True if it is an ELF file of the same build. */
static bool right_build(int fd, const struct ht_module *wanted, bool *is_elf)
{
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    const void *bits = NULL;
    *is_elf = elf && elf_kind(elf) == ELF_K_ELF;
    bool right = *is_elf && same_build_id(bits, 0, wanted);
    if (*is_elf) {
        ssize_t bytes = dwelf_elf_gnu_build_id(elf, &bits);
        right = same_build_id(bits, bytes, wanted);
    }
    elf_end(elf);
    return right;
}

/* The candidate if it is right; else it is closed. */
static int check(struct debug_file *file, int fd, const char *path)
{
    bool is_elf = false;
    if (fd < 0)
        return -1;
    if (right_build(fd, file->wanted, &is_elf)) {
        text_copy(file->path, sizeof file->path, path);
        return fd;
    }
    if (is_elf && !file->differs) {
        file->differs = true;
        text_copy(file->path, sizeof file->path, path);
    }
    close(fd);
    return -1;
}

static int try_path(struct debug_file *file, const char *root, const char *path)
{
    char whole[sizeof file->path];
    if ((size_t)snprintf(whole, sizeof whole, "%s%s", root, path) >= sizeof whole)
        return -1;
    return check(file, *root ? open_below(root, path) : only_regular(open(path, OPEN_FLAGS)), whole);
}

static int try_process(struct debug_file *file, const char *path)
{
    char root[64];
    snprintf(root, sizeof root, "/proc/%u/root", file->places->pid);
    int fd = try_path(file, root, path);
    if (fd >= 0 || !(file->wanted->flags & HT_MODULE_MAIN))
        return fd;
    snprintf(root, sizeof root, "/proc/%u/exe", file->places->pid);
    return try_path(file, "", root);
}

/* DIRECTORY/.build-id/ab/cdef.debug */
static int try_build_id(struct debug_file *file, const char *root, const char *directory)
{
    char hex[2 * sizeof file->wanted->build_id + 1], path[PATH_MAX];
    if (file->wanted->build_id_bytes < 2)
        return -1;
    for (uint32_t i = 0; i < file->wanted->build_id_bytes; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", file->wanted->build_id[i]);
    if ((size_t)snprintf(path, sizeof path, "%s/.build-id/%.2s/%s.debug", directory, hex, hex + 2) >= sizeof path)
        return -1;
    return try_path(file, root, path);
}

/* A debug file in --debug-dir. What differs there is no news. */
static int try_debug_dir(struct debug_file *file)
{
    char path[PATH_MAX], module[sizeof file->wanted->path];
    const char *directory = file->places->debug_dir;
    bool differs = file->differs;
    if (!directory || !file->wanted->build_id_bytes)
        return -1;
    debug_file_path(file->wanted, module, sizeof module);
    int fd = try_build_id(file, "", directory);
    static const char *const endings[] = {".debug", ""};
    for (size_t i = 0; fd < 0 && i < ARRAY_LEN(endings); i++)
        if ((size_t)snprintf(path, sizeof path, "%s/%s%s", directory, text_basename(module), endings[i]) < sizeof path)
            fd = try_path(file, "", path);
    file->differs = differs;
    return fd;
}

static int find_debuginfo(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base, const char *path,
                          const char *debuglink, GElf_Word crc, char **found)
{
    struct debug_file *file = *userdata;
    char kept[sizeof file->path];
    text_copy(kept, sizeof kept, file->path);
    int fd = try_debug_dir(file);
    if (fd < 0 && file->places->sysroot)
        fd = try_build_id(file, file->places->sysroot, "/usr/lib/debug");
    if (fd >= 0)
        *found = strdup(file->path);
    text_copy(file->path, sizeof file->path, kept);
    return fd >= 0 ? fd : dwfl_standard_find_debuginfo(module, userdata, name, base, path, debuglink, crc, found);
}

static char *debug_path; /* NULL: elfutils' default, :.debug:/usr/lib/debug */
static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debug_path,
};

void debug_file_path(const struct ht_module *module, char *to, size_t capacity)
{
    static const char deleted[] = " (deleted)";
    text_copy(to, capacity, module->path);
    size_t length = strlen(to);
    if (length >= sizeof deleted && strcmp(to + length - (sizeof deleted - 1), deleted) == 0)
        to[length - (sizeof deleted - 1)] = 0;
}

static int find(struct debug_file *file)
{
    char path[sizeof file->wanted->path];
    debug_file_path(file->wanted, path, sizeof path);
    int fd = path[0] == '/' ? try_path(file, file->places->sysroot ? file->places->sysroot : "", path) : -1;
    if (fd < 0 && path[0] == '/' && file->places->pid)
        fd = try_process(file, path);
    if (fd < 0)
        fd = try_debug_dir(file);
    if (fd < 0 && file->places->sysroot)
        fd = try_build_id(file, file->places->sysroot, "/usr/lib/debug");
    return fd < 0 ? try_build_id(file, "", "/usr/lib/debug") : fd;
}

bool debug_file_open(struct debug_file *file, const struct ht_module *wanted, const struct debug_file_places *places)
{
    void **userdata;
    memset(file, 0, sizeof *file);
    file->wanted = wanted;
    file->places = places;
    elf_version(EV_CURRENT);
    unsetenv("DEBUGINFOD_URLS"); /* libdw would wait for the network */
    int fd = find(file);
    if (fd < 0)
        return false;
    file->dwfl = dwfl_begin(&callbacks);
    if (file->dwfl)
        file->module = dwfl_report_offline(file->dwfl, text_basename(file->path), file->path, fd);
    if (!file->module) {
        close(fd);
        return false;
    }
    dwfl_report_end(file->dwfl, NULL, NULL);
    dwfl_module_info(file->module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
    *userdata = file;
    return dwfl_module_getelf(file->module, &file->bias) != NULL;
}

void debug_file_close(struct debug_file *file)
{
    if (file->dwfl)
        dwfl_end(file->dwfl);
    file->dwfl = NULL;
}
