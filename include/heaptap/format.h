/*
 * The buffer file of heaptap: the contract between libheaptap.so, which writes it from inside the profiled process,
 * and heaptap, which reads it, perhaps later, perhaps on a machine of another word size or byte order.
 *
 *   offset 0     ht_header            identity, configuration, control words, and where each section lies
 *                ---------------- every section starts on a multiple of 64 KiB; the file is sparse
 *   MODULES      ht_module[]          what was mapped where, with build-ids
 *   PLACES       ht_place[]           one code location: (module, offset)                 id = index, 0 is unused
 *   NODES        ht_node[]            the call tree: (parent, place)                      id = index, 0 is the root
 *   SITES        ht_site[]            (stack, kind): what is counted                      id = index, 0 is unused
 *   SLOTS        ht_slot[]            one per recording thread; the last one is shared by threads that found no other
 *   CHUNKS       ht_chunk[]           which slot counts which 64 sites in CELLS[same index]
 *   CELLS        ht_cell[][64]        the counters of 64 sites for one slot
 *   LINES        ht_line[], ht_pack[] live blocks, eight or four to a line of 64 bytes, mixed; line 0 is unused
 *   MAPS         ht_map[]             live mappings
 *   RING         ht_block[]           the last events, in blocks of 4 KiB
 *
 *       MODULES <--- PLACES <--- NODES (parent < child) <--- SITES <--- LINES, MAPS, CELLS (by CHUNKS), RING
 *
 * Rules of the writer
 *   - Fixed-width fields in the byte order of the writing machine, which `byte_order` tells. No field is wider than 32
 *     bits unless it is written before the header is published (u64 in ht_header, ht_module) or is a split counter.
 *   - Publication: the payload of a record is written first, then one 32-bit word of it with release order (marked
 *     "publishes" below). A record whose publishing word is 0 does not exist.
 *   - Ids are handed out in order; a record is written before anything that names it is published.
 *   - ht_section.used is raised before a record at or above it is published: a reader never needs to look further.
 *   - The shim never reads an index or an address back from the file: all hash tables and links are its private memory.
 *
 * What holds at any instant, also after SIGKILL (`heaptap info --verify` checks it)
 *   V1  sections lie inside the file, do not overlap, and used * record_bytes <= capacity_bytes.
 *   V2  node.parent < its own id, node.place names a published place; place.module names a published module or none;
 *       site.node names a published node; site.kind is known.
 *   V3  every published line entry, map and ring event names a published site (ring marks name none).
 *   V4  a chunk names a slot and a group of sites that exist; no two chunks name the same pair.
 *   V5  per site: (allocs - frees) over all slots equals the number of live blocks and mappings, up to one event for
 *       each slot in use (the thread was between its two stores), and up to the losses LIVE_FULL, CELL_FULL and MAP_FULL. The same in bytes, up to one event each.
 *   V6  no two live blocks have the same address.
 *   V7  ring: events that were ever written (sum of slot.events) = events in the ring + OVERWRITTEN, up to one for each slot in use, and up to one block
 *       for each one that was being claimed (open is 1 and seq is 0).
 *   A live process changes its file while it is read: V5 to V7 then hold up to what happened meanwhile.
 *
 * Accounting, fixed here because totals are compared to the unit
 *   An allocation counts its requested size (calloc: the product; memalign and friends: the size, not the alignment); size 0
 *   counts as one allocation of 0 bytes. Only calls that succeeded count. free(NULL) counts nothing. A realloc that
 *   succeeds is a free of the old block and an allocation of the new one, also in place. realloc(p, 0) that returns NULL is a
 *   free. Only the outermost hook of a thread counts: what an allocator calls to do its work is not the program's.
 *   Mappings (KIND_MAP, KIND_RESERVE) count whole pages, and never enter the heap's sums. An munmap of a part is a free of the whole
 *   mapping and an allocation, at the old site, of each part that stays.
 *
 * Version rule: MINOR grows when fields or sections are added where a reader of the same MAJOR skips them (reserved fields are 0);
 * MAJOR grows when something moves or changes its meaning. A reader refuses a MAJOR other than its own.
 */
#ifndef HEAPTAP_FORMAT_H
#define HEAPTAP_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define HT_MAGIC "HEAPTAP" /* 8 bytes with its NUL */
#define HT_BYTE_ORDER 0x0a0b0c0du
#define HT_VERSION_MAJOR 4
#define HT_VERSION_MINOR 0
#define HT_SECTION_ALIGN 65536u

