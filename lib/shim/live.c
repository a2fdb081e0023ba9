#include "live.h"

#include "memory.h"

#include "sys.h"
#include <linux/mman.h>

#define LINES_PER_RUN 64u /* a thread takes 4 KiB of lines at a time: no false sharing */
#define SPARE_HEADS 4u
#define PAGES (1u << (HT_REGION_SHIFT - LIVE_PAGE_SHIFT))
#define GRANULES (1u << (HT_REGION_SHIFT - LIVE_GRANULE_SHIFT)) /* of a region */

struct live_heads **live_root;
uint32_t *live_following;

/* Memory of which little may ever be used: a huge page would be more than all else. */
static void *thin(void *memory, size_t bytes)
{
    if (memory)
        sys_advise(memory, bytes, MADV_NOHUGEPAGE);
    return memory;
}

static void *map_sparse(size_t bytes)
{
    return thin(memory_map(bytes), bytes);
}

static bool make_root(void)
{
    const size_t bytes = LIVE_ROOTS * sizeof(struct live_heads *); // NOLINT(bugprone-sizeof-expression)
    if (!live_root)
        live_root = thin(sys_map_anonymous(NULL, bytes, NULL), bytes); /* not memory_map, which fork empties */
    return live_root;
}

static uint32_t capacity; /* of live_following */

bool live_init(uint32_t lines_max)
{
    if (memory_make_rows(&live_following, &capacity, lines_max, sizeof *live_following))
        thin(live_following, (size_t)lines_max * sizeof *live_following);
    section[HT_LINES].claimed = 0;
    section[HT_LINES].capacity = MIN(section[HT_LINES].capacity, LIVE_LINES_MAX);
    if (!make_root() || !live_following || !section_reach(&section[HT_LINES], 1))
        return false;
    for (unsigned i = 0; i < HT_LINE_ENTRIES; i++)
        word_set(&live_line(0)->tag[i], HT_TAG_BUSY);
    return true;
}

COLD void live_cut(uint32_t lines_max, bool wait)
{
    memory_cut_rows(live_following, &capacity, lines_max, sizeof *live_following, wait);
}

/* For when no more system call may be made. */
static struct live_heads *spare[SPARE_HEADS];

static COLD struct live_heads *take_spare(void)
{
    struct live_heads *heads = NULL;
    for (unsigned i = 0; i < SPARE_HEADS && !heads; i++)
        heads = __atomic_exchange_n(&spare[i], NULL, __ATOMIC_ACQ_REL);
    return heads;
}

