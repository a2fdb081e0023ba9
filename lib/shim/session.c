#include "session.h"

#include "addresses.h"
#include "clock.h"
#include "cold.h"
#include "file_map.h"
#include "layout.h"
#include "live.h"
#include "maps.h"
#include "memory.h"
#include "modules.h"
#include "outfile.h"
#include "real.h"
#include "ring.h"
#include "rules.h"
#include "slots.h"
#include "tree.h"
#include <common/text.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <stddef.h>

extern char **environ IMPORT;

#define PREALLOC_MAX                                                                                                   \
    (8u << 20) /* before Linux 5.14 all of the file is allocated at start; so much unless more was asked for */
#define SPARE_THREADS 8

struct config config;
struct ht_header *session_header;
uint64_t session_budget;

/* Where the recording stands. In memory that is zero in a fork child (memory_mark): whatever its parent's threads were at, nobody has begun there. */
enum { NONE, STARTING, ON, OFF };
static struct standing {
    uint32_t state;
    uint32_t owner;  /* the process whose memory this is; 0: not known yet */
    uint32_t missed; /* events before there was a file, but for the one that made it */
} * standing;
static uint32_t begun;            /* somebody has begun a recording, here or in a parent */
static uint32_t configured;       /* `config` is read */
static uint32_t forked;           /* this process began with fork */
static uint32_t fork_epoch;       /* of the file */
static uint32_t filters;          /* that are going in */
static uint32_t filtered;         /* one is in force */
static uintptr_t heap, heap_peak; /* flushed sum of the heap, and its highest value */
static uint32_t raising;          /* a thread is at the peak */
static struct outfile outfile;

/*
 * What a fork child says of its parent, from when it begins to leave its parent's file until it has its own. A child of it that is forked in between is its
 * parent's child.
 */
static struct {
    uint32_t known;
    uint32_t epoch;
    uint64_t events;
    char path[sizeof outfile.path];
} parent;

/* ---- The file ---- */

static void place_sections(char *base)
{
    session_header = (struct ht_header *)(void *)base;
    for (uint32_t id = 0; id <= HT_RING; id++) {
        struct section *s = &section[id];
        uint64_t offset = (uintptr_t)s->base;
        s->base = base + offset;
        s->file = &session_header->section[id];
        *s->file = (struct ht_section){.offset = offset,
                                       .capacity_bytes = (uint64_t)s->capacity * s->record_bytes,
                                       .record_bytes = s->record_bytes};
    }
}

static bool fail(const char *what)
{
    text_copy(outfile.problem, sizeof outfile.problem, what);
    return false;
}

/* Makes the file so large. To ask for more than the limit would be the end of the process (SIGXFSZ). */
static bool resize_file(uint64_t bytes)
{
    if (bytes > sys_file_limit())
        return fail("no room for the buffer file under the limit of file sizes: raise it (ulimit -f)");
    return sys_truncate(outfile.fd, bytes) >= 0 || fail("cannot set the size of the buffer file");
}

static char *map_file(uint64_t bytes)
{
    char *base = file_map_open(outfile.fd, bytes);
    return base ? base : (fail("cannot map the buffer file"), NULL);
}

/* Maps the file and allocates its first page; everything, where the kernel cannot allocate later: then of a smaller file, and *budget falls. */
static bool open_file(uint64_t *budget)
{
    uint64_t bytes = layout_sections(*budget);
    char *base = resize_file(bytes) ? map_file(bytes) : NULL;
    if (!base)
        return false;
    long error = sys_advise(base, sizeof(struct ht_header), MADV_POPULATE_WRITE);
    if (error >= 0) {
        place_sections(base);
        return true;
    }
    if (!config.budget_explicit)
        *budget = MIN(*budget, PREALLOC_MAX);
    bytes = layout_sections(*budget);
    if (!resize_file(bytes))
        return false;
    if (sys_allocate(outfile.fd, 0, bytes) < 0)
        return fail("no room for the buffer file: free some, or set HEAPTAP_BUDGET or HEAPTAP_DIR");
    base = map_file(bytes);
    if (!base)
        return false;
    place_sections(base);
    for (uint32_t id = 0; id <= HT_RING; id++)
        section[id].allocated = section[id].capacity;
    session_header->flags |= HT_FLAG_PREALLOC;
    return true;
}