/*
 * A counter of 63 bits in two words, exact for a reader at any instant, written by one thread with plain 32-bit stores.
 * `lo` counts modulo 2^32; `hi` counts how often bit 31 of lo changed, that is, value >> 31. Adding less than 2^31 changes bit
 * 31 at most once, and lo is stored before hi, so that bit 31 of lo differs from bit 0 of hi exactly while one carry is
 * not yet in hi, where it may be missing for as long as the writer likes:  value = ((hi + ((lo >> 31) ^ (hi & 1))) << 31) | (lo & 0x7fffffff).   Wraps after 2^63.
 */
struct ht_count {
    uint32_t lo;
    uint32_t hi;
};

enum ht_section_id {
    HT_MODULES,
    HT_PLACES,
    HT_NODES,
    HT_SITES,
    HT_SLOTS,
    HT_CHUNKS,
    HT_CELLS,
    HT_LINES,
    HT_MAPS,
    HT_RING,
    HT_SECTIONS_MAX = 16
};

struct ht_section {
    uint64_t offset;         /* bytes from the start of the file; 0: the section is absent */
    uint64_t capacity_bytes; /* reserved; only what was used is allocated by the kernel */
    uint32_t record_bytes;   /* a CELLS record is one chunk's 64 cells, a RING record is one block */
    uint32_t used;           /* records below this may be published; grows only */
    uint32_t full;           /* 1: a record was refused because the section or the filesystem was full */
    uint32_t reserved;
};

/* Where the process stands. */
enum ht_state {
    HT_STATE_MAKING = 0, /* not published: nothing in the file may be relied on */
    HT_STATE_ON = 1,     /* recording */
    HT_STATE_EXITING = 2 /* the shim's destructor ran (exit, or return from main); still recording */
};

/* Flags of ht_header.flags */
#define HT_FLAG_FORKED 0x1u            /* began with fork: parent_file and fork_epoch are set */
#define HT_FLAG_PREALLOC 0x2u          /* no MADV_POPULATE_WRITE: everything was allocated at start */
#define HT_FLAG_FROZEN 0x4u            /* a seccomp filter is in force: no system call is made any more */
#define HT_FLAG_NO_TABLES 0x8u         /* built without a teacher: stacks have one frame */
#define HT_FLAG_MALLOC_ELSEWHERE 0x10u /* the program's malloc resolves to malloc_owner, not to heaptap */
#define HT_FLAG_ONE_KERNEL 0x20u       /* boot_id is the kernel's own, and no other can reach where the file was made */
#define HT_FLAG_LIMITED 0x40u          /* a limit of addresses or data keeps the tables smaller than the budget would */

/* Offset 0. 4096 bytes. Text fields are NUL-terminated, cut when too long, and may hold any byte. */
struct ht_header {
    char magic[8];       /* written last of the fields before `state` */
    uint32_t byte_order; /* HT_BYTE_ORDER as this machine stores it */
    uint16_t version_major;
    uint16_t version_minor;
    uint32_t header_bytes; /* sizeof(struct ht_header) */
    uint8_t word_bytes;    /* 4 or 8: width of the process's pointers */
    uint8_t page_shift;    /* log2 of the process's page size */
    uint16_t e_machine;    /* ELF machine of the process */
    uint32_t state;        /* enum ht_state; publishes the header */
    uint32_t flags;        /* HT_FLAG_*; FROZEN may come and go after publication, LIMITED may come */

    struct ht_section section[HT_SECTIONS_MAX];

    /* identity */
    uint32_t pid; /* in its own PID namespace */
    uint32_t parent_pid;
    uint32_t uid;           /* effective */
    uint32_t fork_epoch;    /* how many forks with a recording child led here: 0 for a process that began with exec */
    uint64_t pid_namespace; /* inode of /proc/self/ns/pid; 0: unknown */
    uint64_t start_ticks;   /* field 22 of /proc/PID/stat: with pid, names the process for ever; 0: unknown */
    uint64_t start_realtime_ns;  /* when recording began, CLOCK_REALTIME */
    uint64_t start_monotonic_ns; /* the same instant on CLOCK_MONOTONIC_COARSE */
    uint64_t
        fork_events;  /* forked: ring events that the parent had written through all slots when it forked; 0: unknown */
    char boot_id[40]; /* text of /proc/sys/kernel/random/boot_id */
    char shim_version[24];
    char exe[512];          /* /proc/self/exe at start */
    char command[512];      /* /proc/self/cmdline at start, NULs turned into spaces */
    char parent_file[256];  /* HT_FLAG_FORKED: the parent's buffer file */
    char malloc_owner[256]; /* module that defines the malloc in use (HT_FLAG_MALLOC_ELSEWHERE: not after heaptap) */

