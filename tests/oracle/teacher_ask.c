/*
 * Asks the shim's teacher about addresses of an ELF file that nobody loaded, and prints each answer as plain numbers.
 *
 *   teacher_ask FILE < questions
 *
 * A question is a line `c ADDRESS` (a return address) or `e ADDRESS` (an exact one), in hexadecimal as the file has it. The answer is a line
 *   ADDRESS KIND FLAGS CFA_REG CFA_OFFSET CFA_ADD RA_BASE RA SAVED_BASE SAVED...
 * as struct rule has them. The last line is `ns N`: nanoseconds a question, the mean over all.
 */
#include <shim/teach.h>
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

/* Maps the segments to where they would be relative to each other; what is not in the file stays zero. */
static struct teach_module map_segments(const char *path)
{
    struct teach_module module = {0};
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat))
        fail(path);
    const char *file = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED)
        fail(path);
    const ElfW(Ehdr) *elf = (const void *)file;
    const ElfW(Phdr) *header = (const void *)(file + elf->e_phoff);
    uintptr_t low = UINTPTR_MAX, high = 0;
    for (int i = 0; i < elf->e_phnum; i++)
        if (header[i].p_type == PT_LOAD) {
            low = MIN(low, header[i].p_vaddr & ~(uintptr_t)4095);
            high = MAX(high, header[i].p_vaddr + header[i].p_memsz);
        }
    char *at = mmap(NULL, high - low, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        fail("mmap");
    for (int i = 0; i < elf->e_phnum; i++) {
        if (header[i].p_type == PT_LOAD)
            memcpy(at + (header[i].p_vaddr - low), file + header[i].p_offset, header[i].p_filesz);
        if (header[i].p_type == PT_GNU_EH_FRAME) {
            module.table = (uintptr_t)at + (header[i].p_vaddr - low);
            module.table_bytes = header[i].p_memsz;
        }
    }
    module.start = (uintptr_t)at;
    module.end = (uintptr_t)at + (high - low);
    module.bias = (uintptr_t)at - low;
    return module;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void print_rule(uintptr_t address, const struct rule *rule)
{
    printf("%" PRIxPTR " %d %u %d %d %d %d %d %d %d", address, rule->kind, rule->flags, rule->cfa_reg, rule->cfa_offset,
           rule->cfa_add, rule->ra_base, rule->ra, rule->saved_base, rule->saved_at_cfa);
    for (int i = 0; i < ARCH_REGS - 1; i++)
        printf(" %d", rule->saved[i]);
    putchar('\n');
}

int main(int count, char **arguments)
{
    char how;
    uintptr_t address;
    uint64_t ns = 0, questions = 0;
    if (count != 2) {
        fprintf(stderr, "usage: teacher_ask FILE < questions\n");
        return 2;
    }
    struct teach_module module = map_segments(arguments[1]);
    if (!teach_init()) {
        fprintf(stderr, "teacher_ask: no teacher\n");
        return 2;
    }
    while (scanf(" %c %" SCNxPTR, &how, &address) == 2) {
        struct rule rule;
        uint64_t start = now_ns();
        teach(&module, address + module.bias, how == 'e', &rule);
        ns += now_ns() - start;
        questions++;
        print_rule(address, &rule);
    }
    printf("ns %" PRIu64 "\n", questions ? ns / questions : 0);
    return 0;
}
