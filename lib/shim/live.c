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
    for (unsigned i = 0; i < HT_PACK_ENTRIES; i++) {
        live_pack(0)->place[i] = UINT16_MAX;
        word_set(&live_pack(0)->word[i], HT_PACK_BUSY);
    }
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

/* ---- One line ---- */

#define NO_ENTRY HT_PACK_ENTRIES

/* An entry; line 0: none. */
struct place {
    uint32_t line;
    size_t entry;
};

/* A live block's entry in a line; NO_ENTRY: it is not there. */
INLINE size_t find_packed(const struct ht_pack *pack, uintptr_t address)
{
    unsigned there = arch_equal8(pack->low, pack->low, (uint8_t)live_units(address)) & ((1u << HT_PACK_ENTRIES) - 1);
    for (; there; there &= there - 1) {
        size_t entry = (unsigned)__builtin_ctz(there);
        if (HT_PACK_SITE(word_acquire(&pack->word[entry])) && live_is_of(pack, entry, address))
            return entry;
    }
    return NO_ENTRY;
}

/* Makes an empty entry this thread's own; NO_ENTRY: there is none. */
INLINE size_t claim_packed(struct ht_pack *pack)
{
    unsigned empty = arch_zero8(pack->place, pack->place) & ((1u << HT_PACK_ENTRIES) - 1);
    for (; empty; empty &= empty - 1)
        if (live_claim(pack, (unsigned)__builtin_ctz(empty)))
            return (unsigned)__builtin_ctz(empty);
    return NO_ENTRY;
}

static bool claim_wide_entry(struct ht_line *line, size_t entry)
{
    return word_swap(&line->tag[entry], 0, HT_TAG_BUSY);
}

/* The same in a wide line, for which a block of 4 GiB or more needs entries 0 and 1. NO_ENTRY: there is none. */
static size_t claim_wide(struct ht_line *line, uint64_t size)
{
    unsigned empty = arch_equal4(line->tag, 0);
    if (size >> 32) {
        if (!(empty & 1) || !claim_wide_entry(line, 0))
            return NO_ENTRY;
        if (claim_wide_entry(line, 1))
            return 0;
        word_publish(&line->tag[0], 0);
        return NO_ENTRY;
    }
    for (; empty; empty &= empty - 1)
        if (claim_wide_entry(line, (unsigned)__builtin_ctz(empty)))
            return (unsigned)__builtin_ctz(empty);
    return NO_ENTRY;
}

static void fill_wide(const struct thread *t, struct ht_line *line, size_t entry, uintptr_t address, uint64_t size,
                      uint32_t site)
{
    if (UNLIKELY(size >> 32)) {
        line->size[1] = (uint32_t)(size >> 32);
        word_publish(&line->tag[1], HT_TAG_HIGH);
    }
    line->site[entry] = site;
    line->size[entry] = (uint32_t)size;
    line->birth[entry] = t->birth;
    word_publish(&line->tag[entry], live_tag(HT_TAG_LIVE, address));
}

static struct live_block take_wide(struct ht_line *line, size_t entry)
{
    word_acquire(&line->tag[entry]); /* what was stored before it is there */
    struct live_block block = {line->size[entry], line->site[entry], line->birth[entry]};
    if (UNLIKELY(HT_TAG_STATE(word_get(&line->tag[1])) == HT_TAG_HIGH) && entry == 0) {
        block.size |= (uint64_t)line->size[1] << 32;
        word_publish(&line->tag[0], HT_TAG_BUSY); /* it must not be filled again while entry 1 would be read with it */
        word_publish(&line->tag[1], 0);
    }
    word_publish(&line->tag[entry], 0);
    return block;
}

/* ---- A live address ---- */

/* How many of the lines that follow each other are to be looked at: the chain's own, if it is known how many those are. */
static uint32_t length_of(uint32_t chain)
{
    uint32_t length = LIVE_LENGTH(chain);
    return length < LIVE_LENGTH_MAX ? length : UINT32_MAX;
}

INLINE struct place find_in_packed(uint32_t chain, uintptr_t address)
{
    uint32_t id = LIVE_FIRST(chain), left = length_of(chain);
    for (; id && left; id = live_following[id], left--) {
        size_t entry = find_packed(live_pack(id), address);
        if (entry != NO_ENTRY)
            return (struct place){id, entry};
    }
    return (struct place){0, 0};
}

