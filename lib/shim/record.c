#include "record.h"

#include "capture.h"
#include "clock.h"
#include "hooks.h"
#include "memo.h"
#include "modules.h"
#include "ring.h"
#include "slots.h"
#include "stack.h"
#include "tree.h"

INLINE bool from_loader(uintptr_t pc)
{
    return pc - real_facts.loader_start < real_facts.loader_bytes;
}

static const enum ht_loss loss_of_cut[HT_CUTS] = {
    [HT_CUT_DEPTH] = HT_LOST_CUT_DEPTH,     [HT_CUT_NO_TABLE] = HT_LOST_CUT_NO_TABLE,
    [HT_CUT_REFUSED] = HT_LOST_CUT_REFUSED, [HT_CUT_MEMORY] = HT_LOST_CUT_MEMORY,
    [HT_CUT_BUSY] = HT_LOST_CUT_BUSY,       [HT_CUT_FROZEN] = HT_LOST_CUT_FROZEN,
    [HT_CUT_FULL] = HT_LOST_CUT_FULL};

static COLD struct ht_cell *cell_after_growth(struct thread *t, uint32_t site)
{
    struct ht_cell *cell = NULL;
    for (unsigned tries = 0; !cell && tries < GROW_TRIES && section_may_grow(&section[HT_CHUNKS], 1); tries++) {
        section_grow();
        cell = slot_cell(t->slot, site);
    }
    return cell;
}

/* NULL: no room. */
INLINE struct ht_cell *cell_of(struct thread *t, uint32_t site)
{
    struct ht_cell *cell = slot_cell(t->slot, site);
    return LIKELY(cell) ? cell : cell_after_growth(t, site);
}

/* 0: no room. */
static COLD uint32_t new_site(uint32_t node, enum ht_kind kind)
{
    uint32_t site = tree_new_site(node, kind);
    for (unsigned tries = 0; !site && tries < GROW_TRIES && section_may_grow(&section[HT_SITES], 1); tries++) {
        tree_grow();
        site = tree_new_site(node, kind);
    }
    return site;
}

/* What finds no room is counted at the site without a stack, whose id is its kind: so no site is 0. */
static COLD uint32_t site_without_stack(struct thread *t, enum ht_kind kind)
{
    slot_lose(t->slot, HT_LOST_SITE_FULL, 1);
    return kind;
}

static void remember(struct thread *t, struct leaf leaf)
{
    if (thread_leaf(t, leaf.path)->path)
        room_fight(&t->leaves, t->now_ns);
    *thread_leaf(t, leaf.path) = leaf;
}

/* What a node's things are counted in. */
static COLD struct counter counter_of(struct thread *t, uint32_t node, enum ht_kind kind)
{
    if (tree_wants()) /* here, where less of the program's stack is in use than where that was found */
        tree_grow();
    uint32_t site = tree_site(node, kind);
    if (!site)
        site = new_site(node, kind);
    if (site && kind == HT_KIND_HEAP && t->path)
        remember(t, (struct leaf){t->path, node, site});
    if (!site)
        site = site_without_stack(t, kind);
    return (struct counter){site, cell_of(t, site)};
}

/* The same where the walk has more to do, or was not to be made (`cut`). Called last of all, so that what it needs of the stack comes in the place of the walk's frame. */
static COLD struct counter counter_of_new(struct thread *t, enum ht_kind kind, const struct leaf *leaf, enum ht_cut cut)
{
    uint32_t node;
    if (cut) {
        t->path = 0;
        node = tree_cut_node(cut);
    } else {
        node = leaf ? leaf->node : capture_node(t, &cut);
    }
    if (cut)
        slot_lose(t->slot, loss_of_cut[cut], 1);
    return counter_of(t, node, kind);
}

/* What the hook's caller is counted in, by a walk. */
static NOINLINE struct counter counter_by_walk(struct thread *t, enum ht_kind kind)
{
    enum ht_cut cut = 0;
    bool loader = from_loader(t->walk.at.pc);
    if (UNLIKELY(loader))
        modules_may_grow();
    else if (UNLIKELY(word_get(&modules_dirty)) && !modules_refresh())
        cut = HT_CUT_BUSY;
    const struct leaf *leaf = NULL;
    if (LIKELY(!cut))
        leaf = capture(t);
    if (UNLIKELY(!leaf) || kind != HT_KIND_HEAP)
        return counter_of_new(t, kind, leaf, cut);
    struct counter counter = {leaf->site, cell_of(t, leaf->site)};
    if (LIKELY(counter.cell) && LIKELY(!loader)) /* whose each call is to be seen above */
        memo_make(t, counter);
    return counter;
}

