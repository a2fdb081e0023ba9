/*
 * What a buffer says, as plain arrays in host order that every writer can trust: each index is in range, parents come before children, nothing refers to
 * what is not there. Independent of the reader once made. References that were damaged are replaced (below) and counted in `damaged`.
 *
 *   sites --> nodes (parent < child, node 0 is the root) --> places --> modules
 *
 * In-use figures come from the live table (LINES, MAPS), allocations and frees from the counters (CELLS).
 */
#ifndef HEAPTAP_PROFILE_H
#define HEAPTAP_PROFILE_H

#include "reader.h"

#define PROFILE_DEPTH_MAX                                                                                              \
    16384u /* frames from the root; a deeper chain is damaged (the shim stops at depth_max, which is less) */

/* profile_place.module when it is not a row of modules */
#define PROFILE_NO_MODULE 0xffffffffu /* generated code: offset is the address */
#define PROFILE_CUT 0xfffffffeu       /* the stack was cut: offset is an enum ht_cut. Only directly below the root */
#define PROFILE_DAMAGED 0xfffffffdu   /* the file names no such place or module; offset is kept if there is one */
#define PROFILE_PROCESS 0xfffffffcu   /* merged (merge.h): offset is the index of the process whose stacks begin here */
#define PROFILE_NO_STACK 0xfffffffbu  /* merged: a stack of that process that was not recorded */

struct profile_place {
    uint64_t offset; /* return address - bias of the module; look up offset - 1 unless HT_PLACE_EXACT is set */
    uint32_t module; /* row, or one of the above */
    uint32_t flags;  /* HT_PLACE_* */
};

struct profile_node {
    uint32_t parent; /* 0: the root */
    uint32_t place;
};

struct profile_totals {
    uint64_t allocs, alloc_bytes;
    uint64_t frees, free_bytes;
    uint64_t live, live_bytes;
};

/* A site that anything happened at. */
struct profile_site {
    uint32_t id;
    uint32_t node;    /* leaf of the stack; 0: no stack was recorded */
    uint32_t kind;    /* enum ht_kind */
    uint32_t process; /* merged: index of the process; else 0 */
    struct profile_totals total;
};

struct profile_slot {
    uint32_t owner; /* 0: never used */
    uint32_t adoptions;
    char name[16];
    bool shared; /* the slot of all threads beyond the others */
    uint64_t events;
    uint64_t lost[HT_LOSSES_MAX];
};

/* A process of a merged profile; after an exec another one with the same PID. Or all processes of a program that are not told apart. All text is safe to show. */
#define PROFILE_PROBLEM_MAX 640
struct profile_process {
    uint32_t pid; /* 0: it stands for `count` of them */
    uint32_t count;
    char name[128];                    /* of its program; no two have the same pid and name */
    char problem[PROFILE_PROBLEM_MAX]; /* what coverage.h says of it, or empty */
    struct ht_header header;
};

struct profile {
    struct ht_header header;
    enum reader_process process;
    uint64_t events_during; /* events while the file was read: figures of different tables may differ by as many */
    uint64_t left_out;      /* see reader.h */
    uint64_t modules_lost;  /* loaded modules that found no row */

    uint32_t module_count;
    struct ht_module
        *modules; /* index = row; state 0: no such module. Text terminated; build_id_bytes <= 32, segment_count <= 4 */
    uint32_t place_count;
    struct profile_place *places; /* index = id; 0 is PROFILE_DAMAGED */
    uint32_t node_count;
    struct profile_node *nodes; /* index = id; 0 is the root. Unpublished ids hang below the root with place 0 */
    uint32_t site_count;
    struct profile_site *sites; /* in order of id, only those with any total other than 0 */
    uint32_t slot_count;
    struct profile_slot *slots; /* index = slot */
    uint32_t main_module;       /* merged: row + 1 of the program that it is about; 0: the first that is one */
    uint32_t process_count;     /* 0: a profile of the one process that the header tells of */
    uint32_t program_count;     /* that were started in these processes: sum of their counts */
    uint32_t pid_count;         /* different processes of these: what comes after an exec is the same */
    struct profile_process *processes;

    uint64_t lost[HT_LOSSES_MAX];          /* by cause, over all slots */
    struct profile_totals total[HT_KINDS]; /* by kind; [0]: of sites whose kind is unknown, which are in no site */
    uint64_t events;                       /* ring events ever written, over all slots */
    uint64_t damaged;                      /* references that were replaced */
};

/* Its PID, or "others" where it stands for several. */
void profile_process_pid(const struct profile_process *process, char to[16]);

/* Builds a profile. False: no memory. profile_free may be called in either case. */
bool profile_load(struct profile *profile, const struct reader *reader, struct err *err);
void profile_free(struct profile *profile);

/* HT_LOSS_LIST by index: the key that the tool prints, and the text. */
extern const char *const profile_loss_key[HT_LOSSES];
extern const char *const profile_loss_text[HT_LOSSES];
/* "heap", "map", "reserve"; "unknown" otherwise. */
const char *profile_kind_name(uint32_t kind);
/* Words for an enum ht_cut: "depth", "no-table", ...; "unknown" otherwise. */
const char *profile_cut_name(uint64_t cut);

/* What a view sums. */
enum profile_view {
    PROFILE_INUSE, /* heap bytes that live */
    PROFILE_ALLOC, /* heap bytes ever allocated */
    PROFILE_EXIT,  /* heap bytes that lived when the process ended: only for a process that has */
    PROFILE_MMAP,  /* mappings that live; PROT_NONE reservations are not in it */
    PROFILE_VIEWS
};
extern const char *const profile_view_name[PROFILE_VIEWS];
/* By its name; -1: there is none. */
int profile_view_by_name(const char *name);
/* Go's sample types, in Go's order. */
enum profile_value {
    PROFILE_ALLOC_OBJECTS,
    PROFILE_ALLOC_SPACE,
    PROFILE_INUSE_OBJECTS,
    PROFILE_INUSE_SPACE,
    PROFILE_VALUES
};
extern const char *const profile_value_name[PROFILE_VALUES];
INLINE bool profile_value_is_bytes(enum profile_value value)
{
    return value == PROFILE_ALLOC_SPACE || value == PROFILE_INUSE_SPACE;
}
/* Of a site. Readers rely on it that nothing lives that was not allocated; tables that were read one after another may say otherwise. */
void profile_values(const struct profile_site *site, uint64_t values[PROFILE_VALUES]);
/* Bytes of a site in a view; 0 if its kind is not in it. */
uint64_t profile_view_bytes(enum profile_view view, const struct profile_site *site);

#endif