static struct place find_in_wide(uint32_t chain, uint32_t wanted)
{
    uint32_t id = LIVE_FIRST(chain), left = length_of(chain);
    for (; id && left; id = live_following[id], left--) {
        unsigned same = arch_equal4(live_line(id)->tag, wanted);
        if (same)
            return (struct place){id, (unsigned)__builtin_ctz(same)};
    }
    return (struct place){0, 0};
}

/* Where the short way did not find it, it is a larger one's, mostly. */
static struct place find_packed_one(struct live_heads *heads, uintptr_t address)
{
    struct place place = find_in_packed(word_acquire(&live_page(heads, address)->packed), address);
    return place.line ? place : find_in_packed(word_acquire(live_granule(heads, address)), address);
}

static struct place find_wide_one(struct live_heads *heads, uintptr_t address)
{
    return find_in_wide(word_acquire(&live_page(heads, address)->wide), live_tag(HT_TAG_LIVE, address));
}

/* Its site is 0: it is not there. */
static struct live_block take(struct live_heads *heads, uintptr_t address)
{
    struct place place = find_packed_one(heads, address);
    if (place.line) {
        struct ht_pack *pack = live_pack(place.line);
        return live_take(pack, place.entry, word_acquire(&pack->word[place.entry]));
    }
    place = find_wide_one(heads, address);
    return place.line ? take_wide(live_line(place.line), place.entry) : (struct live_block){0};
}

struct live_block live_remove_slow(uintptr_t address)
{
    struct live_block block;
    struct live_heads *heads = live_heads_of(address);
    if (live_take_short(word_acquire(&live_page(heads, address)->packed), address, &block))
        return block;
    return take(heads, address);
}

bool live_contains(uintptr_t address)
{
    struct live_heads *heads = live_heads_of(address);
    return heads && (find_packed_one(heads, address).line || find_wide_one(heads, address).line);
}

/* ---- A place for a block ---- */

/* What is to be put in: `packed` tells in what kind of line. */
struct newcomer {
    uintptr_t address;
    uint64_t size;
    uint32_t site;
    bool packed;
};

/* An entry of a line for it; NO_ENTRY: there is none. */
INLINE size_t claim(uint32_t id, const struct newcomer *block)
{
    return block->packed ? claim_packed(live_pack(id)) : claim_wide(live_line(id), block->size);
}

INLINE void fill(const struct thread *t, uint32_t id, size_t entry, const struct newcomer *block)
{
    if (block->packed)
        live_fill(t, live_pack(id), entry, block->address, (uint32_t)block->size, block->site);
    else
        fill_wide(t, live_line(id), entry, block->address, block->size, block->site);
}

static bool put_in_line(const struct thread *t, uint32_t id, const struct newcomer *block)
{
    size_t entry = claim(id, block);
    if (entry == NO_ENTRY)
        return false;
    fill(t, id, entry, block);
    return true;
}

static bool put_in_chain(const struct thread *t, uint32_t chain, const struct newcomer *block)
{
    uint32_t id = LIVE_FIRST(chain), left = length_of(chain);
    for (; id && left; id = live_following[id], left--)
        if (put_in_line(t, id, block))
            return true;
    return false;
}

/* A chain that begins with this line and goes on with what the line is linked to. */
static uint32_t longer(uint32_t id, uint32_t chain)
{
    return LIVE_CHAIN(id, MIN(LIVE_LENGTH(chain) + 1, LIVE_LENGTH_MAX));
}