/* What a heap block of the hook's caller is counted in. */
INLINE struct counter heap_counter(struct thread *t, uintptr_t pc, uintptr_t sp, uintptr_t fp)
{
    const struct counter *known = UNLIKELY(word_get(&modules_dirty)) ? NULL : memo_recall(t, arch_pc(pc), sp, fp);
    return LIKELY(known) ? *known : counter_by_walk(t, HT_KIND_HEAP);
}

/* One event of `size` bytes in two counters of a cell. */
INLINE void count(struct thread *t, struct ht_cell *cell, uint64_t size, bool alloc)
{
    if (UNLIKELY(!cell))
        slot_lose(t->slot, HT_LOST_CELL_FULL, 1);
    else if (alloc)
        slot_count_any(t->slot, &cell->allocs, &cell->alloc_bytes, size);
    else
        slot_count_any(t->slot, &cell->frees, &cell->free_bytes, size);
}

static void count_free(struct thread *t, uint32_t site, uint64_t size)
{
    count(t, cell_of(t, site), size, false);
}

/*
 * The short way of an event is for small blocks, in a thread with a slot of its own, while the recording is not paused and the clock not due. Slot and
 * pause are looked at when the clock is due; as long as one of them is unusual, it stays due. Between two looks, small blocks change the heap by
 * CLOCK_INTERVAL_MAX * LIVE_LARGE at most, which with what may be pending is below the 64 KiB that format.h grants a thread.
 */
INLINE void tick(struct thread *t)
{
    if (LIKELY(!clock_tick(t)))
        return;
    ring_time_moved(t->slot);
    session_heap_settle(t);
    if (UNLIKELY(t->slot->shared || session_paused()))
        t->clock_left = 0;
}

/* True: the event takes the long way, which does the rest of `tick`. */
_Static_assert(CLOCK_INTERVAL_MAX *LIVE_LARGE + SESSION_PENDING_MAX <= 64u << 10, "precision of the peak");
INLINE bool unusual(struct thread *t, uint64_t size)
{
    return UNLIKELY(--t->clock_left < 0) || UNLIKELY(size - 1 >= LIVE_LARGE);
}

static void long_tick(struct thread *t)
{
    if (t->clock_left < 0) {
        t->clock_left = 0;
        tick(t);
    }
}

/* Allocations while paused are counted as such and not recorded; true: this is one. */
static bool pass_over(struct thread *t)
{
    if (UNLIKELY(t->slot->shared))
        slot_lose(t->slot, HT_LOST_SHARED_SLOT, 1);
    if (LIKELY(!session_paused()))
        return false;
    slot_lose(t->slot, HT_LOST_PAUSED, 1);
    return true;
}

static COLD void lose_block(struct thread *t, uint64_t size)
{
    slot_lose(t->slot, HT_LOST_LIVE_FULL, 1);
    slot_lose(t->slot, HT_LOST_LIVE_FULL_BYTES, size);
    t->heap_pending -= (intptr_t)size;
}

static COLD void close_stale(struct thread *t, const void *p, const struct live_block *old)
{
    slot_lose(t->slot, HT_LOST_LIVE_STALE, 1);
    count_free(t, old->site, old->size);
    ring_write(t, HT_EVENT_FREE, HT_EVENT_STALE, (uintptr_t)p, old->size, old->site);
    t->heap_pending -= (intptr_t)old->size;
}

/* What an insertion had to say. */
static COLD void settle(struct thread *t, const void *p, struct live_heads *heads, uint64_t size, uint32_t site,
                        unsigned result)
{
    if (result & LIVE_STALE)
        close_stale(t, p, &t->stale);
    for (unsigned tries = 0; heads && result & LIVE_FULL && tries < GROW_TRIES && live_may_grow(); tries++) {
        section_grow();
        result = live_insert_slow(t, heads, arch_address((uintptr_t)p), size, site);
    }
    if (result & LIVE_FULL)
        lose_block(t, size);
}