    /* configuration */
    uint64_t budget_bytes;
    uint32_t interval_bytes; /* 0: exact */
    uint32_t depth_max;      /* frames kept of a stack, where memory is not short */
    uint32_t slot_count;     /* slots, without the shared one */
    uint32_t ring_blocks;
    char only[128]; /* HEAPTAP_ONLY */

    /* control: written by the tool; a thread reads it once in 64 events at least */
    uint32_t ctl_pause; /* 1: allocations are counted as PAUSED and not recorded; frees still are */
    uint32_t ctl_reserved[7];

    /* state of the process that no slot owns */
    struct ht_count peak_bytes;   /* highest in-use heap, within 1 % or 64 KiB for each slot in use */
    struct ht_count modules_lost; /* loaded modules that found no row */
    uint32_t threads_seen;        /* threads that recorded at least once */
    uint32_t module_changes;      /* times the module list was read again */
    uint64_t file_inode;          /* of the file itself, where it was made; a copy has another one. 0: unknown */
    char problem[160]; /* first HEAPTAP_ variable that does not exist or was not understood, as a line to print */
    uint8_t reserved[1520];
};

/* ------------------------------------------------------------------------------------------------------------------ */

#define HT_MODULE_MAIN 0x1u /* the program itself */
#define HT_MODULE_SHIM 0x2u /* libheaptap.so: its frames are never recorded */
#define HT_MODULE_LOADER 0x4u
#define HT_MODULE_VDSO 0x8u
#define HT_MODULE_PATH_CUT 0x10u
#define HT_MODULE_SEGMENTS 4

struct ht_segment {
    uint64_t start; /* address in the process, page-aligned */
    uint64_t end;
    uint64_t file_offset; /* of `start` */
};

/* One loaded object. Its row is used again when the same object (path and build-id) is loaded again, wherever that is. */
struct ht_module {
    uint32_t state;      /* publishes: 0 none, 1 loaded, 2 unloaded (addresses are those of the last time) */
    uint32_t flags;      /* HT_MODULE_* */
    uint64_t bias;       /* address in the process = bias + address in the ELF file */
    uint64_t start, end; /* addresses spanned by its PT_LOAD segments */
    uint32_t loads;      /* how often it was seen loaded at a new address */
    uint32_t build_id_bytes;
    uint8_t build_id[32];   /* NT_GNU_BUILD_ID, longer ones cut */
    uint32_t segment_count; /* executable PT_LOAD segments */
    uint32_t reserved;
    struct ht_segment segment[HT_MODULE_SEGMENTS];
    char path[848];
};

/* Places without a module. */
#define HT_NO_MODULE 0xffffffffu /* code outside any module (generated code): offset is the address */
#define HT_CUT 0xfffffffeu       /* no code: cut here; offset is an enum ht_cut. Only ever a child of the root */

/* Why the outer end of a stack is missing. */
enum ht_cut {
    HT_CUT_DEPTH = 1, /* more frames than are kept */
    HT_CUT_NO_TABLE,  /* the code has no unwind table */
    HT_CUT_REFUSED,   /* its table says something that a rule cannot hold */
    HT_CUT_MEMORY,    /* the next word lies outside readable memory of the stack */
    HT_CUT_BUSY,      /* another thread was teaching, or at the list of modules: the rule was not yet known */
    HT_CUT_FROZEN,    /* the rule was not known and no system call may be made (seccomp) */
    HT_CUT_FULL,      /* the table of rules, places or nodes is full */
    HT_CUTS
};

#define HT_PLACE_EXACT 0x1u /* the address is an interrupted instruction, not a return address */

struct ht_place {
    uint32_t module;    /* publishes: row + 1, or HT_NO_MODULE, or HT_CUT */
    uint32_t flags;     /* HT_PLACE_* */
    uint32_t offset_lo; /* return address - module bias; Thumb and MIPS16 bits kept */
    uint32_t offset_hi;
};

struct ht_node {
    uint32_t parent; /* id, less than this node's */
    uint32_t place;  /* publishes: id, never 0. The root, node 0, has no record */
};

