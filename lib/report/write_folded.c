#include "write.h"

#include <stdlib.h>
#include <string.h>

struct step {
    uint32_t node;
    uint32_t next; /* child to visit next, index in tree->child */
    size_t end;    /* of the frame's name in text */
};

/* The way from the root to the node that is being written, with its text: names are made once a node, not once a line. */
struct path {
    struct step *steps; /* by depth */
    uint32_t depth;
    char *text;
    size_t capacity;
};

/* Appends the node's name behind that of the node it is below. False: no memory. */
static bool push_node(struct path *path, const struct names *names, const struct tree *tree, uint32_t node)
{
    const char *name = names_of_frame(names, tree->nodes[node].frame);
    size_t at = path->depth ? path->steps[path->depth].end : 0, bytes = strlen(name);
    if (path->capacity - at < bytes + 2) {
        size_t capacity = path->capacity + path->capacity / 2 + bytes + NAMES_TEXT_MAX;
        char *text = realloc(path->text, capacity);
        if (!text)
            return false;
        path->text = text;
        path->capacity = capacity;
    }
    if (path->depth)
        path->text[at++] = ';';
    memcpy(path->text + at, name, bytes + 1);
    for (char *separator = path->text + at; (separator = strchr(separator, ';'));)
        *separator = ':';
    path->steps[++path->depth] = (struct step){node, tree->first[node], at + bytes};
    return true;
}

/* Depth first, children in the order of their names. */
static bool write_tree(FILE *out, const struct names *names, const struct tree *tree, struct path *path)
{
    path->steps[0] = (struct step){.next = tree->first[0]};
    while (!ferror(out)) {
        struct step *step = &path->steps[path->depth];
        if (step->next == tree->first[step->node + 1]) {
            if (path->depth-- == 0)
                break;
            continue;
        }
        uint32_t child = tree->child[step->next++];
        if (!push_node(path, names, tree, child))
            return false;
        uint64_t value = tree_value(tree, child);
        if (!value)
            continue;
        fwrite(path->text, 1, path->steps[path->depth].end, out);
        fprintf(out, " %llu\n", (unsigned long long)value);
    }
    return true;
}

bool write_folded(FILE *out, struct names *names, enum profile_view view, struct err *err)
{
    struct tree tree;
    struct path path = {0};
    bool done = tree_build(&tree, names, view, err);
    if (done) {
        path.steps = calloc((size_t)tree.depth + 1, sizeof *path.steps);
        if (!path.steps || !write_tree(out, names, &tree, &path))
            done = err_set(err, "no memory for the text of a stack");
    }
    free(path.steps);
    free(path.text);
    tree_free(&tree);
    return done;
}
