#include "launch.h"

#include <common/text.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPTS_MAX 5 /* as deep as the kernel follows */

/* ---- The library ---- */

static bool is_file(const char *path)
{
    struct stat stat_now;
    return stat(path, &stat_now) == 0 && S_ISREG(stat_now.st_mode);
}

static bool library_beside_tool(char to[LAUNCH_PATH_MAX])
{
    static const char *const places[] = {"", "../" HEAPTAP_LIBDIR "/", "../lib/", "../lib64/"};
    char tool[LAUNCH_PATH_MAX], path[LAUNCH_PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", tool, sizeof tool - 1);
    if (length <= 0)
        return false;
    tool[length] = 0;
    *(char *)text_basename(tool) = 0;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        snprintf(path, sizeof path, "%s%slibheaptap.so", tool, places[i]);
        char *real = is_file(path) ? realpath(path, NULL) : NULL;
        bool fits = real && text_copy(to, LAUNCH_PATH_MAX, real);
        free(real);
        if (fits)
            return true;
    }
    return false;
}

/* Whatever the file is called, it was linked as libheaptap.so. */
static bool has_our_name(Elf *elf)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    GElf_Dyn entry;
    while ((section = elf_nextscn(elf, section))) {
        Elf_Data *data = gelf_getshdr(section, &header) && header.sh_type == SHT_DYNAMIC ? elf_getdata(section, NULL)
                                                                                         : NULL;
        for (int i = 0; data && gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; i++) {
            const char *name = entry.d_tag == DT_SONAME ? elf_strptr(elf, header.sh_link, entry.d_un.d_val) : NULL;
            if (name)
                return strcmp(name, "libheaptap.so") == 0;
        }
    }
    return false;
}

static bool is_our_library(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    bool ours = elf && has_our_name(elf);
    elf_end(elf);
    close(fd);
    return ours;
}

bool launch_library(char to[LAUNCH_PATH_MAX], struct err *err)
{
    const char *chosen = getenv("HEAPTAP_LIB");
    if (chosen && *chosen) {
        char *real = realpath(chosen, NULL);
        bool fits = real && text_copy(to, LAUNCH_PATH_MAX, real);
        free(real);
        if (!fits)
            return err_system(err, "find HEAPTAP_LIB", chosen);
        if (!is_our_library(to))
            return err_set(err, "HEAPTAP_LIB %s: it is not heaptap's library; name a libheaptap.so, or unset it", to);
    } else if (!library_beside_tool(to)) {
        return err_set(err,
                       "cannot find libheaptap.so beside this tool or in its lib directory; name it in HEAPTAP_LIB");
    }
    if (to[strcspn(to, " :")])
        return err_set(err,
                       "%s: LD_PRELOAD cannot name a path with a blank or a colon; copy the file elsewhere and name it "
                       "in HEAPTAP_LIB",
                       to);
    return true;
}

/* ---- The command ---- */

/* errno of an attempt to execute it: 0, ENOENT, EACCES, EISDIR ... */
static int try_file(const char *path)
{
    struct stat stat_now;
    if (stat(path, &stat_now) != 0)
        return errno;
    if (S_ISDIR(stat_now.st_mode))
        return EISDIR;
    if (!S_ISREG(stat_now.st_mode))
        return EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

static bool refuse_file(const char *path, int error, struct err *err)
{
    if (error == EISDIR)
        return err_set(err, "cannot run %s: it is a directory", path);
    if (error == EACCES)
        return err_set(err, "cannot run %s: it is not executable (chmod +x, or name its interpreter)", path);
    return err_set(err, "cannot run %s: %s", path, strerror(error));
}

bool launch_find(const char *command, char to[LAUNCH_PATH_MAX], struct err *err)
{
    const char *path = getenv("PATH");
    int worst = ENOENT;
    if (!*command)
        return err_set(err, "cannot run a command without a name");
    if (strchr(command, '/')) {
        int error = try_file(command);
        return error                                     ? refuse_file(command, error, err)
               : text_copy(to, LAUNCH_PATH_MAX, command) ? true
                                                         : refuse_file(command, ENAMETOOLONG, err);
    }
    for (const char *at = path ? path : "/bin:/usr/bin"; *command && at;) {
        size_t length = strcspn(at, ":");
        int printed = snprintf(to, LAUNCH_PATH_MAX, "%.*s%s%s", (int)length, at, length ? "/" : "", command);
        int error = printed < LAUNCH_PATH_MAX ? try_file(to) : ENAMETOOLONG;
        if (!error)
            return true;
        if (error == EACCES)
            worst = error;
        at = at[length] ? at + length + 1 : NULL;
    }
    if (worst == EACCES)
        return err_set(err, "cannot run %s: the file of that name in PATH is not executable", command);
    if (try_file(command) == 0)
        return err_set(err, "cannot run %s: no such command in PATH; the file that is here is ./%s", command, command);
    if (command[strcspn(command, " =")])
        return err_set(err, "cannot run %s: no such command in PATH; a line for a shell goes to one: sh -c 'LINE'",
                       command);
    return err_set(err, "cannot run %s: no such command in PATH", command);
}

/* ---- What it is ---- */

/* The interpreter of a script; empty: none. */
static void read_interpreter(int fd, char to[LAUNCH_PATH_MAX])
{
    char line[LAUNCH_PATH_MAX];
    ssize_t length = pread(fd, line, sizeof line - 1, 0);
    to[0] = 0;
    if (length < 3 || line[0] != '#' || line[1] != '!')
        return;
    line[length] = 0;
    const char *at = line + 2 + strspn(line + 2, " \t");
    snprintf(to, LAUNCH_PATH_MAX, "%.*s", (int)strcspn(at, " \t\r\n"), at);
}

/* The loader ignores LD_PRELOAD where executing gives rights that the caller does not have. */
static const char *rights_gained(int fd)
{
    struct stat stat_now;
    struct statvfs fs;
    if (fstat(fd, &stat_now) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
        (fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOSUID)))
        return NULL;
    if ((stat_now.st_mode & S_ISUID) && stat_now.st_uid != getuid())
        return "setuid";
    if ((stat_now.st_mode & S_ISGID) && (stat_now.st_mode & S_IXGRP) && stat_now.st_gid != getgid())
        return "setgid";
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return "given file capabilities";
    return NULL;
}