enum ht_kind {
    HT_KIND_HEAP = 1,
    HT_KIND_MAP = 2,     /* mmap of memory that can be touched */
    HT_KIND_RESERVE = 3, /* mmap with PROT_NONE */
    HT_KINDS
};

struct ht_site {
    uint32_t node; /* leaf of the stack; 0: no stack at all */
    uint32_t kind; /* publishes: enum ht_kind */
};

/* ------------------------------------------------------------------------------------------------------------------ */

/*
 * Everything that was not recorded as it should, by cause. X(name, key, text): the key is what the tool prints.
 * Allocations that are lost are in no other counter unless the text says so.
 */
#define HT_LOSS_LIST(X)                                                                                                \
    X(REENTRANT_ALLOC, "reentrant-allocs", "allocations inside a hook of the same thread (signal handlers)")           \
    X(REENTRANT_FREE, "reentrant-frees", "frees inside a hook of the same thread (signal handlers)")                   \
    X(UNKNOWN_FREE, "unknown-frees", "frees of blocks that were never recorded")                                       \
    X(INHERITED_FREE, "inherited-frees", "frees of blocks from before the fork")                                       \
    X(PAUSED, "paused-allocs", "allocations while recording was paused")                                               \
    X(LIVE_FULL, "live-full", "allocations counted but not followed: the live table was full")                         \
    X(LIVE_FULL_BYTES, "live-full-bytes", "bytes of those")                                                            \
    X(LIVE_STALE, "live-stale", "live blocks closed because their address was handed out again (a free was missed)")   \
    X(SITE_FULL, "sites-full", "allocations counted without a stack: tree or site table full")                         \
    X(CELL_FULL, "cells-full", "events not counted: no room for counters")                                             \
    X(MAP_FULL, "maps-full", "mappings not followed: table full or busy")                                              \
    X(NO_THREAD, "no-thread", "events of threads that found no memory for their state")                                \
    X(CUT_DEPTH, "cut-depth", "stacks cut: deeper than the limit")                                                     \
    X(CUT_NO_TABLE, "cut-no-table", "stacks cut: code without unwind table")                                           \
    X(CUT_REFUSED, "cut-refused", "stacks cut: unwind table not usable as a rule")                                     \
    X(CUT_MEMORY, "cut-memory", "stacks cut: stack memory not readable")                                               \
    X(CUT_BUSY, "cut-busy", "stacks cut: another thread was at the unwind tables or the list of libraries")            \
    X(CUT_FROZEN, "cut-frozen", "stacks cut: system calls forbidden by a seccomp filter")                              \
    X(CUT_FULL, "cut-full", "stacks cut: tables full")                                                                 \
    X(GUARD_CLEARED, "guard-cleared", "hooks left by longjmp, exception or cancellation")                              \
    X(OVERWRITTEN, "ring-overwritten", "events overwritten in the ring; totals are not affected")                      \
    X(RING_DROPPED, "ring-dropped", "events that found no ring block; totals are not affected")                        \
    X(SHARED_SLOT, "shared-slot", "events of threads beyond the slots; recorded, in the shared slot")

enum ht_loss {
#define HT_LOSS_ENUM(name, key, text) HT_LOST_##name,
    HT_LOSS_LIST(HT_LOSS_ENUM)
#undef HT_LOSS_ENUM
        HT_LOSSES,
    HT_LOSSES_MAX = 32
};

/* One thread's counters. When its owner has ended, another thread adopts the slot and goes on counting in it. */
struct ht_slot {
    uint32_t owner;         /* thread id; 0: never used */
    uint32_t adoptions;     /* threads that owned it before this one */
    char name[16];          /* of the present or last owner when it took the slot */
    struct ht_count events; /* ring events ever written through this slot, marks included */
    struct ht_count lost[HT_LOSSES_MAX];
    uint32_t reserved[56];
};

#define HT_SITES_PER_CHUNK 64

struct ht_chunk {
    uint32_t group; /* sites group * 64 .. group * 64 + 63 */
    uint32_t slot;  /* publishes: slot index + 1 */
};

struct ht_cell {
    struct ht_count allocs;
    struct ht_count alloc_bytes;
    struct ht_count frees;
    struct ht_count free_bytes;
};

/* ------------------------------------------------------------------------------------------------------------------ */

