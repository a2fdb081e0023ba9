#include "modules.h"

#include "cold.h"
#include "loader.h"
#include "real.h"
#include "rules.h"
#include "section.h"
#include "session.h"
#include "sys.h"
#include "walks.h"
#include <common/text.h>
#include <elf.h>

#define MODULES_MAX 2048

uint32_t modules_dirty = MODULES_CHANGED;
static uint32_t grown; /* perhaps */

/* The list in force, sorted by address, and the one being read. Both are private; fork keeps them. */
static struct module lists[2][MODULES_MAX];
static struct module *list = lists[0];
static uint32_t list_count;
static uint32_t changes;

struct reading {
    struct module *to;
    uint32_t count, lost;
    unsigned long long adds, subs; /* the loader's own counts of what it loaded and unloaded */
    bool first;
    bool same;    /* they are what they were: nothing to read */
    bool partial; /* an object was met that is being loaded */
};

/* The counts that belong to the list in force. */
static struct {
    unsigned long long adds, subs;
    bool known;
} counted;

static void read_build_id(const struct dl_phdr_info *info, struct ht_module *row)
{
    row->build_id_bytes = 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_NOTE || header->p_align > 8)
            continue;
        uintptr_t at = info->dlpi_addr + header->p_vaddr, end = at + header->p_memsz;
        uintptr_t align = header->p_align == 8 ? 8 : 4;
        while (at + sizeof(ElfW(Nhdr)) <= end) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
            uintptr_t body = at + sizeof *note + align_up(note->n_namesz, align);
            if (body + note->n_descsz > end || note->n_namesz > 64)
                break;
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && text_equal((const char *)(note + 1), "GNU")) {
                row->build_id_bytes = MIN(note->n_descsz, sizeof row->build_id);
                for (uint32_t byte = 0; byte < row->build_id_bytes; byte++)
                    row->build_id[byte] = ((const uint8_t *)body)[byte];
                return;
            }
            at = body + align_up(note->n_descsz, align);
        }
    }
}

/* The row as this object would fill it. Static: too large for the program's stack. */
static void describe(const struct dl_phdr_info *info, bool first, struct ht_module *row, struct module *module)
{
    *row = (struct ht_module){.bias = info->dlpi_addr, .start = UINT64_MAX};
    *module = (struct module){.teach.bias = info->dlpi_addr, .row = HT_NO_MODULE};
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uint64_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_GNU_EH_FRAME) {
            module->teach.table = (uintptr_t)start;
            module->teach.table_bytes = header->p_memsz;
        }
        if (header->p_type != PT_LOAD)
            continue;
        row->start = MIN(row->start, start & ~4095ull);
        row->end = MAX(row->end, align_up(start + header->p_memsz, 4096));
        if ((header->p_flags & PF_X) && row->segment_count < HT_MODULE_SEGMENTS)
            row->segment[row->segment_count++] = (struct ht_segment){.start = start & ~4095ull,
                                                                     .end = align_up(start + header->p_memsz, 4096),
                                                                     .file_offset = header->p_offset & ~4095ull};
    }
    read_build_id(info, row);
    const char *path = info->dlpi_name ? info->dlpi_name : "";
    if (first) {
        row->flags |= HT_MODULE_MAIN;
        path = config.exe;
    }
    if (row->start == real_facts.shim_start)
        row->flags |= HT_MODULE_SHIM;
    if (row->start == real_facts.loader_start && row->end)
        row->flags |= HT_MODULE_LOADER;
    if (row->flags &
        HT_MODULE_LOADER) /* its ELF header is mapped: the kernel told where, and ld.so found its own tables by it */
        module->entry = info->dlpi_addr + ((const ElfW(Ehdr) *)(uintptr_t)row->start)->e_entry;
    if (text_starts(path, "linux-vdso") || text_starts(path, "linux-gate")) {
        row->flags |= HT_MODULE_VDSO;
        path = "[vdso]";
    }
    if (!text_copy(row->path, sizeof row->path, path))
        row->flags |= HT_MODULE_PATH_CUT;
    module->teach.start = (uintptr_t)row->start;
    module->teach.end = (uintptr_t)row->end;
    module->flags = row->flags;
}

/* Shell's, since there may be a thousand and more; D. E. Knuth, The Art of Computer Programming 3, 5.2.1 (8). */
static void sort(struct module *modules, uint32_t count)
{
    uint32_t step = 1;
    while (step < count / 9)
        step = 3 * step + 1;
    for (; step; step /= 3)
        for (uint32_t i = step; i < count; i++) {
            struct module moved = modules[i];
            uint32_t j = i;
            for (; j >= step && modules[j - step].teach.start > moved.teach.start; j -= step)
                modules[j] = modules[j - step];
            modules[j] = moved;
        }
}