static const char *machine_name(unsigned machine, int class)
{
    bool wide = class == ELFCLASS64;
    switch (machine) {
    case EM_X86_64: return wide ? "x86-64" : "x32";
    case EM_386: return "32-bit x86";
    case EM_AARCH64: return "64-bit ARM";
    case EM_ARM: return "32-bit ARM";
    case EM_MIPS: return wide ? "64-bit MIPS" : "32-bit MIPS";
    case EM_RISCV: return wide ? "64-bit RISC-V" : "32-bit RISC-V";
    default: return "another machine";
    }
}

struct kind {
    GElf_Ehdr header;
    bool loaded;    /* names a loader */
    bool is_loader; /* or is one itself: a shared object, not a static position-independent program */
    char loader[LAUNCH_PATH_MAX];
};

static bool is_static_pie(Elf *elf, const GElf_Phdr *segment)
{
    Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)segment->p_offset, segment->p_filesz, ELF_T_DYN);
    GElf_Dyn entry;
    for (int i = 0; data && gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; i++)
        if (entry.d_tag == DT_FLAGS_1)
            return entry.d_un.d_val & DF_1_PIE;
    return false;
}

static bool read_kind(Elf *elf, int fd, struct kind *kind)
{
    size_t segments;
    GElf_Phdr segment;
    if (!gelf_getehdr(elf, &kind->header) || elf_getphdrnum(elf, &segments) != 0 || !segments)
        return false;
    for (size_t i = 0; i < segments; i++) {
        if (!gelf_getphdr(elf, (int)i, &segment))
            return false;
        if (segment.p_type == PT_DYNAMIC && kind->header.e_type == ET_DYN)
            kind->is_loader = !is_static_pie(elf, &segment);
        if (segment.p_type != PT_INTERP)
            continue;
        size_t bytes = MIN(segment.p_filesz, sizeof kind->loader - 1);
        kind->loaded = pread(fd, kind->loader, bytes, (off_t)segment.p_offset) == (ssize_t)bytes;
    }
    return true;
}

/* Reads what an ELF file is. False: it is none. */
static bool look_at(int fd, struct kind *kind)
{
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    bool read = elf && elf_kind(elf) == ELF_K_ELF && read_kind(elf, fd, kind);
    elf_end(elf);
    return read;
}

static bool look_at_library(const char *library, struct kind *kind, struct err *err)
{
    int fd = open(library, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_system(err, "open", library);
    bool read = look_at(fd, kind);
    close(fd);
    return read ? true : err_set(err, "%s: not a shared library", library);
}

static bool check_program(const char *path, int fd, const char *library, struct err *err)
{
    struct kind program = {.loaded = false}, shim = {.loaded = false};
    struct stat stat_now;
    if (!look_at(fd, &program))
        return err_set(err, "cannot profile %s: a damaged ELF file", path);
    if (!look_at_library(library, &shim, err))
        return false;
    if (program.header.e_machine != shim.header.e_machine ||
        program.header.e_ident[EI_CLASS] != shim.header.e_ident[EI_CLASS] ||
        program.header.e_ident[EI_DATA] != shim.header.e_ident[EI_DATA])
        return err_set(err,
                       "cannot profile %s: it is a program for %s, and %s is for %s; name the right one in HEAPTAP_LIB",
                       path, machine_name(program.header.e_machine, program.header.e_ident[EI_CLASS]), library,
                       machine_name(shim.header.e_machine, shim.header.e_ident[EI_CLASS]));
    if (!program.loaded && !program.is_loader)
        return err_set(
            err, "cannot profile %s: it is linked statically, so nothing can be preloaded; link it dynamically", path);
    if (program.loaded && stat(program.loader, &stat_now) != 0)
        return err_set(err, "cannot run %s: its loader %s is not there: the program is for another libc", path,
                       program.loader);
    const char *gained = rights_gained(fd);
    if (gained)
        return err_set(err,
                       "cannot profile %s: it is %s, and the loader then ignores LD_PRELOAD; run as that user, or "
                       "profile a copy without it",
                       path, gained);
    return true;
}

static bool is_elf(int fd)
{
    char magic[SELFMAG];
    return pread(fd, magic, SELFMAG, 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

bool launch_check(const char *path, const char *library, char program[LAUNCH_PATH_MAX], struct err *err)
{
    char interpreter[LAUNCH_PATH_MAX];
    text_copy(program, LAUNCH_PATH_MAX, path);
    for (int depth = 0; depth < SCRIPTS_MAX; depth++) {
        int fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) /* may be executed and not read: nothing to tell */
            return errno == EACCES ? true : err_system(err, "run", program);
        if (is_elf(fd)) {
            bool fine = check_program(program, fd, library, err);
            close(fd);
            return fine;
        }
        read_interpreter(fd, interpreter);
        close(fd);
        const char *next = interpreter[0] ? interpreter : "/bin/sh";
        int error = try_file(next);
        if (error)
            return err_set(err, "cannot run %s: its interpreter %s: %s", program, next, strerror(error));
        text_copy(program, LAUNCH_PATH_MAX, next);
    }
    return err_set(err, "cannot run %s: too many interpreters of interpreters", path);
}