/* Puts a block in a line of another granule or page of the same region, which becomes the first of this chain: if no line of this chain is lost by that. */
INLINE bool share(const struct thread *t, uint32_t *head, uint32_t id, const struct newcomer *block)
{
    uint32_t chain = word_acquire(head);
    if (!id || (chain && LIVE_FIRST(chain) != live_following[id]))
        return false;
    size_t entry = claim(id, block);
    if (entry == NO_ENTRY)
        return false;
    if (!word_swap(head, chain, longer(id, chain))) {
        word_publish(block->packed ? &live_pack(id)->word[entry] : &live_line(id)->tag[entry], 0);
        return false;
    }
    fill(t, id, entry, block);
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

INLINE unsigned put_in_new_line(struct thread *t, uint32_t *head, const struct newcomer *block)
{
    uint32_t id = new_line(t);
    if (UNLIKELY(id == SECTION_FULL))
        return LIVE_FULL;
    struct ht_line *line = live_line(id);
    uint64_t region = (uint64_t)block->address >> HT_REGION_SHIFT;
    line->region_lo = (uint32_t)region;
    line->region_hi = (uint16_t)(region >> 32);
    line->kind = block->packed ? HT_LINE_PACKED : HT_LINE_WIDE;
    put_in_line(t, id, block);
    uint32_t chain = word_get(head);
    do {
        live_following[id] = LIVE_FIRST(chain);
    } while (!__atomic_compare_exchange_n(head, &chain, longer(id, chain), true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    return LIVE_DONE;
}

/* Puts a block in a line of the part of the region before or behind its own, whose number is `place`, of `places`; heads lie `step` words apart. */
static bool share_near(const struct thread *t, uint32_t *head, size_t step, uint32_t place, uint32_t places,
                       const struct newcomer *block)
{
    return (place > 0 && share(t, head, LIVE_FIRST(word_acquire(head - step)), block)) ||
           (place < places - 1 && share(t, head, LIVE_FIRST(word_acquire(head + step)), block));
}

/* Blocks come up one behind the other, mostly: the line that this thread began last is asked first, then the granules beside. */
unsigned live_insert_new(struct thread *t, struct live_heads *heads, uintptr_t address, uint32_t size, uint32_t site)
{
    const struct newcomer block = {address, size, site, true};
    uint32_t *head = live_granule(heads, address);
    uintptr_t region = address >> HT_REGION_SHIFT;
    if ((region == t->line_region && share(t, head, t->line_begun, &block)) ||
        share_near(t, head, 1, address >> LIVE_GRANULE_SHIFT & (GRANULES - 1), GRANULES, &block))
        return LIVE_DONE;
    unsigned result = put_in_new_line(t, head, &block);
    if (result == LIVE_DONE) {
        t->line_region = region;
        t->line_begun = t->line_next - 1;
    }
    return result;
}

/* ---- The long way ---- */

/* Of a block that has no room in its page's chain. */
static unsigned insert_by_page(struct thread *t, uint32_t *head, const struct newcomer *block)
{
    const size_t step = sizeof(struct live_page) / sizeof *head;
    bool sharing = !(block->size >> 32); /* what needs two entries begins a line */
    if (sharing && share_near(t, head, step, block->address >> LIVE_PAGE_SHIFT & (PAGES - 1), PAGES, block))
        return LIVE_DONE;
    return put_in_new_line(t, head, block);
}

/* The short way by page. */
static enum live_short put_by_page(const struct thread *t, struct live_heads *heads, const struct newcomer *block)
{
    const struct live_page *page = live_page(heads, block->address);
    uint32_t chain = word_acquire(&page->packed);
    if (LIVE_LENGTH(chain) > LIVE_SHORT || word_acquire(&page->wide) ||
        live_may_be_in(word_acquire(live_granule(heads, block->address)), block->address))
        return LIVE_LOOK;
    return live_put_short(t, chain, block->address, (uint32_t)block->size, block->site);
}

unsigned live_insert_slow(struct thread *t, struct live_heads *heads, uintptr_t address, uint64_t size, uint32_t site)
{
    const struct newcomer block = {address, size, site, HT_PACKS(address, size, site)};
    bool small = block.packed && size <= LIVE_LARGE;
    uint32_t *head = small          ? live_granule(heads, address)
                     : block.packed ? &live_page(heads, address)->packed
                                    : &live_page(heads, address)->wide;
    enum live_short way = block.packed && !small ? put_by_page(t, heads, &block) : LIVE_LOOK;
    if (way == LIVE_PUT)
        return LIVE_DONE;
    if (way == LIVE_NO_ROOM)
        return insert_by_page(t, head, &block);
    struct live_block old = take(heads, address);
    unsigned result = old.site ? LIVE_STALE : LIVE_DONE;
    if (UNLIKELY(old.site))
        t->stale = old;
    if (put_in_chain(t, word_acquire(head), &block))
        return result;
    return result |
           (small ? live_insert_new(t, heads, address, (uint32_t)size, site) : insert_by_page(t, head, &block));
}

bool live_may_grow(void)
{
    return section_may_grow(&section[HT_LINES], LINES_PER_RUN);
}