INLINE void alloc(struct thread *t, const void *p, uint64_t size, unsigned flags, bool usual)
{
    uintptr_t pc = t->walk.at.pc, sp = t->walk.at.reg[0], fp = t->walk.at.reg[1]; /* still in registers */
    /* The block's line arrives while the stack is captured. */
    struct live_heads *heads = live_reach(arch_address((uintptr_t)p));
    if (!usual)
        long_tick(t);
    struct counter counter = heap_counter(t, pc, sp, fp);
    t->heap_pending += (intptr_t)size;
    unsigned result = live_insert(t, heads, arch_address((uintptr_t)p), size, counter.site);
    if (UNLIKELY(result != LIVE_DONE))
        settle(t, p, heads, size, counter.site, result);
    if (usual && LIKELY(counter.cell))
        slot_count_event(&counter.cell->allocs, &counter.cell->alloc_bytes, (uint32_t)size);
    else
        count(t, counter.cell, size, true);
    ring_write(t, HT_EVENT_ALLOC, flags, (uintptr_t)p, size, counter.site);
    if (!usual)
        session_heap_settle(t);
}

static NOINLINE void alloc_long(struct thread *t, const void *p, uint64_t size, unsigned flags)
{
    if (pass_over(t))
        t->clock_left = 0;
    else
        alloc(t, p, size, flags, false);
}

INLINE void allocated(struct thread *t, const void *p, uint64_t size, unsigned flags)
{
    if (unusual(t, size))
        alloc_long(t, p, size, flags);
    else
        alloc(t, p, size, flags, true);
}

void record_alloc(struct thread *t, const void *p, uint64_t size, unsigned flags)
{
    allocated(t, p, size, flags);
}

bool record_take(const void *p, struct live_block *block)
{
    return live_remove(arch_address((uintptr_t)p), block);
}

static NOINLINE void freed_long(struct thread *t, const void *p, struct live_block block, unsigned flags)
{
    long_tick(t);
    count(t, cell_of(t, block.site), block.size, false);
    t->heap_pending -= (intptr_t)block.size;
    ring_write(t, HT_EVENT_FREE, flags, (uintptr_t)p, block.size, block.site);
    session_heap_settle(t);
}

INLINE void freed(struct thread *t, const void *p, struct live_block block, unsigned flags)
{
    struct ht_cell *cell = slot_cell_known(t->slot, block.site);
    if (unusual(t, block.size) || UNLIKELY(!cell)) {
        freed_long(t, p, block, flags);
        return;
    }
    slot_count_event(&cell->frees, &cell->free_bytes, (uint32_t)block.size);
    t->heap_pending -= (intptr_t)block.size;
    ring_write(t, HT_EVENT_FREE, flags, (uintptr_t)p, block.size, block.site);
}

/* After a free: who called it, and on which stack. */
INLINE void note_caller(struct thread *t, uintptr_t pc, uintptr_t sp)
{
    if (UNLIKELY(from_loader(pc)))
        modules_touch();
    stack_leave(&t->stack, sp);
}

void record_freed(struct thread *t, const void *p, const struct live_block *block, unsigned flags)
{
    note_caller(t, t->walk.at.pc, t->walk.at.reg[0]);
    freed(t, p, *block, flags);
}

void record_put_back(struct thread *t, const void *p, const struct live_block *block)
{
    uintptr_t address = arch_address((uintptr_t)p);
    struct live_heads *heads = live_reach(address);
    uint16_t now = t->birth;
    t->birth = block->birth;
    unsigned result = live_insert(t, heads, address, block->size, block->site);
    if (result != LIVE_DONE)
        settle(t, p, heads, block->size, block->site, result);
    t->birth = now;
}

static COLD void lose_free(struct thread *t)
{
    slot_lose(t->slot, session_is_forked() ? HT_LOST_INHERITED_FREE : HT_LOST_UNKNOWN_FREE, 1);
}

void record_unknown_free(struct thread *t)
{
    note_caller(t, t->walk.at.pc, t->walk.at.reg[0]);
    lose_free(t);
}

INLINE void free_of(struct thread *t, const void *p)
{
    struct live_block block;
    if (LIKELY(live_remove(arch_address((uintptr_t)p), &block)))
        freed(t, p, block, 0);
    else
        lose_free(t);
}