static COLD void give_back(struct live_heads *heads)
{
    struct live_heads *none = NULL;
    for (unsigned i = 0; i < SPARE_HEADS; i++, none = NULL)
        if (__atomic_compare_exchange_n(&spare[i], &none, heads, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return;
    memory_unmap(heads, sizeof *heads);
}

COLD struct live_heads *live_make_heads(uintptr_t address)
{
    uintptr_t at = address >> LIVE_HEADS_SHIFT;
    struct live_heads *there = NULL, *fresh = NULL;
    if (at < LIVE_ROOTS)
        fresh = sys_frozen() ? take_spare() : map_sparse(sizeof *fresh);
    if (!fresh || __atomic_compare_exchange_n(&live_root[at], &there, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    give_back(fresh); /* another thread was faster */
    return there;
}

COLD void live_reserve(void)
{
    for (unsigned i = 0; i < SPARE_HEADS; i++) {
        struct live_heads *heads = map_sparse(sizeof *heads);
        if (heads)
            give_back(heads);
    }
}

/* ---- One chain ---- */

/* An entry; line 0: none. */
struct place {
    uint32_t line;
    size_t entry;
};

/* A live block's entry in a chain, or in what follows it. */
INLINE struct place find_in(uint32_t chain, uint32_t wanted)
{
    for (uint32_t id = LIVE_FIRST(chain); id; id = live_following[id]) {
        unsigned same = arch_equal4(live_line(id)->tag, wanted);
        if (same)
            return (struct place){id, (unsigned)__builtin_ctz(same)};
    }
    return (struct place){0, 0};
}

/* A live address's entry, whatever the block's size was. Where the short way did not find it, it is a large one's, mostly. */
INLINE struct place find(struct live_heads *heads, uintptr_t address)
{
    uint32_t wanted = live_tag(HT_TAG_LIVE, address);
    struct place place = find_in(word_acquire(live_page(heads, address)), wanted);
    return place.line ? place : find_in(word_acquire(live_granule(heads, address)), wanted);
}

static struct live_block take(struct place place)
{
    struct ht_line *line = live_line(place.line);
    word_acquire(&line->tag[place.entry]); /* what was stored before it is there */
    struct live_block block = {line->size[place.entry], line->site[place.entry], line->birth[place.entry]};
    if (UNLIKELY(HT_TAG_STATE(word_get(&line->tag[1])) == HT_TAG_HIGH) && place.entry == 0) {
        block.size |= (uint64_t)line->size[1] << 32;
        word_publish(&line->tag[0], HT_TAG_BUSY); /* it must not be filled again while entry 1 would be read with it */
        word_publish(&line->tag[1], 0);
    }
    word_publish(&line->tag[place.entry], 0);
    return block;
}

static void set_high(struct ht_line *line, uint64_t size)
{
    line->size[1] = (uint32_t)(size >> 32);
    word_publish(&line->tag[1], HT_TAG_HIGH);
}

/* A block of 4 GiB or more needs entries 0 and 1. False: another thread was faster, perhaps. */
static COLD bool put_high(const struct thread *t, struct ht_line *line, uintptr_t address, uint64_t size, uint32_t site)
{
    if (!live_claim(line, 0))
        return false;
    if (!live_claim(line, 1)) {
        word_publish(&line->tag[0], 0);
        return false;
    }
    set_high(line, size);
    live_fill(t, line, 0, address, (uint32_t)size, site);
    return true;
}

static bool put_in_chain(const struct thread *t, uint32_t chain, uintptr_t address, uint64_t size, uint32_t site)
{
    unsigned entries = LIVE_ENTRIES(chain), left = entries < LIVE_ENTRIES_MAX ? entries / HT_LINE_ENTRIES : UINT32_MAX;
    for (uint32_t id = LIVE_FIRST(chain); id && left > 0; id = live_following[id], left--) {
        struct ht_line *line = live_line(id);
        unsigned empty = arch_equal4(line->tag, 0);
        if (!empty)
            continue;
        size_t entry = (unsigned)__builtin_ctz(empty);
        if (UNLIKELY(size >> 32) ? put_high(t, line, address, size, site) : live_claim(line, entry)) {
            if (LIKELY(!(size >> 32)))
                live_fill(t, line, entry, address, (uint32_t)size, site);
            return true;
        }
    }
    return false;
}

/* ---- A block whose chain has no room ---- */

/* A chain that begins with this line and goes on with what the line is linked to. */
static uint32_t longer(uint32_t id, uint32_t chain)
{
    return LIVE_CHAIN(id, MIN(LIVE_ENTRIES(chain) + HT_LINE_ENTRIES, LIVE_ENTRIES_MAX));
}

/* Puts a block in a line of another granule or page of the same region, which becomes the first of this chain: if no line of this chain is lost by that. */
INLINE bool share(const struct thread *t, uint32_t *head, uint32_t id, uintptr_t address, uint32_t size, uint32_t site)
{
    uint32_t chain = word_acquire(head);
    if (chain && LIVE_FIRST(chain) != live_following[id])
        return false;
    struct ht_line *line = live_line(id);
    unsigned empty = arch_equal4(line->tag, 0);
    if (!empty)
        return false;
    size_t entry = (unsigned)__builtin_ctz(empty);
    if (!live_claim(line, entry))
        return false;
    if (!word_swap(head, chain, longer(id, chain))) {
        word_publish(&line->tag[entry], 0);
        return false;
    }
    live_fill(t, line, entry, address, size, site);
    return true;
}

/* A line of this thread's run. */
static uint32_t new_line(struct thread *t)
{
    if (UNLIKELY(t->line_next == t->line_end)) {
        uint32_t run = section_claim(&section[HT_LINES], LINES_PER_RUN);
        if (run == SECTION_FULL)
            return SECTION_FULL;
        t->line_next = MAX(run, 1u); /* line 0 stands for none */
        t->line_end = run + LINES_PER_RUN;
    }
    return t->line_next++;
}

INLINE unsigned put_in_new_line(struct thread *t, uint32_t *head, uintptr_t address, uint64_t size, uint32_t site)
{
    uint32_t id = new_line(t);
    if (UNLIKELY(id == SECTION_FULL))
        return LIVE_FULL;
    struct ht_line *line = live_line(id);
    uint64_t region = (uint64_t)address >> HT_REGION_SHIFT;
    line->region_lo = (uint32_t)region;
    line->region_hi = (uint16_t)(region >> 32);
    if (UNLIKELY(size >> 32))
        set_high(line, size);
    live_fill(t, line, 0, address, (uint32_t)size, site);
    uint32_t chain = word_get(head);
    do {
        live_following[id] = LIVE_FIRST(chain);
    } while (!__atomic_compare_exchange_n(head, &chain, longer(id, chain), true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    return LIVE_DONE;
}

/* Blocks come up one behind the other, mostly: the line that this thread began last is asked first, then the granule before. */
unsigned live_insert_new(struct thread *t, struct live_heads *heads, uintptr_t address, uint32_t size, uint32_t site)
{
    uint32_t *head = live_granule(heads, address);
    uintptr_t region = address >> HT_REGION_SHIFT;
    uint32_t place = address >> LIVE_GRANULE_SHIFT & (GRANULES - 1);
    const uint32_t near[] = {region == t->line_region ? t->line_begun : 0,
                             place > 0 ? LIVE_FIRST(word_acquire(head - 1)) : 0,
                             place < GRANULES - 1 ? LIVE_FIRST(word_acquire(head + 1)) : 0};
    for (unsigned i = 0; i < ARRAY_LEN(near); i++)
        if (share(t, head, near[i], address, size, site))
            return LIVE_DONE;
    unsigned result = put_in_new_line(t, head, address, size, site);
    if (result == LIVE_DONE) {
        t->line_region = region;
        t->line_begun = t->line_next - 1;
    }
    return result;
}

/* ---- The long way ---- */

/* Puts a large block in a line of the page before or behind it. */
static bool share_page(struct thread *t, uint32_t *head, uintptr_t address, uint32_t size, uint32_t site)
{
    uint32_t place = address >> LIVE_PAGE_SHIFT & (PAGES - 1);
    return (place > 0 && share(t, head, LIVE_FIRST(word_acquire(head - 1)), address, size, site)) ||
           (place < PAGES - 1 && share(t, head, LIVE_FIRST(word_acquire(head + 1)), address, size, site));
}

unsigned live_insert_slow(struct thread *t, struct live_heads *heads, uintptr_t address, uint64_t size, uint32_t site)
{
    struct place place = find(heads, address);
    unsigned result = place.line ? LIVE_STALE : LIVE_DONE;
    if (UNLIKELY(place.line))
        t->stale = take(place);
    uint32_t *head = size > LIVE_LARGE ? live_page(heads, address) : live_granule(heads, address);
    if (put_in_chain(t, word_acquire(head), address, size, site))
        return result;
    if (size <= LIVE_LARGE)
        return result | live_insert_new(t, heads, address, (uint32_t)size, site);
    if (!(size >> 32) && share_page(t, head, address, (uint32_t)size, site))
        return result;
    return result | put_in_new_line(t, head, address, size, site);
}

struct live_block live_remove_slow(uintptr_t address)
{
    struct place place = find(live_heads_of(address), address);
    return place.line ? take(place) : (struct live_block){0};
}

bool live_contains(uintptr_t address)
{
    struct live_heads *heads = live_heads_of(address);
    return heads && find(heads, address).line;
}

bool live_may_grow(void)
{
    return section_may_grow(&section[HT_LINES], LINES_PER_RUN);
}