/* ---- Identity ---- */

static void read_command(char *to, size_t capacity)
{
    long result = sys_read_file("/proc/self/cmdline", to, capacity - 1), bytes = MAX(result, 0);
    while (bytes && (to[bytes - 1] == 0 || to[bytes - 1] == '\n'))
        bytes--;
    for (long i = 0; i < bytes; i++)
        if (!to[i])
            to[i] = ' ';
    to[bytes] = 0;
}

static void identify(uint64_t budget)
{
    struct ht_header *header = session_header;
    header->byte_order = HT_BYTE_ORDER;
    header->version_major = HT_VERSION_MAJOR;
    header->version_minor = HT_VERSION_MINOR;
    header->header_bytes = sizeof *header;
    header->word_bytes = sizeof(void *);
    header->page_shift = 12;
    header->e_machine = ARCH_ELF_MACHINE;
    header->pid = (uint32_t)sys_pid();
    header->parent_pid = (uint32_t)sys_parent_pid();
    header->uid = (uint32_t)sys_uid();
    header->pid_namespace = outfile_pid_namespace();
    header->start_ticks = outfile_start_ticks(header->pid);
    header->start_realtime_ns = real_clock_wall();
    header->start_monotonic_ns = real_clock_coarse();
    bool own_boot_id = outfile_boot_id(header->boot_id);
    read_command(header->command, sizeof header->command);
    text_copy(header->shim_version, sizeof header->shim_version, HEAPTAP_VERSION);
    text_copy(header->exe, sizeof header->exe, config.exe);
    text_copy(header->only, sizeof header->only, config.only);
    text_copy(header->problem, sizeof header->problem, config.problem);
    text_copy(header->malloc_owner, sizeof header->malloc_owner, real_facts.malloc_owner);
    header->flags |= real_facts.malloc_elsewhere ? HT_FLAG_MALLOC_ELSEWHERE : 0;
    header->flags |= own_boot_id && outfile.one_kernel ? HT_FLAG_ONE_KERNEL : 0;
    header->flags |= outfile_is_limited(budget) ? HT_FLAG_LIMITED : 0;
    header->file_inode = outfile.inode;
    header->budget_bytes = budget;
    header->depth_max = config.depth_max;
    header->ring_blocks = section[HT_RING].capacity;
    header->slot_count = section[HT_SLOTS].capacity - 1;
    header->ctl_pause = config.start_paused;
    if (forked) {
        header->flags |= HT_FLAG_FORKED;
        header->fork_epoch = fork_epoch;
        header->fork_events = parent.events;
        text_copy(header->parent_file, sizeof header->parent_file, parent.path);
    }
}

/* ---- Start ---- */

static void say(const char *what, const char *detail)
{
    static char line[512];
    struct text text = TEXT(line);
    if (!config.log)
        return;
    text_append(&text, "heaptap[");
    text_decimal(&text, (uint64_t)sys_pid());
    text_append(&text, "]: ");
    text_append(&text, what);
    text_append(&text, detail);
    text_char(&text, '\n');
    sys_write(2, line, text.length);
}

static bool make_tables(void)
{
    if (!slots_init(section[HT_SLOTS].capacity - 1))
        return fail("no room for the counters of threads");
    ring_init(section[HT_RING].capacity);
    maps_init(section[HT_MAPS].capacity);
    if (!live_init(section[HT_LINES].capacity) || !tree_init())
        return fail("no room for the tables");
    if (!rules_init())
        session_header->flags |= HT_FLAG_NO_TABLES;
    return true;
}