/* The one of a sorted list in which an address lies; NULL: none. */
static const struct module *find_in(const struct module *modules, uint32_t count, uintptr_t address)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (modules[middle].teach.end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && address >= modules[low].teach.start ? &modules[low] : NULL;
}

static bool listed(const struct module *modules, uint32_t count, const struct module *wanted)
{
    const struct module *there = find_in(modules, count, wanted->teach.start);
    return there && there->row == wanted->row && there->teach.start == wanted->teach.start &&
           there->teach.end == wanted->teach.end;
}

static bool same_object(const struct ht_module *a, const struct ht_module *b)
{
    if (a->build_id_bytes != b->build_id_bytes || !text_equal(a->path, b->path))
        return false;
    for (uint32_t i = 0; i < a->build_id_bytes; i++)
        if (a->build_id[i] != b->build_id[i])
            return false;
    return a->end - a->start == b->end - b->start;
}

/* Rows that may be looked at. What was claimed in vain lies where the filesystem was full: even a load would raise SIGBUS there. */
static uint32_t rows(void)
{
    return MIN(section[HT_MODULES].claimed, section[HT_MODULES].allocated);
}

/* Everything but the publishing word, which stays as it is at every instant. */
static void fill_row(struct ht_module *row, struct ht_module *from)
{
    from->state = row->state;
    from->loads = row->loads + 1;
    *row = *from;
}

static bool has_row(const struct module *modules, uint32_t count, uint32_t row)
{
    for (uint32_t i = 0; i < count; i++)
        if (modules[i].row == row)
            return true;
    return false;
}

static bool is_row_of(const struct ht_module *row, const struct ht_module *object)
{
    return row->state == 1 && row->start == object->start && same_object(row, object);
}

/*
 * The row of an object: the one it has, had, or a new one. A row that was filled and not yet published (install found the lock taken) counts as had;
 * one that was given away in this very reading does not, since an object can be there twice: musl tells files by their inodes.
 */
static uint32_t find_row(const struct reading *reading, struct ht_module *object)
{
    uint32_t gone = HT_NO_MODULE;
    const struct module *before = find_in(list, list_count, (uintptr_t)object->start);
    if (before && before->row != HT_NO_MODULE &&
        is_row_of(SECTION_RECORD(struct ht_module, HT_MODULES, before->row), object))
        return before->row;
    for (uint32_t i = 0; i < rows(); i++) {
        struct ht_module *row = SECTION_RECORD(struct ht_module, HT_MODULES, i);
        if (is_row_of(row, object))
            return i;
        if (row->state != 1 && gone == HT_NO_MODULE && same_object(row, object) &&
            !has_row(reading->to, reading->count, i))
            gone = i;
    }
    if (gone != HT_NO_MODULE) {
        fill_row(SECTION_RECORD(struct ht_module, HT_MODULES, gone), object);
        return gone;
    }
    uint32_t fresh = section_claim_growing(&section[HT_MODULES], 1);
    if (fresh == SECTION_FULL)
        return HT_NO_MODULE;
    fill_row(SECTION_RECORD(struct ht_module, HT_MODULES, fresh), object);
    return fresh;
}

static int visit(struct dl_phdr_info *info, size_t size, void *argument)
{
    static struct ht_module row; /* one refresh at a time */
    struct reading *reading = argument;
    bool first = reading->first;
    reading->first = false;
    if (first && size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs) {
        reading->adds = info->dlpi_adds;
        reading->subs = info->dlpi_subs;
        reading->same = counted.known && counted.adds == reading->adds && counted.subs == reading->subs;
        if (reading->same)
            return 1;
    }
    if (reading->count == MODULES_MAX) {
        reading->lost++;
        return 0;
    }
    struct module *module = &reading->to[reading->count];
    describe(info, first, &row, module);
    if (module->teach.end <= module->teach.start) { /* being loaded: not yet anywhere */
        reading->partial = true;
        return 0;
    }
    module->row = find_row(reading, &row);
    reading->lost += module->row == HT_NO_MODULE;
    reading->count++;
    return 0;
}