/*
 * A line holds live blocks of one region, whose addresses agree above HT_REGION_SHIFT. Most blocks are small, and need less to be told of than others: what
 * HT_PACKS says of address, size and site are in packed lines (ht_pack), eight to each, all others in wide ones (ht_line). What a line is it stays.
 *
 * birth: time of allocation in units of 1/16 s since start_monotonic_ns, as 5 bits of exponent e and 11 of mantissa m: e == 0: m; else (2048 + m) << (e - 1);
 * rounded down. Exact to 128 s, then to one part in 2048. Packed, without the lowest three bits: to half a second in those 128 s, then to one part in 256.
 * (No time in 64 bits of nanoseconds has e above 27.)
 */
#define HT_REGION_SHIFT 14

enum ht_line_kind { HT_LINE_WIDE = 0, HT_LINE_PACKED = 1 };

/* ---- Eight to a line. Address = region << HT_REGION_SHIFT | (place >> 13 << 8 | low) * HT_PACK_UNIT; the rest of place is its birth, plus one. ---- */

#define HT_PACK_ENTRIES 8
#define HT_PACK_UNIT 8u
#define HT_PACK_SITE_BITS 20
#define HT_PACK_SIZE_BITS 12
#define HT_PACKS(address, size, site)                                                                                  \
    ((address) % HT_PACK_UNIT == 0 && (size) >> HT_PACK_SIZE_BITS == 0 && (site) >> HT_PACK_SITE_BITS == 0)

/* A word: the size above the site. 0: the entry is empty; no site: it is being filled. */
#define HT_PACK_WORD(size, site) ((uint32_t)(size) << HT_PACK_SITE_BITS | (site))
#define HT_PACK_SITE(word) ((word) & ((1u << HT_PACK_SITE_BITS) - 1))
#define HT_PACK_SIZE(word) ((word) >> HT_PACK_SITE_BITS)
#define HT_PACK_BUSY (1u << HT_PACK_SITE_BITS)
/* 0: the entry is empty, or it is being filled or emptied. */
#define HT_PACK_PLACE(address, birth) ((uint16_t)(((address) << 2 & 0xe000) | (((birth) >> 3) + 1)))
#define HT_PACK_UNITS(place, low) ((uint32_t)(place) >> 13 << 8 | (low))
#define HT_PACK_BIRTH(place) ((uint16_t)(((place)-1) << 3))

struct ht_pack {
    uint32_t region_lo;
    uint16_t region_hi;
    uint16_t kind;                  /* HT_LINE_PACKED */
    uint32_t word[HT_PACK_ENTRIES]; /* publishes the entry */
    uint16_t place[HT_PACK_ENTRIES];
    uint8_t low[HT_PACK_ENTRIES];
};

/* ---- Four to a line. Address = region << HT_REGION_SHIFT | HT_TAG_OFFSET(tag). ---- */

#define HT_LINE_ENTRIES 4

/* Tag of a live entry: state in bits 0-2, address inside the region in bits 3-16, zero above (the interval that a sample was drawn with, later). */
enum ht_tag_state {
    HT_TAG_EMPTY = 0, /* the whole tag is 0 */
    HT_TAG_BUSY = 1,  /* being filled */
    HT_TAG_LIVE = 2,
    HT_TAG_HIGH = 3 /* only in entry 1: size[1] is the upper half of the size of entry 0 (a block of 4 GiB or more) */
};
#define HT_TAG_STATE(tag) ((tag)&7u)
#define HT_TAG_OFFSET(tag) (((tag) >> 3) & 0x3fffu)

struct ht_line {
    uint32_t region_lo;
    uint16_t region_hi;
    uint16_t kind;                 /* HT_LINE_WIDE */
    uint32_t tag[HT_LINE_ENTRIES]; /* publishes the entry */
    uint32_t site[HT_LINE_ENTRIES];
    uint32_t size[HT_LINE_ENTRIES];
    uint16_t birth[HT_LINE_ENTRIES];
};

struct ht_map {
    uint32_t site;  /* publishes; 0: free row */
    uint32_t birth; /* as in a wide line */
    uint32_t start_lo, start_hi;
    uint32_t size_lo, size_hi;
    uint32_t reserved[2];
};

/* ------------------------------------------------------------------------------------------------------------------ */

#define HT_BLOCK_BYTES 4096u
#define HT_BLOCK_EVENTS 254

enum ht_event_type {
    HT_EVENT_NONE = 0,
    HT_EVENT_ALLOC = 1, /* a block or mapping of `size` bytes at the address; its kind is the site's */
    HT_EVENT_FREE = 2,  /* site and size are those of the allocation */
    HT_EVENT_TIME = 3,  /* the clock: site:size (high:low) are ns since start. What follows happened then or later */
    HT_EVENT_HIGH = 4   /* `size` is the upper half of the size of the next event of this slot */
};

