#include "tool.h"

#include <report/events.h>
#include <report/profile.h>

#include <stdlib.h>

const char help_events[] =
    "usage: heaptap events [-n N] FILE|PID\n"
    "\n"
    "Prints the last events, one a line: number in its slot, slot, ns since start, type, address, size, site, flags.\n"
    "Where events were overwritten it says how many: gap slot SLOT lost N. The last line sums up.\n"
    "\n"
    "  -n, --last N  only the last N lines\n"
    "  -h, --help    this text\n";

#define ULL(value) ((unsigned long long)(value))

static void print_event(const struct events_item *item)
{
    static const char *const types[] = {"none", "alloc", "free", "time"};
    if (item->number == EVENTS_NO_NUMBER)
        printf("-");
    else
        printf("%llu", ULL(item->number));
    printf(" %u %llu ", item->slot, ULL(item->time_ns));
    if (item->type == HT_EVENT_ALLOC || item->type == HT_EVENT_FREE)
        printf("%s 0x%llx %llu %u %s%s%s\n", types[item->type], ULL(item->address), ULL(item->size), item->site,
               item->flags & HT_EVENT_REALLOC ? "realloc" : "", (item->flags & 3) == 3 ? "," : "",
               item->flags & HT_EVENT_STALE ? "stale"
               : item->flags                ? ""
                                            : "-");
    else
        printf("%s - - - -\n", item->type < ARRAY_LEN(types) ? types[item->type] : "unknown");
}

static void print_item(enum events_item_type type, const struct events_item *item)
{
    if (type == EVENTS_GAP)
        printf("gap slot %u lost %llu\n", item->slot, ULL(item->lost));
    else
        print_event(item);
}

static void print_summary(const struct reader *reader, const struct events *events)
{
    uint64_t written = 0, overwritten = 0, dropped = 0;
    for (uint32_t i = reader_next(reader, HT_SLOTS, 0); i < reader_count(reader, HT_SLOTS);
         i = reader_next(reader, HT_SLOTS, i + 1)) {
        const struct ht_slot *slot = reader_record(reader, HT_SLOTS, i);
        written += reader_value(&slot->events);
        overwritten += reader_value(&slot->lost[HT_LOST_OVERWRITTEN]);
        dropped += reader_value(&slot->lost[HT_LOST_RING_DROPPED]);
    }
    printf("events written %llu present %llu overwritten %llu gaps %llu dropped %llu\n", ULL(written),
           ULL(events->present), ULL(overwritten), ULL(events->gaps), ULL(dropped));
}

/* Goes through the ring twice if only the end is wanted: first to count. */
static bool print_events(const struct reader *reader, uint64_t last, struct err *err)
{
    struct events events;
    struct events_item item;
    enum events_item_type type;
    uint64_t lines = 0, skip = 0;
    if (last != UINT64_MAX) {
        if (!events_open(&events, reader, err))
            return false;
        while (events_next(&events, &item) != EVENTS_END)
            lines++;
        events_close(&events);
        skip = lines > last ? lines - last : 0;
    }
    if (!events_open(&events, reader, err))
        return false;
    while ((type = events_next(&events, &item)) != EVENTS_END)
        if (skip)
            skip--;
        else
            print_item(type, &item);
    print_summary(reader, &events);
    events_close(&events);
    return true;
}

int cmd_events(const struct tool_verb *verb, int argc, char **argv)
{
    static const struct option longs[] = {
        {"last", required_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct reader reader;
    struct err err;
    uint64_t last = UINT64_MAX;
    char *end;
    for (int found; (found = getopt_long(argc, argv, ":n:h", longs, NULL)) != -1;) {
        switch (found) {
        case 'n':
            last = strtoull(optarg, &end, 10);
            if (*end || optarg[0] < '0' || optarg[0] > '9')
                return tool_usage(verb, "-n needs a number, not %s", optarg);
            break;
        case 'h': return tool_help(verb);
        default: return tool_bad_option(verb, longs, found, argv);
        }
    }
    if (optind + 1 != argc)
        return tool_usage(verb, "needs one file or PID");
    if (!tool_open(&reader, argv[optind], &err))
        return tool_fail(&err);
    bool done = print_events(&reader, last, &err);
    reader_close(&reader);
    return done ? tool_finish(stdout, "standard output") : tool_fail(&err);
}
