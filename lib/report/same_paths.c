#include "same_paths.h"

#include <stdlib.h>
#include <string.h>

/* NULL: no memory. */
static char *path_text(const struct same_paths *look, const struct profile_site *site)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return NULL;
    sheet_path(&(struct sheet){.out = out, .width = look->sheet->width}, look->indent, look->lines_max, look->names,
               site);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* Of equals the one that was there first stays first. */
static void sort_sites(struct top_site *sites, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct top_site moved = sites[i];
        uint32_t at = i;
        for (; at && sites[at - 1].bytes < moved.bytes; at--)
            sites[at] = sites[at - 1];
        sites[at] = moved;
    }
}

bool same_paths_merge(const struct same_paths *look, struct top *top, struct top_site *sites, uint32_t most,
                      struct err *err)
{
    uint32_t count = 0, looked = 0;
    char **texts = calloc((size_t)top->count + 1, sizeof *texts); /* of those that are kept */
    for (; texts && looked < top->count; looked++) {
        char *text = path_text(look, sites[looked].site);
        uint32_t same = 0;
        if (!text)
            break;
        while (same < count && strcmp(texts[same], text) != 0)
            same++;
        if (same == count) {
            texts[count] = text;
            sites[count++] = sites[looked];
            continue;
        }
        sites[same].bytes += sites[looked].bytes;
        sites[same].blocks += sites[looked].blocks;
        sites[same].sites += sites[looked].sites;
        free(text);
    }
    bool done = texts && looked == top->count;
    for (uint32_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
    sort_sites(sites, count);
    top->count = MIN(count, most);
    return done ? true : err_set(err, "no memory for the paths of %u sites", looked);
}