void record_free(struct thread *t, const void *p)
{
    free_of(t, p);
    note_caller(t, t->walk.at.pc, t->walk.at.reg[0]);
}

bool record_is_live(const void *p)
{
    return live_contains(arch_address((uintptr_t)p));
}

/* ---- malloc and free ---- */

/*
 * Nearly all events come through these two hooks, so they are here, with the whole of the short way inlined. arch_caller reads the frame, which makes the
 * compiler keep a frame pointer in malloc; free can do without.
 */

HOOK(void *, malloc, (size_t size))
{
    struct guard guard;
    struct thread *t = thread_enter(&guard);
    void *p = real.malloc(size);
    if (UNLIKELY(!t || !p))
        return hook_allocated(t, &guard, p, size);
    arch_caller(&t->walk.at);
    allocated(t, p, size, 0);
    hook_leave(t, &guard, p);
    return p;
}

HOOK(void, free, (void *p))
{
    struct guard guard;
    struct thread *t = p ? thread_enter(&guard) : NULL;
    if (LIKELY(t)) {
        t->subject = p;
        __builtin_prefetch((const char *)p - sizeof(size_t), 1); /* what the real free looks at first, mostly */
        free_of(t, p);
        note_caller(t, ARCH_CALLER_PC, ARCH_CALLER_SP);
    } else if (p && !session_off) {
        hooks_nested_free(p);
    }
    real.free(p);
    hook_freed(t, &guard, p);
}

/* ---- Mappings ---- */

static void insert_map(struct thread *t, const struct map *map, struct ht_cell *cell)
{
    if (!maps_insert(t->owner, map))
        slot_lose(t->slot, HT_LOST_MAP_FULL, 1);
    count(t, cell, map->size, true);
    ring_write(t, HT_EVENT_ALLOC, 0, map->start, map->size, map->site);
}

void record_map(struct thread *t, const void *p, uint64_t size, enum ht_kind kind)
{
    if (pass_over(t))
        return;
    tick(t);
    struct counter counter = counter_by_walk(t, kind);
    struct map map = {(uintptr_t)p, (uintptr_t)size, counter.site, t->birth};
    insert_map(t, &map, counter.cell);
}

bool record_take_maps(struct thread *t, const void *p, uint64_t size)
{
    struct maps_taken *taken = &t->taken;
    uintptr_t start = (uintptr_t)p, bytes = (uintptr_t)size;
    bool busy = false, covered = false; /* by one mapping: then there is no other */
    taken->count = 0;
    while (!covered && taken->count < MAPS_TAKEN_MAX &&
           maps_take(t->owner, start, bytes, &taken->map[taken->count], &busy)) {
        const struct map *map = &taken->map[taken->count++];
        covered = map->start <= start && map->start + map->size >= start + bytes;
    }
    if (busy)
        slot_lose(t->slot, HT_LOST_MAP_FULL, 1);
    return taken->count == MAPS_TAKEN_MAX && !covered;
}

void record_unmapped(struct thread *t, const void *p, uint64_t size)
{
    const struct maps_taken *taken = &t->taken;
    uintptr_t start = (uintptr_t)p, end = start + (uintptr_t)size;
    tick(t);
    for (unsigned i = 0; i < taken->count; i++) {
        const struct map *map = &taken->map[i];
        uintptr_t map_end = map->start + map->size;
        count_free(t, map->site, map->size);
        ring_write(t, HT_EVENT_FREE, 0, map->start, map->size, map->site);
        if (map->start < start) {
            struct map before = {map->start, start - map->start, map->site, map->birth};
            insert_map(t, &before, cell_of(t, map->site));
        }
        if (map_end > end) {
            struct map after = {end, map_end - end, map->site, map->birth};
            insert_map(t, &after, cell_of(t, map->site));
        }
    }
    stack_forget(&t->stack, start, end);
}

void record_put_back_maps(struct thread *t)
{
    const struct maps_taken *taken = &t->taken;
    for (unsigned i = 0; i < taken->count; i++)
        if (!maps_insert(t->owner, &taken->map[i]))
            slot_lose(t->slot, HT_LOST_MAP_FULL, 1);
}