static bool begin(void)
{
    if (!outfile_create(&config, (uint32_t)sys_pid(), forked, &outfile))
        return false;
    uint64_t affordable = outfile_budget(&config, outfile.free_bytes);
    session_budget = session_budget ? MIN(session_budget, affordable) : affordable;
    bool made = open_file(&session_budget) && make_tables();
    if (made) {
        if (forked)
            modules_restore();
        identify(session_budget);
        clock_init(session_header->start_monotonic_ns);
        for (size_t i = 0; i < sizeof session_header->magic; i++)
            session_header->magic[i] = HT_MAGIC[i];
        word_publish(&session_header->state, HT_STATE_ON);
    } else {
        sys_unlink(outfile.path);
    }
    sys_close(outfile.fd);
    return made;
}

static char **environment(void)
{
    return &environ ? environ : NULL;
}

static void remember_parent(void)
{
    text_copy(parent.path, sizeof parent.path, outfile.path);
    parent.events = slots_events();
    parent.epoch = fork_epoch;
    word_publish(&parent.known, 1);
}

/* All of it may have been done in part by a thread that is not here: the parent was leaving its own parent when it forked. */
static void leave_parent(void)
{
    if (!word_get(&parent.known))
        remember_parent();
    fork_epoch = parent.epoch + 1;
    forked = 1;
    heap = heap_peak = 0;
    raising = 0;
    memory_wipe();
    threads_anew();
    modules_keep();
    rules_reset();
}

void session_keep_apart(struct thread *t)
{
    if (session_is_of_this_process()) /* the hook was left long ago, and another one has started over since */
        return;
    if (word_get(&parent.known)) {
        /* Another thread was starting over: what the hook stores in is wiped, and the file is neither the old one nor the new. */
        memory_wipe();
        return;
    }
    memory_keep_alone();
    t->ready = 0;
    file_map_copy();
}

/* Before Linux 4.14: libc tells us of its forks, and hooks_fork.c. A raw clone then goes unnoticed. */
static void in_fork_child(void)
{
    struct thread *t = thread_self;
    *standing = (struct standing){0};
    if (t && t->guard)
        session_keep_apart(t);
    else
        memory_wipe();
}

static void notice_forks(void)
{
    typedef void handler(void);
    int (*glibc)(handler *, handler *, handler *, void *);
    int (*other)(handler *, handler *, handler *);
    *(void **)&glibc = real_lookup("__register_atfork", NULL);
    *(void **)&other = glibc ? NULL : real_lookup("pthread_atfork", NULL);
    if (glibc)
        glibc(NULL, NULL, in_fork_child, NULL);
    else if (other)
        other(NULL, NULL, in_fork_child);
}

static void configure(void)
{
    config_read(&config, environment());
    word_publish(&configured, 1);
    if (*config.problem)
        say(config.problem, "");
}

struct start {
    bool again; /* in a fork child */
    bool on;
};

static void start_cold(void *argument)
{
    struct start *start = argument;
    if (start->again)
        leave_parent();
    if (!configured)
        configure();
    start->on = config.chosen && (!start->again || config.children) && begin();
    if (start->again && !start->on)
        file_map_drop(); /* what is not wanted of it any more is not written to the parent's file either */
    if (!start->again && !memory_wiped_by_kernel())
        notice_forks();
    if (start->on) {
        word_publish(&parent.known, 0);
        if (config.first && !start->again)
            config_mark_children(environment());
        say("recording into ", outfile.path);
    } else if (!config.named) {
        say("not recording: HEAPTAP_ONLY does not name ", config.exe);
    } else {
        say("not recording: ", *outfile.problem ? outfile.problem : "not the first process");
    }
}

COLD_STACK(door, 64u << 10, 1);

static uint32_t state_now(void)
{
    return standing ? word_acquire(&standing->state) : NONE;
}

bool session_is_of_this_process(void)
{
    return state_now() == ON;
}

bool session_is_borrowed(void)
{
    uint32_t owner = standing ? word_get(&standing->owner) : 0;
    long pid = owner ? sys_pid() : 0;
    return pid > 0 && (uint32_t)pid != owner;
}

static void note_owner(void)
{
    long pid = sys_pid();
    if (pid > 0)
        word_set(&standing->owner, (uint32_t)pid);
}

