#include "write.h"

#include <stdlib.h>
#include <string.h>

/* The way from the root to the node that is being written, with its text: names are made once a node, not once a line. */
struct path {
    uint32_t next[PROFILE_DEPTH_MAX + 2]; /* child to visit next, index in tree->child */
    uint32_t node[PROFILE_DEPTH_MAX + 2];
    size_t end[PROFILE_DEPTH_MAX + 2]; /* of the frame's name in text */
    uint32_t depth;
    char *text;
    size_t capacity;
};

/* Appends the node's name behind that of the node it is below. False: no memory. */
static bool push_node(struct path *path, const struct names *names, const struct tree *tree, uint32_t node)
{
    size_t at = path->depth ? path->end[path->depth] : 0;
    if (path->capacity - at < NAMES_TEXT_MAX + 1) {
        size_t capacity = path->capacity + path->capacity / 2 + (size_t)2 * NAMES_TEXT_MAX;
        char *text = realloc(path->text, capacity);
        if (!text)
            return false;
        path->text = text;
        path->capacity = capacity;
    }
    if (path->depth)
        path->text[at++] = ';';
    char *name = path->text + at;
    names_text(names, tree->nodes[node].place, name, NAMES_TEXT_MAX);
    for (char *separator = name; (separator = strchr(separator, ';'));)
        *separator = ':';
    path->depth++;
    path->node[path->depth] = node;
    path->next[path->depth] = tree->first[node];
    path->end[path->depth] = at + strlen(name);
    return true;
}

/* Depth first, children in the order of their names. */
static bool write_tree(FILE *out, const struct names *names, const struct tree *tree, struct path *path)
{
    path->next[0] = tree->first[0];
    while (!ferror(out)) {
        uint32_t node = path->node[path->depth];
        if (path->next[path->depth] == tree->first[node + 1]) {
            if (path->depth-- == 0)
                break;
            continue;
        }
        uint32_t child = tree->child[path->next[path->depth]++];
        if (!push_node(path, names, tree, child))
            return false;
        uint64_t value = tree_value(tree, child);
        if (!value)
            continue;
        fwrite(path->text, 1, path->end[path->depth], out);
        fprintf(out, " %llu\n", (unsigned long long)value);
    }
    return true;
}

bool write_folded(FILE *out, struct names *names, enum profile_view view, struct err *err)
{
    struct tree tree;
    struct path *path = calloc(1, sizeof *path);
    bool done = tree_build(&tree, names, view, err);
    if (done && (!path || !write_tree(out, names, &tree, path)))
        done = err_set(err, "no memory for the text of a stack");
    if (path)
        free(path->text);
    free(path);
    tree_free(&tree);
    return done;
}
