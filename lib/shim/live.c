#include "live.h"

#include "memory.h"
#include "section.h"

#define LINES_PER_RUN 64u /* a thread takes 4 KiB of lines at a time: no false sharing */
#define LEVEL_BITS 13u
#define LEVEL_SLOTS (1u << LEVEL_BITS)
#define LEVEL_MASK (LEVEL_SLOTS - 1)
#define ADDRESS_BITS (HT_REGION_SHIFT + 3 * LEVEL_BITS) /* 48 */
#define CHAIN_LIMIT 100000u

/* Private: first line of each 512 bytes of address space (line + 1), by three levels; and the line that follows each line. */
static uint32_t **root[LEVEL_SLOTS];
static uint32_t *following;

bool live_init(uint32_t lines_max)
{
    static uint32_t capacity;
    for (uint32_t i = 0; i < LEVEL_SLOTS; i++)
        if (root[i])
            root[i] = NULL;
    if (!following || capacity < lines_max) {
        following = memory_map((size_t)lines_max * sizeof *following);
        capacity = lines_max;
    }
    section[HT_LINES].claimed = 0;
    return following != NULL;
}

/* A table of the next level below *slot, made if it is not there. NULL: no memory. */
static COLD void *make_level(void *slot, size_t bytes)
{
    void **at = slot;
    void *there = NULL;
    void *fresh = memory_piece(bytes);
    if (fresh && __atomic_compare_exchange_n(at, &there, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        there = fresh;
    return there;
}

/* Head of the chain of an address; NULL: not there and not made. */
INLINE uint32_t *head_of(uintptr_t address, bool make)
{
    uint64_t region = (uint64_t)address >> HT_REGION_SHIFT;
    if (UNLIKELY(region >> (3 * LEVEL_BITS)))
        return NULL;
    uint32_t ***top = &root[region >> (2 * LEVEL_BITS)];
    uint32_t **middle = __atomic_load_n(top, __ATOMIC_ACQUIRE);
    if (UNLIKELY(!middle) && (!make || !(middle = make_level(top, LEVEL_SLOTS * sizeof *middle))))
        return NULL;
    uint32_t **slot = &middle[(region >> LEVEL_BITS) & LEVEL_MASK];
    uint32_t *leaf = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    if (UNLIKELY(!leaf) && (!make || !(leaf = make_level(slot, LEVEL_SLOTS * sizeof *leaf))))
        return NULL;
    return &leaf[region & LEVEL_MASK];
}

INLINE struct ht_line *line_at(uint32_t id)
{
    return SECTION_RECORD(struct ht_line, HT_LINES, id);
}

INLINE uint32_t tag_for(enum ht_tag_state state, uintptr_t address)
{
    return (uint32_t)state | (uint32_t)(address & ((1u << HT_REGION_SHIFT) - 1)) << 3;
}

INLINE uint64_t size_of(const struct ht_line *line, unsigned entry)
{
    uint64_t size = line->size[entry];
    if (UNLIKELY(entry == 0 && HT_TAG_STATE(word_get(&line->tag[1])) == HT_TAG_HIGH))
        size |= (uint64_t)line->size[1] << 32;
    return size;
}

INLINE void read_entry(const struct ht_line *line, unsigned entry, struct live_block *block)
{
    block->size = size_of(line, entry);
    block->site = line->site[entry];
    block->birth = line->birth[entry];
}

INLINE void take(struct ht_line *line, unsigned entry, struct live_block *block)
{
    read_entry(line, entry, block);
    if (UNLIKELY(block->size >> 32)) { /* entry 0 must not be filled again while entry 1 would be read with it */
        word_publish(&line->tag[0], HT_TAG_BUSY);
        word_publish(&line->tag[1], 0);
    }
    word_publish(&line->tag[entry], 0);
}

static void set_high(struct ht_line *line, uint64_t size)
{
    line->size[1] = (uint32_t)(size >> 32);
    word_publish(&line->tag[1], HT_TAG_HIGH);
}

/* Makes an empty entry this thread's own. Other threads fill entries of this region too; what was empty may be taken by now. */
INLINE bool claim(struct ht_line *line, unsigned entry, uintptr_t address, uint64_t size)
{
    if (!word_swap(&line->tag[entry], 0, tag_for(HT_TAG_BUSY, address)))
        return false;
    if (LIKELY(!(size >> 32)))
        return true;
    bool both = word_swap(&line->tag[1], 0, HT_TAG_BUSY);
    if (both)
        set_high(line, size);
    else
        word_publish(&line->tag[entry], 0);
    return both;
}

INLINE void fill(struct ht_line *line, unsigned entry, uintptr_t address, const struct live_block *block)
{
    line->site[entry] = block->site;
    line->size[entry] = (uint32_t)block->size;
    line->birth[entry] = block->birth;
    word_publish(&line->tag[entry], tag_for(HT_TAG_LIVE, address));
}

/* A line of this thread's run. */
static uint32_t new_line(struct thread *t)
{
    if (t->line_next == t->line_end) {
        uint32_t run = section_claim(&section[HT_LINES], LINES_PER_RUN);
        if (run == SECTION_FULL)
            return SECTION_FULL;
        t->line_next = run;
        t->line_end = run + LINES_PER_RUN;
    }
    return t->line_next++;
}

static COLD enum live_result insert_in_new_line(struct thread *t, uint32_t *head, uintptr_t address,
                                                const struct live_block *block)
{
    uint32_t id = new_line(t);
    if (id == SECTION_FULL)
        return LIVE_FULL;
    struct ht_line *line = line_at(id);
    uint64_t region = (uint64_t)address >> HT_REGION_SHIFT;
    line->region_lo = (uint32_t)region;
    line->region_hi = (uint16_t)(region >> 32);
    if (UNLIKELY(block->size >> 32))
        set_high(line, block->size);
    fill(line, 0, address, block);
    uint32_t first = word_get(head);
    do {
        following[id] = first;
    } while (!__atomic_compare_exchange_n(head, &first, id + 1, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    return LIVE_INSERTED;
}

/* Puts a block in the place of another one whose free was missed. */
static COLD enum live_result replace(struct thread *t, uint32_t *head, struct ht_line *line, unsigned entry,
                                     uintptr_t address, const struct live_block *block, struct live_block *old)
{
    if (block->size >> 32) {
        if (insert_in_new_line(t, head, address, block) == LIVE_FULL)
            return LIVE_FULL;
        take(line, entry, old);
        return LIVE_REPLACED;
    }
    word_acquire(&line->tag[entry]);
    read_entry(line, entry, old);
    word_publish(&line->tag[entry], tag_for(HT_TAG_BUSY, address));
    if (old->size >> 32)
        word_publish(&line->tag[1], 0);
    fill(line, entry, address, block);
    return LIVE_REPLACED;
}

enum live_result live_insert(struct thread *t, uintptr_t address, const struct live_block *block,
                             struct live_block *old)
{
    uint32_t *head = head_of(address, true);
    if (UNLIKELY(!head))
        return LIVE_FULL;
    const uint32_t wanted = tag_for(HT_TAG_LIVE, address);
    const unsigned needed = UNLIKELY(block->size >> 32) ? 3 : 0; /* entries of one line, as bits */
    struct ht_line *room = NULL;
    unsigned room_entry = 0;
    uint32_t steps = 0;
    for (uint32_t id = word_acquire(head); id && steps < CHAIN_LIMIT; id = following[id - 1], steps++) {
        struct ht_line *line = line_at(id - 1);
        unsigned same = arch_equal4(line->tag, wanted);
        unsigned empty = arch_equal4(line->tag, 0);
        if (UNLIKELY(same))
            return replace(t, head, line, (unsigned)__builtin_ctz(same), address, block, old);
        if (!room && empty && (empty & needed) == needed) {
            room = line;
            room_entry = (unsigned)__builtin_ctz(empty);
        }
    }
    if (LIKELY(room) && claim(room, room_entry, address, block->size)) {
        fill(room, room_entry, address, block);
        return LIVE_INSERTED;
    }
    return insert_in_new_line(t, head, address, block);
}

void live_prefetch(uintptr_t address)
{
    const uint32_t *head = head_of(address, false);
    uint32_t id = head ? word_get(head) : 0;
    if (LIKELY(id))
        __builtin_prefetch(line_at(id - 1), 1);
}

/* Entry of a live address; NULL: it is not there. */
INLINE struct ht_line *find(uintptr_t address, unsigned *entry)
{
    const uint32_t *head = head_of(address, false);
    const uint32_t wanted = tag_for(HT_TAG_LIVE, address);
    uint32_t steps = 0;
    for (uint32_t id = head ? word_acquire(head) : 0; id && steps < CHAIN_LIMIT; id = following[id - 1], steps++) {
        struct ht_line *line = line_at(id - 1);
        unsigned same = arch_equal4(line->tag, wanted);
        if (LIKELY(same)) {
            *entry = (unsigned)__builtin_ctz(same);
            word_acquire(&line->tag[*entry]); /* what was stored before it is there */
            return line;
        }
    }
    return NULL;
}

bool live_remove(uintptr_t address, struct live_block *block)
{
    unsigned entry;
    struct ht_line *line = find(address, &entry);
    if (line)
        take(line, entry, block);
    return line != NULL;
}

bool live_contains(uintptr_t address)
{
    unsigned entry;
    return find(address, &entry) != NULL;
}