#define HT_EVENT_REALLOC 0x1u /* part of a realloc */
#define HT_EVENT_STALE 0x2u   /* a free that heaptap inferred: the address was handed out again */

/* head: type in bits 0-3, flags in 4-7, lap of the ring (claim number / ring_blocks, low 8 bits) in 8-15, address bits 32-47 in 16-31 */
struct ht_event {
    uint32_t addr_lo;
    uint32_t size;
    uint32_t site;
    uint32_t head; /* publishes */
};
#define HT_EVENT_TYPE(head) ((head)&0xfu)
#define HT_EVENT_FLAGS(head) (((head) >> 4) & 0xfu)
#define HT_EVENT_LAP(head) (((head) >> 8) & 0xffu)
#define HT_EVENT_ADDR_HI(head) ((head) >> 16)

/*
 * A run of events of one slot, in their order. Blocks are claimed in the order of `seq`; the block of claim s is
 * RING[s % ring_blocks]. A block that its slot is still filling is not overwritten: the claim passes over it (`seq` then has a gap of
 * blocks, never of events). Events of one slot are numbered from 0; `first` is the number of this block's first, so what
 * was overwritten is known exactly. The order between slots is known only as finely as TIME events tell.
 * An event whose lap is not its block's is of the lap before, or was written too late, and is to be ignored. In the shared slot's blocks events of several threads are mixed.
 */
struct ht_block {
    uint32_t seq; /* publishes: lower half of the claim number + 1; never 0: such a claim is passed over */
    uint32_t slot;
    uint32_t first_lo, first_hi; /* 64-bit number of the first event in its slot; 0 for the shared slot */
    uint32_t time_lo, time_hi;   /* ns since start when the block was claimed */
    uint32_t open;               /* not 0: the slot is still filling it */
    uint32_t seq_hi;             /* upper half of the claim number + 1 */
    struct ht_event event[HT_BLOCK_EVENTS];
};

/* ------------------------------------------------------------------------------------------------------------------ */

#define HT_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), "size of struct " #type)
#define HT_AT(type, field, at) _Static_assert(offsetof(struct type, field) == (at), "offset of " #type "." #field)

HT_SIZE(ht_count, 8);
HT_SIZE(ht_section, 32);
HT_SIZE(ht_header, 4096);
HT_AT(ht_header, byte_order, 8);
HT_AT(ht_header, header_bytes, 16);
HT_AT(ht_header, e_machine, 22);
HT_AT(ht_header, state, 24);
HT_AT(ht_header, section, 32);
HT_AT(ht_header, pid, 544);
HT_AT(ht_header, pid_namespace, 560);
HT_AT(ht_header, fork_events, 592);
HT_AT(ht_header, boot_id, 600);
HT_AT(ht_header, exe, 664);
HT_AT(ht_header, parent_file, 1688);
HT_AT(ht_header, budget_bytes, 2200);
HT_AT(ht_header, only, 2224);
HT_AT(ht_header, ctl_pause, 2352);
HT_AT(ht_header, peak_bytes, 2384);
HT_AT(ht_header, threads_seen, 2400);
HT_AT(ht_header, problem, 2416);
HT_SIZE(ht_segment, 24);
HT_SIZE(ht_module, 1024);
HT_AT(ht_module, build_id, 40);
HT_AT(ht_module, segment, 80);
HT_AT(ht_module, path, 176);
HT_SIZE(ht_place, 16);
HT_SIZE(ht_node, 8);
HT_SIZE(ht_site, 8);
HT_SIZE(ht_slot, 512);
HT_AT(ht_slot, events, 24);
HT_AT(ht_slot, lost, 32);
HT_SIZE(ht_chunk, 8);
HT_SIZE(ht_cell, 32);
HT_SIZE(ht_pack, 64);
HT_AT(ht_pack, word, 8);
HT_AT(ht_pack, place, 40);
HT_AT(ht_pack, low, 56);
HT_SIZE(ht_line, 64);
HT_AT(ht_line, tag, 8);
HT_AT(ht_line, birth, 56);
HT_SIZE(ht_map, 32);
HT_SIZE(ht_event, 16);
HT_SIZE(ht_block, HT_BLOCK_BYTES);
HT_AT(ht_block, event, 32);
_Static_assert(HT_LOSSES <= HT_LOSSES_MAX, "too many losses");

#endif
