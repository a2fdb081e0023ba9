#include "human.h"

#include <stdio.h>
#include <string.h>

const char *human_bytes(char to[HUMAN_MAX], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; unit + 1 < ARRAY_LEN(units) && value >= (unit ? 1023.5 : 1024.0); unit++)
        value /= 1024;
    snprintf(to, HUMAN_MAX, "%.*f %s", unit && value < 99.95 ? 1 : 0, value, units[unit]);
    return to;
}

const char *human_count(char to[HUMAN_MAX], uint64_t count)
{
    char digits[HUMAN_MAX];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)count), at = 0;
    for (size_t i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            to[at++] = ',';
        to[at++] = digits[i];
    }
    to[at] = 0;
    return to;
}

const char *human_share(char to[HUMAN_MAX], uint64_t part, uint64_t whole)
{
    double percent = whole ? 100.0 * (double)part / (double)whole : 0.0;
    if (part && percent < 0.05)
        snprintf(to, HUMAN_MAX, "<0.1 %%");
    else
        snprintf(to, HUMAN_MAX, "%.1f %%", percent);
    return to;
}
