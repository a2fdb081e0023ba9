#include "write.h"

#include <stdlib.h>

/* The way from the root to the node that is being written. */
struct path {
    uint32_t node[PROFILE_DEPTH_MAX + 2];
    uint32_t next[PROFILE_DEPTH_MAX + 2]; /* child to visit next, index in tree->child */
    uint32_t depth;
};

static void write_name(FILE *out, const struct names *names, uint32_t place)
{
    char text[NAMES_TEXT_MAX];
    names_text(names, place, text, sizeof text);
    for (const char *at = text; *at; at++)
        putc_unlocked(*at == ';' ? ':' : *at, out);
}

static void write_line(FILE *out, const struct names *names, const struct tree *tree, const struct path *path,
                       uint64_t value)
{
    for (uint32_t i = 1; i <= path->depth; i++) {
        if (i > 1)
            putc_unlocked(';', out);
        write_name(out, names, tree->nodes[path->node[i]].place);
    }
    fprintf(out, " %llu\n", (unsigned long long)value);
}

/* Depth first, children in the order of their names. */
static void write_tree(FILE *out, const struct names *names, const struct tree *tree, struct path *path)
{
    path->depth = 0;
    path->node[0] = 0;
    path->next[0] = tree->first[0];
    for (;;) {
        uint32_t node = path->node[path->depth];
        if (path->next[path->depth] == tree->first[node + 1]) {
            if (path->depth-- == 0)
                return;
            continue;
        }
        uint32_t child = tree->child[path->next[path->depth]++];
        path->node[++path->depth] = child;
        path->next[path->depth] = tree->first[child];
        uint64_t value = tree_value(tree, child);
        if (value)
            write_line(out, names, tree, path, value);
        if (ferror(out))
            return;
    }
}

bool write_folded(FILE *out, struct names *names, enum profile_view view, struct err *err)
{
    struct tree tree;
    struct path *path = malloc(sizeof *path);
    bool done = tree_build(&tree, names, view, err);
    if (done && path)
        write_tree(out, names, &tree, path);
    else if (done)
        done = err_set(err, "no memory for a path");
    free(path);
    tree_free(&tree);
    return done;
}
