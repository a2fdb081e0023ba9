#include "file_map.h"

#include "addresses.h"
#include "sys.h"

#define PIECES (HT_RING + 2)

/* The header, and each section; while the file is in one piece, the first one is all of it and the others are empty. */
static struct memory_range piece[PIECES];
static bool in_pieces;
static bool is_copy; /* what is mapped there is this process's own memory */

static void unmap(uintptr_t at, uintptr_t end)
{
    if (at < end)
        sys_unmap((void *)at, end - at);
}

/* At every instant it is a whole piece, or empty: what a child that is forked meanwhile finds is not the program's. */
static void set_piece(uint32_t i, uintptr_t start, uintptr_t end)
{
    if (piece[i].start != start) {
        __atomic_store_n(&piece[i].end, 0, __ATOMIC_RELEASE);
        __atomic_store_n(&piece[i].start, start, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&piece[i].end, end, __ATOMIC_RELEASE);
}

/* Forgotten first, for the same reason. */
static void unmap_pieces(void)
{
    for (uint32_t i = 0; i < PIECES; i++) {
        struct memory_range was = piece[i];
        set_piece(i, 0, 0);
        unmap(was.start, was.end);
    }
    in_pieces = false;
}

char *file_map_open(int fd, uint64_t bytes)
{
    uintptr_t before = piece[0].end;
    bool over = file_map_is_open() && !in_pieces && bytes <= before - piece[0].start;
    char *base = sys_map_shared(over ? (void *)piece[0].start : NULL, fd, (size_t)bytes, NULL);
    if (!base)
        return NULL;
    uintptr_t start = (uintptr_t)base, end = start + (uintptr_t)bytes;
    if (!over)
        unmap_pieces();
    for (uint32_t i = 1; i < PIECES; i++)
        set_piece(i, 0, 0);
    set_piece(0, start, end);
    is_copy = false;
    if (over)
        unmap(end, before);
    return base;
}

bool file_map_is_open(void)
{
    return piece[0].end != 0;
}

bool file_map_next(uintptr_t at, struct memory_range *range)
{
    *range = (struct memory_range){UINTPTR_MAX, 0};
    for (uint32_t i = 0; i < PIECES; i++)
        if (piece[i].start < piece[i].end && piece[i].end > at && piece[i].start < range->start)
            *range = piece[i];
    return range->end != 0;
}

/* ---- Fewer addresses ---- */

/* Where a section's addresses end, as long as the file is in one piece. */
static uintptr_t end_of_room(uint32_t id)
{
    return id < HT_RING ? (uintptr_t)section[id + 1].base : piece[0].end;
}

/* What a section needs of its addresses: the largest page there is may be allocated at its end. */
static uintptr_t end_of_need(uint32_t id)
{
    uint32_t records = MAX(word_get(&section[id].capacity), word_acquire(&section[id].allocated));
    return (uintptr_t)section[id].base +
           (uintptr_t)align_up((uint64_t)records * section[id].record_bytes, HT_SECTION_ALIGN);
}

/* The pieces as they will be. `were`: as they are. */
static void note_pieces(const struct memory_range were[PIECES])
{
    for (uint32_t id = 0; id <= HT_RING; id++)
        set_piece(id + 1, were[id + 1].start, MIN(were[id + 1].end, end_of_need(id)));
    set_piece(0, were[0].start, were[0].end);
    in_pieces = true;
}

/* The pieces as they are, also if they are still in a row. */
static void list_pieces(struct memory_range are[PIECES])
{
    are[0] = in_pieces ? piece[0] : (struct memory_range){piece[0].start, (uintptr_t)section[0].base};
    for (uint32_t id = 0; id <= HT_RING; id++)
        are[id + 1] = in_pieces ? piece[id + 1] : (struct memory_range){(uintptr_t)section[id].base, end_of_room(id)};
}

static void unmap_ends(const struct memory_range were[PIECES])
{
    for (uint32_t i = 0; i < PIECES; i++)
        unmap(piece[i].end, were[i].end);
}

bool file_map_cut(const uint32_t capacity[], bool wait)
{
    static struct memory_range were[PIECES], whole;
    static uint32_t before[HT_RING + 1];
    bool was_in_pieces = in_pieces;
    whole = piece[0];
    list_pieces(were);
    for (uint32_t id = 0; id <= HT_RING; id++)
        before[id] = section_lower(&section[id], capacity[id]);
    note_pieces(were); /* who comes from here on, and asks what is the shim's, is told of no more than this */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!addresses_unheld(wait)) {
        for (uint32_t id = 0; id <= HT_RING; id++) {
            word_set(&section[id].capacity, before[id]);
            piece[id + 1] = was_in_pieces ? were[id + 1] : (struct memory_range){0, 0};
        }
        piece[0] = whole;
        in_pieces = was_in_pieces;
        return false;
    }
    for (uint32_t id = 0; id <= HT_RING;
         id++) /* somebody may have allocated more meanwhile: from here on nobody will */
        word_raise(&section[id].capacity, word_acquire(&section[id].allocated));
    note_pieces(were);
    unmap_ends(were);
    return true;
}

void file_map_leave(void)
{
    unmap_pieces();
}

/* ---- Memory in place of the file ---- */

void file_map_drop(void)
{
    for (uint32_t i = 0; i < PIECES; i++)
        if (piece[i].start < piece[i].end)
            sys_map_anonymous((void *)piece[i].start, piece[i].end - piece[i].start, NULL);
    is_copy = true;
}

/* Replaces mapped memory, from `at` to `end`, by memory of our own with the same contents; only zeros, from `present` on. */
static void replace(char *at, char *present, char *end)
{
    static char page[HT_SECTION_ALIGN];
    for (; at < present; at += sizeof page) {
        size_t bytes = MIN(sizeof page, (size_t)(present - at));
        __builtin_memcpy(page, at, bytes);
        if (sys_map_anonymous(at, MIN(sizeof page, (size_t)(end - at)), NULL))
            __builtin_memcpy(at, page, bytes);
    }
    if (at < end)
        sys_map_anonymous(at, (size_t)(end - at), NULL);
}

void file_map_copy(void)
{
    static struct memory_range are[PIECES];
    if (is_copy || !file_map_is_open())
        return;
    list_pieces(are);
    for (uint32_t id = HT_RING + 1; id-- > 0;)
        replace(section[id].base, section[id].base + (size_t)section[id].allocated * section[id].record_bytes,
                (char *)are[id + 1].end);
    replace((char *)are[0].start, (char *)are[0].start + sizeof(struct ht_header), (char *)are[0].end);
    is_copy = true;
}
