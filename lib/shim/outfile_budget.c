/* How much memory heaptap may use: a small part of what the machine, the cgroup and the filesystem have. */
#include "outfile.h"

#include "lines.h"
#include "sys.h"
#include <common/text.h>

#define BUDGET_LEAST (512ull << 10)
#define BUDGET_MOST (256ull << 20)
#define BUDGET_PART 64
#define DATA_PART 16u    /* of which the file is none, but an eighth of it as much in tables */
#define CGROUP_LEVELS 32 /* looked at, from the process's own one upwards */

#define CGROUP_V2 "/sys/fs/cgroup"
#define CGROUP_V1 "/sys/fs/cgroup/memory"

/* A file that holds one number; "max", or no such file: no limit. */
static uint64_t read_limit(const char *path)
{
    static char number[32];
    uint64_t limit;
    long length = sys_read_file(path, number, sizeof number - 1);
    number[MAX(length, 0)] = 0;
    return text_read_decimal(number, &limit) == number ? UINT64_MAX : limit;
}

/*
 * The least limit from the group up to where the hierarchy is mounted. In a container the path may be one of the
 * host: what is not there is passed over.
 */
static uint64_t group_limit(const char *mount, const char *group, const char *file)
{
    static char path[1024];
    struct text text = TEXT(path);
    uint64_t least = UINT64_MAX;
    text_append(&text, mount);
    size_t root = text.length;
    text_append(&text, group);
    for (unsigned level = 0; level < CGROUP_LEVELS && !text.cut; level++) {
        while (text.length > root && path[text.length - 1] == '/')
            text.length--;
        size_t length = text.length;
        text_append(&text, file);
        uint64_t limit = read_limit(path);
        least = MIN(least, limit);
        if (length == root)
            break;
        while (length > root && path[length - 1] != '/')
            length--;
        text.length = length;
    }
    return least;
}

/* True if `name` is one of the controllers in "a,b,c:". */
static bool names_controller(const char *list, const char *name)
{
    while (*list && *list != ':') {
        const char *rest = list;
        if (text_starts(rest, name) && (rest[text_length(name)] == ',' || rest[text_length(name)] == ':'))
            return true;
        while (*list && *list != ':' && *list++ != ',') {
        }
    }
    return false;
}

/* The filesystem is taken to be mounted where everybody mounts it. */
static uint64_t cgroup_limit(void)
{
    static struct lines lines;
    uint64_t least = UINT64_MAX;
    const char *line;
    if (!lines_open(&lines, "/proc/self/cgroup", '\n'))
        return least;
    while ((line = lines_next(&lines))) { /* NUMBER:CONTROLLERS:GROUP; number 0 and no controllers: version 2 */
        uint64_t number;
        const char *controllers = text_read_decimal(line, &number);
        const char *group;
        if (*controllers++ != ':')
            continue;
        for (group = controllers; *group && *group != ':'; group++) {
        }
        if (!*group)
            continue;
        uint64_t limit = UINT64_MAX;
        if (group == controllers)
            limit = group_limit(CGROUP_V2, group + 1, "/memory.max");
        else if (names_controller(controllers, "memory"))
            limit = group_limit(CGROUP_V1, group + 1, "/memory.limit_in_bytes");
        least = MIN(least, limit);
    }
    lines_close(&lines);
    return least;
}

/* Of the limits of addresses and of data. */
static uint64_t part_of_limits(void)
{
    uint64_t address_part = outfile_part_of(sys_address_limit()), data_part = sys_data_limit() / DATA_PART;
    return MIN(address_part, data_part);
}

uint64_t outfile_budget(const struct config *config, uint64_t free_bytes)
{
    uint64_t budget = config->budget_bytes;
    if (!budget) {
        uint64_t ram = sys_ram(), group = cgroup_limit();
        uint64_t least = MIN(MIN(ram ? ram : UINT64_MAX, group), free_bytes);
        budget = MIN(MAX(least / BUDGET_PART, BUDGET_LEAST), BUDGET_MOST);
    }
    uint64_t limits_part = part_of_limits(), file_part = sys_file_limit() / 2;
    return MIN(MIN(budget, free_bytes / 2), MIN(limits_part, file_part));
}

bool outfile_is_limited(uint64_t budget)
{
    return budget >= part_of_limits();
}