/* Puts the new list in force, with the teacher's lock held. */
static void install(struct module *fresh, uint32_t count)
{
    bool removed = false, added = false;
    for (uint32_t i = 0; i < list_count; i++) {
        if (listed(fresh, count, &list[i]))
            continue;
        removed = true;
        uint32_t row = list[i].row;
        if (row != HT_NO_MODULE && !has_row(fresh, count, row))
            word_publish(&SECTION_RECORD(struct ht_module, HT_MODULES, row)->state, 2);
    }
    for (uint32_t i = 0; i < count; i++) {
        added |= !listed(list, list_count, &fresh[i]);
        if (fresh[i].row != HT_NO_MODULE)
            word_publish(&SECTION_RECORD(struct ht_module, HT_MODULES, fresh[i].row)->state, 1);
    }
    list = fresh;
    list_count = count;
    if (removed || (added && rules_taught_outside()))
        rules_forget();
    word_set(&session_header->module_changes, ++changes);
}

COLD_STACK(door, 32u << 10, 5000);

static void read_again(void *argument)
{
    bool *current = argument;
    static struct reading reading;
    *current = word_acquire(&modules_dirty) == MODULES_CURRENT && !word_get(&grown); /* another thread was first */
    if (*current || !walks_keep_out())
        return;
    __atomic_exchange_n(&modules_dirty, MODULES_READING, __ATOMIC_SEQ_CST); /* what changes from now on is read again */
    __atomic_exchange_n(&grown, 0, __ATOMIC_SEQ_CST);
    reading = (struct reading){.to = list == lists[0] ? lists[1] : lists[0], .first = true};
    loader_walk(visit, &reading);
    walks_let_in();
    if (reading.same) { /* the loader allocates for other reasons too: a thread's memory */
        word_swap(&modules_dirty, MODULES_READING, MODULES_CURRENT);
        *current = true;
        return;
    }
    if (reading.lost)
        count_add_shared(&session_header->modules_lost, reading.lost);
    sort(reading.to, reading.count);
    if (rules_try_lock()) {
        install(reading.to, reading.count);
        counted.adds = reading.adds;
        counted.subs = reading.subs;
        counted.known = reading.adds && !reading.partial;
        rules_unlock();
        word_swap(&modules_dirty, MODULES_READING, MODULES_CURRENT);
        *current = true;
    } else {
        word_set(&modules_dirty, MODULES_CHANGED);
    }
}

COLD bool modules_refresh(void)
{
    bool current = false;
    cold_run(&door, read_again, &current);
    return current;
}

COLD void modules_may_grow(void)
{
    word_set(&grown, 1);
    /* Code that was in no module may be in one now; and where the list cannot be read in the middle of a walk (rules.c), it is read before. */
    if (rules_taught_outside() || real_facts.loader_is_libc)
        modules_touch();
}

COLD bool modules_may_have_grown(void)
{
    return word_get(&grown) || word_get(&modules_dirty);
}

bool modules_hold(void)
{
    return cold_enter(&door);
}

void modules_let_go(void)
{
    cold_leave(&door);
}

const struct module *modules_find(uintptr_t address)
{
    return find_in(list, list_count, address);
}

/*
 * The parent's rows, while a fork child goes from its parent's file to its own, and the section is that of neither. Memory that fork keeps (not memory_map): what
 * is forked meanwhile has them from here.
 */
static struct ht_module *kept;
static uint32_t kept_count;
static uint32_t keeping;

void modules_keep(void)
{
    walks_anew();
    if (word_get(&keeping))
        return;
    kept_count = rows();
    kept = kept_count ? sys_map_anonymous(NULL, kept_count * sizeof *kept, NULL) : NULL;
    for (uint32_t i = 0; kept && i < kept_count; i++)
        kept[i] = *SECTION_RECORD(struct ht_module, HT_MODULES, i);
    word_publish(&keeping, 1);
}

void modules_restore(void)
{
    struct ht_module *from = kept;
    uint32_t first = from ? section_claim_growing(&section[HT_MODULES], kept_count) : SECTION_FULL;
    if (first != 0) /* no memory, or less room than the parent had */
        list_count = 0;
    if (!list_count) {
        counted.known = false;
        word_set(&modules_dirty, MODULES_CHANGED);
    }
    for (uint32_t i = 0; first == 0 && i < kept_count; i++) {
        struct ht_module *row = SECTION_RECORD(struct ht_module, HT_MODULES, i);
        static struct ht_module unpublished;
        unpublished = from[i];
        unpublished.state = 0;
        *row = unpublished;
        word_publish(&row->state, from[i].state);
    }
    /* Not asked now even if the list was to be read again: whoever holds the loader's lock is not here to let go of it. */
    if (list_count)
        modules_dirty = grown = 0;
    word_publish(&keeping, 0);
    kept = NULL;
    if (from)
        sys_unmap(from, kept_count * sizeof *from);
}
