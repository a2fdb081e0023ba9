#include "teach_libc.h"
#include <libunwind.h>

/* ---- Memory pools: parsed CIEs and states of DW_CFA_remember_state, a few at a time ---- */

#define POOL_OBJECTS 32
#define POOL_OBJECT_BYTES 1024

static _Alignas(16) unsigned char pool[POOL_OBJECTS][POOL_OBJECT_BYTES];
static uint32_t pool_free;
static size_t pool_largest;

void ht_unw_mempool_init(void *unused, size_t object_bytes, size_t reserve);
void *ht_unw_mempool_alloc(void *unused);
void ht_unw_mempool_free(void *unused, void *object);

void teach_libc_reset(void)
{
    pool_free = UINT32_MAX;
}

void ht_unw_mempool_init(void *unused, size_t object_bytes, size_t reserve)
{
    (void)unused, (void)reserve;
    pool_largest = MAX(pool_largest, object_bytes);
}

void *ht_unw_mempool_alloc(void *unused)
{
    (void)unused;
    if (!pool_free || pool_largest > POOL_OBJECT_BYTES)
        return NULL;
    unsigned i = (unsigned)__builtin_ctz(pool_free);
    pool_free &= pool_free - 1;
    return pool[i];
}

void ht_unw_mempool_free(void *unused, void *object)
{
    (void)unused;
    size_t i = (size_t)((unsigned char *)object - pool[0]) / POOL_OBJECT_BYTES;
    if (i < POOL_OBJECTS)
        pool_free |= (uint32_t)1 << i;
}

/* ---- The address space: made once, most of it a cache that is never touched ---- */

static _Alignas(16) unsigned char space[128 * 1024]; /* AArch64: 97 registers in each line of the cache */
static bool space_taken;

void *ht_unw_calloc(size_t n, size_t bytes);
void *ht_unw_mmap(void *at, size_t bytes, int protection, int flags, int fd, long offset);
int ht_unw_munmap(void *at, size_t bytes);

void *ht_unw_calloc(size_t n, size_t bytes)
{
    if (space_taken || __builtin_mul_overflow(n, bytes, &bytes) || bytes > sizeof space)
        return NULL;
    space_taken = true;
    return space;
}

/* Only the cache would call these, and it is off. */
void *ht_unw_mmap(void *at, size_t bytes, int protection, int flags, int fd, long offset)
{
    (void)at, (void)bytes, (void)protection, (void)flags, (void)fd, (void)offset;
    return (void *)-1;
}

int ht_unw_munmap(void *at, size_t bytes)
{
    (void)at, (void)bytes;
    return 0;
}

/* ---- Start-up, locks, signals: nothing to do ---- */

extern uint64_t ht_unw_full_mask[16];
uint64_t ht_unw_full_mask[16];

void ht_unw_mi_init(void);
void ht_unw_init_mem_validate(void);
int ht_unw_sigfillset(void *set);
int ht_unw_pthread_mutex_lock(void *mutex);
int ht_unw_pthread_mutex_unlock(void *mutex);

void ht_unw_mi_init(void)
{
}

void ht_unw_init_mem_validate(void)
{
}

int ht_unw_sigfillset(void *set)
{
    (void)set;
    return 0;
}

int ht_unw_pthread_mutex_lock(void *mutex)
{
    (void)mutex;
    return 0;
}

int ht_unw_pthread_mutex_unlock(void *mutex)
{
    (void)mutex;
    return 0;
}

/* ---- Unwind information that a program registers at run time (_U_dyn_register): not looked for ---- */

int ht_unw_Ifind_dynamic_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need, void *argument);
void ht_unw_Iput_dynamic_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *argument);

int ht_unw_Ifind_dynamic_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need, void *argument)
{
    (void)as, (void)ip, (void)pi, (void)need, (void)argument;
    return -UNW_ENOINFO;
}

void ht_unw_Iput_dynamic_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *argument)
{
    (void)as, (void)pi, (void)argument;
}