void session_note_fork(void)
{
    if (!standing || session_off)
        return;
    if (!memory_wiped_by_kernel() && session_is_borrowed()) /* so it seems: it is the parent's */
        in_fork_child();
    if (!word_get(&standing->owner))
        note_owner();
}

bool session_is_forked(void)
{
    return forked;
}

/* The memory is still that of a hook in which a handler has forked: only the thread that goes back there knows when that is over. */
static bool is_kept_for_another(void)
{
    return memory_kept() && sys_tid() != sys_pid();
}

/* Nor one that shares the memory of a process that has not started: what it would start would bear its name. */
static bool may_start(uint32_t seen)
{
    return !is_kept_for_another() && !session_is_borrowed() && word_swap(&standing->state, seen, STARTING);
}

static COLD bool start(void)
{
    struct start start = {.again = begun};
    if (!standing->owner)
        note_owner();
    word_publish(&begun, 1);
    if (start.again)
        cold_open_all();
    if (!real_facts
             .shim_end) /* not again in a fork child: another thread of the parent may have held the loader's lock */
        real_init();
    cold_run_inlined(&door, start_cold, &start);
    if (start.on && !forked)
        modules_refresh();
    if (start.on && word_get(&standing->missed))
        slot_lose(slots_shared(), HT_LOST_NO_THREAD, standing->missed);
    word_set(&session_off, !start.on);
    word_publish(&standing->state, start.on ? ON : OFF);
    if (start.on && sys_under_seccomp()) {
        session_freeze();
        session_filtered(true);
    }
    return start.on;
}

COLD bool session_start(void)
{
    if (session_is_of_this_process())
        return true;
    if (session_off)
        return false;
    standing = memory_mark();
    if (!standing) {
        word_set(&session_off, 1);
        return false;
    }
    if (may_start(NONE))
        return start();
    word_add(&standing->missed, 1);
    return false;
}

/* ---- A limit of addresses ---- */

struct cut {
    uint64_t limit;
    bool wait; /* for others who are about to allocate */
};

/* What a file has of each section that is made under this limit. */
static void capacity_below(uint64_t limit, uint32_t capacity[])
{
    layout_capacity(MIN(session_budget, outfile_part_of(limit)), capacity);
}

/* What the shim may have of private memory. */
static size_t own_below(const struct cut *cut)
{
    return (size_t)MIN(cut->limit / MEMORY_PART, SIZE_MAX);
}

static void cut_tables(const uint32_t capacity[], const struct cut *cut)
{
    live_cut(capacity[HT_LINES], cut->wait);
    tree_cut(capacity[HT_NODES], capacity[HT_SITES], cut->wait);
    maps_cut(capacity[HT_MAPS], cut->wait);
    memory_cut_aside(own_below(cut) / 4, cut->wait);
}

static void cut_own(void *argument)
{
    static uint32_t capacity[HT_SECTIONS_MAX];
    const struct cut *cut = argument;
    if (!addresses_give(cut->wait))
        return;
    capacity_below(cut->limit, capacity);
    if (file_map_cut(capacity, cut->wait)) {
        for (uint32_t id = 0; id <= HT_RING; id++)
            capacity[id] = word_get(&section[id].capacity);
        if (outfile_part_of(cut->limit) < session_budget)
            __atomic_fetch_or(&session_header->flags, HT_FLAG_LIMITED, __ATOMIC_RELAXED);
        cut_tables(capacity, cut);
        thread_cut(own_below(cut), cut->wait);
    }
    addresses_given();
}

/*
 * Of its parent's file, a fork child needs the list of libraries, to begin with; one that is not recorded, nothing. The tables are for its own recording. What the
 * sections say is not asked: another thread of the parent was laying out its own file, perhaps.
 */
static void cut_inherited(void *argument)
{
    static uint32_t capacity[HT_SECTIONS_MAX];
    const struct cut *cut = argument;
    memory_wipe();
    threads_anew();
    capacity_below(cut->limit, capacity);
    thread_cut(own_below(cut), cut->wait);
    if (!session_off)
        modules_keep();
    file_map_leave();
    cut_tables(capacity, cut);
}

