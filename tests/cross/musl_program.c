/*
 * Runs on musl with libheaptap.so preloaded: every call must do what musl promises, and reach the hooks.
 *   musl_program WHAT [LIBRARY]    prints "WHAT ok", or what went wrong and exits with 1
 * Also built as the library that is loaded (-DLIBRARY).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef LIBRARY

static char *early;

__attribute__((constructor)) static void start(void)
{
    early = malloc(100);
    strcpy(early, "made by the constructor");
}

char *library_text(void);
char *library_text(void)
{
    return strdup(early);
}

#else

#define THREADS 8
#define ROUNDS 2000

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("line %d: %s (errno %d)\n", __LINE__, #condition, errno);                                           \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static volatile size_t huge = SIZE_MAX / 2; /* the compiler must not see it */

static void family(void)
{
    unsigned char *p = malloc(100);
    CHECK(p && malloc_usable_size(p) >= 100);
    memset(p, 7, 100);
    p = realloc(p, 100000);
    CHECK(p && p[0] == 7 && p[99] == 7);
    p = reallocarray(p, 10, 5);
    CHECK(p && p[49] == 7);
    free(p);

    p = calloc(333, 3);
    CHECK(p);
    for (int i = 0; i < 999; i++)
        CHECK(p[i] == 0);
    free(p);
    free(NULL);

    p = malloc(0);
    free(p);
    errno = 0;
    CHECK(!malloc(huge) && errno == ENOMEM);
    errno = 0;
    CHECK(!calloc(huge, 4) && errno == ENOMEM);
    errno = 0;
    CHECK(!reallocarray(NULL, huge, 4) && errno == ENOMEM);
    errno = 77;
    free(malloc(300000));
    CHECK(errno == 77);
}

/* musl refuses these when malloc is replaced and aligned_alloc is not; and it makes two of them from the third. */
static void aligned(void)
{
    for (size_t alignment = sizeof(void *); alignment <= 1 << 16; alignment *= 2) {
        void *p = NULL;
        CHECK(posix_memalign(&p, alignment, 1000) == 0 && (uintptr_t)p % alignment == 0);
        memset(p, 1, 1000);
        free(p);
        p = aligned_alloc(alignment, alignment * 3);
        CHECK(p && (uintptr_t)p % alignment == 0);
        p = realloc(p, alignment * 5);
        CHECK(p);
        free(p);
        p = memalign(alignment, 1000);
        CHECK(p && (uintptr_t)p % alignment == 0);
        free(p);
    }
    void *p = NULL;
    CHECK(posix_memalign(&p, 3, 100) == EINVAL);
}

static pthread_key_t at_end;
static void *volatile handed[THREADS];

static void ended(void *p)
{
    free(p);
    free(malloc(50));
}

static void *allocate(void *argument)
{
    size_t self = (size_t)argument;
    CHECK(pthread_setspecific(at_end, calloc(1, 40)) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        size_t bytes = (size_t)(i * 37 % 5000) + 1;
        char *p = malloc(bytes);
        CHECK(p);
        p[0] = p[bytes - 1] = (char)self;
        free(__atomic_exchange_n(&handed[(self + 1) % THREADS], p, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static void threads(void)
{
    pthread_t thread[THREADS];
    pthread_attr_t small;
    CHECK(pthread_key_create(&at_end, ended) == 0);
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 16384) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], &small, allocate, (void *)i) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    for (size_t i = 0; i < THREADS; i++)
        free(handed[i]);
}

static void loaded(const char *library)
{
    for (int i = 0; i < 20; i++) {
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        CHECK(handle);
        char *(*text)(void) = (char *(*)(void))(uintptr_t)dlsym(handle, "library_text");
        CHECK(text);
        char *copy = text();
        CHECK(strcmp(copy, "made by the constructor") == 0);
        free(copy);
        CHECK(!dlsym(handle, "no_such_name"));
        CHECK(dlclose(handle) == 0);
    }
    CHECK(!dlopen("./no-such-library.so", RTLD_NOW));
}

static void forked(void)
{
    void *before = malloc(1000);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            free(before);
            free(malloc(200));
            _exit(33);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 33);
    }
    free(before);
}

/* What libc allocates for its caller goes through the hooks as well. */
static void inside_libc(void)
{
    char *line = NULL;
    char *text = NULL;
    size_t capacity = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file && getline(&line, &capacity, file) > 0);
    fclose(file);
    free(line);
    CHECK(asprintf(&text, "%d", 1234567) == 7);
    free(text);
    char *area = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    area = mremap(area, 1 << 16, 1 << 18, MREMAP_MAYMOVE);
    CHECK(area != MAP_FAILED);
    area[(1 << 18) - 1] = 1;
    CHECK(munmap(area, 1 << 18) == 0);
}

/* Per round: 100 bytes that stay, 50 that go, and a realloc of them to 70 in between. */
__attribute__((noinline)) static void innermost(void)
{
    CHECK(malloc(100));
    free(realloc(malloc(50), 70));
}

__attribute__((noinline)) static void counted(int rounds)
{
    for (int i = 0; i < rounds; i++)
        innermost();
}

static int is_shim(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)size;
    if (!info->dlpi_name || !strstr(info->dlpi_name, "libheaptap.so"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_LOAD && *(uintptr_t *)argument - info->dlpi_addr - header->p_vaddr < header->p_memsz)
            return 1;
    }
    return 0;
}

/* The program's own references lead into libheaptap.so. */
static void hooked(void)
{
    uintptr_t names[] = {(uintptr_t)malloc,   (uintptr_t)calloc,         (uintptr_t)realloc,
                         (uintptr_t)free,     (uintptr_t)posix_memalign, (uintptr_t)aligned_alloc,
                         (uintptr_t)memalign, (uintptr_t)reallocarray,   (uintptr_t)mmap,
                         (uintptr_t)munmap,   (uintptr_t)mremap,         (uintptr_t)malloc_usable_size};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!dl_iterate_phdr(is_shim, &names[i])) {
            printf("name %zu is not libheaptap's\n", i);
            exit(1);
        }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "hooked"))
        hooked();
    else if (!strcmp(what, "family"))
        family();
    else if (!strcmp(what, "aligned"))
        aligned();
    else if (!strcmp(what, "threads"))
        threads();
    else if (!strcmp(what, "loaded") && argc > 2)
        loaded(argv[2]);
    else if (!strcmp(what, "forked"))
        forked();
    else if (!strcmp(what, "counted") && argc > 2)
        counted(atoi(argv[2]));
    else if (!strcmp(what, "inside_libc"))
        inside_libc();
    else
        return 2;
    printf("%s ok\n", what);
    return 0;
}

#endif