COLD_STACK(cut_door, 8u << 10, 64);

/* Nobody starts meanwhile: not even this thread, in a signal handler. */
static COLD void make_room_first(struct cut *cut)
{
    struct sys_signals signals;
    uint32_t seen = state_now();
    sys_block_signals(&signals);
    if ((seen == NONE || seen == OFF) && may_start(seen)) {
        cold_open_all();
        cold_run(&cut_door, cut_inherited, cut);
        word_publish(&standing->state, seen);
    }
    sys_restore_signals(&signals);
}

/* A process that was never recorded has no file; that of a fork child which is not has been its parent's. */
COLD bool session_may_make_room(void)
{
    return session_off ? file_map_is_open() && !session_has_filter() : begun && !sys_frozen();
}

COLD void session_make_room(uint64_t limit)
{
    const struct thread *t = thread_self;
    bool inside = t && t->guard; /* of a hook, which this handler has interrupted */
    struct cut cut = {limit, !inside};
    if (!session_may_make_room())
        return;
    if (!session_is_of_this_process()) {
        if (!inside)
            make_room_first(&cut);
    } else if (!session_is_borrowed()) {
        (inside ? cold_run : cold_run_in_turn)(&cut_door, cut_own, &cut);
    }
}

void session_heap_flush(struct thread *t)
{
    uintptr_t now = __atomic_add_fetch(&heap, (uintptr_t)t->heap_pending, __ATOMIC_RELAXED);
    t->heap_pending = 0;
    if (now <= __atomic_load_n(&heap_peak, __ATOMIC_RELAXED) || (intptr_t)now < 0 || !word_swap(&raising, 0, 1))
        return;
    if (now > heap_peak) {
        count_add(&session_header->peak_bytes, now - heap_peak);
        __atomic_store_n(&heap_peak, now, __ATOMIC_RELAXED);
    }
    word_publish(&raising, 0);
}

/* The file is that of this process. */
static void set_aside(void)
{
    thread_reserve(SPARE_THREADS);
    slots_reserve(SPARE_THREADS);
    memory_spare();
    live_reserve();
    for (uint32_t id = HT_PLACES; id <= HT_RING; id++) {
        struct section *s = &section[id];
        uint64_t spare = MAX(MIN(256u << 10, (uint64_t)s->capacity * s->record_bytes / 16) / s->record_bytes, 1);
        section_reach(s, (uint32_t)MIN(s->allocated + spare, s->capacity));
    }
    tree_reserve();
    __atomic_fetch_or(&session_header->flags, HT_FLAG_FROZEN, __ATOMIC_RELAXED);
}

/* Or will be: a fork child. */
static bool is_recorded(void)
{
    return session_is_of_this_process() || (begun && !session_off && state_now() == NONE);
}

/* A fork child is frozen too, before its first event, and then makes no file; one that only borrows the memory is not: the filter is not its parent's. */
void session_freeze(void)
{
    word_add(&filters, 1);
    if (!is_recorded() || sys_frozen() || session_is_borrowed())
        return;
    if (session_is_of_this_process())
        set_aside();
    sys_freeze();
}

void session_filtered(bool in_force)
{
    if (in_force && !(is_recorded() && !sys_frozen())) /* not in a borrower */
        word_set(&filtered, 1);
    if (word_add(&filters, (uint32_t)-1) != 1 || word_get(&filtered) || !sys_frozen())
        return;
    sys_thaw();
    if (session_is_of_this_process())
        __atomic_fetch_and(&session_header->flags, ~HT_FLAG_FROZEN, __ATOMIC_RELAXED);
}

bool session_has_filter(void)
{
    return word_get(&filtered) || word_get(&filters);
}

/* The program may never allocate; and what it does before main is recorded from the first event on anyway. */
__attribute__((constructor)) static void constructor(void)
{
    if (!begun)
        session_start();
}

__attribute__((destructor)) static void destructor(void)
{
    if (session_is_of_this_process())
        word_publish(&session_header->state, HT_STATE_EXITING);
}
