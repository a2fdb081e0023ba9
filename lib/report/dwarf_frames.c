#include "dwarf_frames.h"

#include "demangle.h"

#include <common/text.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_SCOPE 0xffffffffu
#define NO_UNIT 0xffffffffu
#define DEPTH_MAX 512 /* of nested entries */

struct unit {
    Dwarf_Die die;         /* has the line table */
    Dwarf_Die inner;       /* of a split unit; else the same */
    Dwarf_Files *files;    /* NULL: not read */
    const char *directory; /* that relative names of files start from; NULL: not read */
};

struct range {
    uint64_t start, end;
    uint64_t reach; /* highest end of this one and all before it */
    uint32_t unit;
};

/* A function, or one that was inlined into `parent`. */
struct scope {
    Dwarf_Die die;
    uint32_t parent;
};

struct frames {
    Dwarf_Addr bias;
    const struct elf_symbols *symbols;
    struct names *names;
    struct unit *units;
    uint32_t unit_count, unit_capacity;
    struct range *ranges;
    uint32_t range_count, range_capacity;
    struct scope *scopes; /* of the unit at hand */
    uint32_t scope_count, scope_capacity;
};

/* Room for one more. `array`: where the pointer to the array is. */
static bool grow(void *array, uint32_t count, uint32_t *capacity, size_t bytes)
{
    if (count < *capacity)
        return true;
    void *larger;
    memcpy(&larger, array, sizeof larger);
    larger = reallocarray(larger, *capacity ? (size_t)*capacity * 2 : 256, bytes);
    if (!larger)
        return false;
    memcpy(array, &larger, sizeof larger);
    *capacity = *capacity ? *capacity * 2 : 256;
    return true;
}

/* ---- Which unit has which addresses ---- */

static bool add_ranges(struct frames *frames, Dwarf_Die *die, uint32_t unit)
{
    Dwarf_Addr base, start, end;
    for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &start, &end)) > 0;) {
        if (start == 0 || end <= start) /* at 0 lies what the linker threw away */
            continue;
        if (!grow(&frames->ranges, frames->range_count, &frames->range_capacity, sizeof *frames->ranges))
            return false;
        frames->ranges[frames->range_count++] = (struct range){.start = start, .end = end, .unit = unit};
    }
    return true;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static void tick(const struct dwarf_progress *progress)
{
    if (progress->tick)
        progress->tick(progress->arg, progress->done);
}

static bool list_units(struct frames *frames, Dwarf *dwarf, const struct dwarf_progress *progress)
{
    Dwarf_CU *cu = NULL;
    Dwarf_Die die, inner;
    uint8_t type;
    uint64_t reach = 0;
    while (dwarf_get_units(dwarf, cu, &cu, NULL, &type, &die, &inner) == 0) {
        if (type != DW_UT_compile && type != DW_UT_skeleton)
            continue;
        if (!grow(&frames->units, frames->unit_count, &frames->unit_capacity, sizeof *frames->units))
            return false;
        bool split = type == DW_UT_skeleton && dwarf_tag(&inner) == DW_TAG_compile_unit;
        frames->units[frames->unit_count] = (struct unit){.die = die, .inner = split ? inner : die};
        if (!add_ranges(frames, &die, frames->unit_count))
            return false;
        frames->unit_count++;
        tick(progress); /* of a gigabyte this takes a while */
    }
    if (frames->range_count)
        qsort(frames->ranges, frames->range_count, sizeof *frames->ranges, compare_ranges);
    for (uint32_t i = 0; i < frames->range_count; i++) {
        reach = MAX(reach, frames->ranges[i].end);
        frames->ranges[i].reach = reach;
    }
    return true;
}

static uint32_t find_unit(const struct frames *frames, uint64_t address)
{
    uint32_t low = 0, high = frames->range_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (frames->ranges[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    while (low-- && frames->ranges[low].reach > address)
        if (frames->ranges[low].end > address)
            return frames->ranges[low].unit;
    return NO_UNIT;
}

static int compare_queries(const void *a, const void *b)
{
    const struct dwarf_query *x = a, *y = b;
    if (x->unit != y->unit)
        return x->unit < y->unit ? -1 : 1;
    return (x->address > y->address) - (x->address < y->address);
}

/* ---- The scopes of a unit's addresses ---- */

/* A run of queries [first, end), sorted, and the scope around them. */
struct span {
    uint32_t first, end;
    uint32_t scope;
};

static uint32_t lower_bound(const struct dwarf_query *queries, const struct span *span, uint64_t address)
{
    uint32_t low = span->first, high = span->end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (queries[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * Narrows the span to the queries inside an entry; empty: there are none. With `make`, those that are directly in the span's scope move into a new
 * one, which is the span's from then on. False: no memory.
 */
static bool narrow(struct frames *frames, struct dwarf_query *queries, Dwarf_Die *die, bool make, struct span *span)
{
    Dwarf_Addr base, start, end;
    struct span hull = {span->end, span->first, span->scope};
    for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &start, &end)) > 0;) {
        if (start == 0 || end <= start)
            continue;
        uint32_t first = lower_bound(queries, span, start + frames->bias);
        uint32_t last = lower_bound(queries, span, end + frames->bias);
        if (first >= last)
            continue;
        hull.first = MIN(hull.first, first);
        hull.end = MAX(hull.end, last);
        if (make && hull.scope == span->scope) {
            if (!grow(&frames->scopes, frames->scope_count, &frames->scope_capacity, sizeof *frames->scopes))
                return false;
            hull.scope = frames->scope_count;
            frames->scopes[frames->scope_count++] = (struct scope){*die, span->scope};
        }
        for (uint32_t i = first; make && i < last; i++)
            if (queries[i].scope == span->scope)
                queries[i].scope = hull.scope;
    }
    *span = hull;
    return true;
}

/* Looks at one entry. Leaves in *span what of it may lie further inside; empty: nothing. False: no memory. */
static bool enter(struct frames *frames, struct dwarf_query *queries, Dwarf_Die *die, bool deep, struct span *span)
{
    struct span outside = *span;
    switch (dwarf_tag(die)) {
    case DW_TAG_subprogram:
    case DW_TAG_inlined_subroutine:
        if (!narrow(frames, queries, die, true, span))
            return false;
        if (span->first >= span->end && deep && outside.scope == NO_SCOPE)
            *span = outside; /* functions of local classes, nested functions */
        return true;
    case DW_TAG_lexical_block:
    case DW_TAG_try_block:
    case DW_TAG_catch_block:
        if (!dwarf_hasattr(die, DW_AT_low_pc) && !dwarf_hasattr(die, DW_AT_ranges))
            return true;
        return narrow(frames, queries, die, false, span);
    case DW_TAG_namespace:
    case DW_TAG_module: return true;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
        if (deep)
            return true;
        break;
    default: break;
    }
    span->end = span->first;
    return true;
}

/* Walks the entries of a unit. The stack is explicit: how deep it goes is for the file to say. */
static bool walk(struct frames *frames, Dwarf_Die *root, struct dwarf_query *queries, uint32_t count, bool deep)
{
    struct {
        Dwarf_Die die;
        struct span span; /* around it */
    } stack[DEPTH_MAX];
    uint32_t level = 0;
    stack[0].span = (struct span){0, count, NO_SCOPE};
    if (dwarf_child(root, &stack[0].die) != 0)
        return true;
    for (;;) {
        struct span inside = stack[level].span;
        if (!enter(frames, queries, &stack[level].die, deep, &inside))
            return false;
        if (inside.first < inside.end && level + 1 < DEPTH_MAX &&
            dwarf_child(&stack[level].die, &stack[level + 1].die) == 0) {
            stack[++level].span = inside;
            continue;
        }
        while (dwarf_siblingof(&stack[level].die, &stack[level].die) != 0)
            if (level-- == 0)
                return true;
    }
}

/* ---- Frames ---- */

static const char *text_attribute(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    return dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
}

static const char *linkage_name(Dwarf_Die *die)
{
    const char *name = text_attribute(die, DW_AT_linkage_name);
    if (!name)
        name = text_attribute(die, DW_AT_MIPS_linkage_name);
    return name ? name : dwarf_diename(die);
}

/*
 * All that gcc calls a lambda is operator(), and its class nothing: then it is named by where it was written, or all of a program would be one function. The
 * class is what the function's hidden argument points to.
 */
static bool name_lambda(Dwarf_Die *function, const char *name, char *to, size_t capacity)
{
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    int line = 0, tag = 0;
    if (strcmp(name, "operator()") != 0 ||
        !dwarf_formref_die(dwarf_attr_integrate(function, DW_AT_object_pointer, &attribute), &type))
        return false;
    for (int steps = 0; steps < 4 && tag != DW_TAG_structure_type && tag != DW_TAG_class_type; steps++) {
        if (!dwarf_formref_die(dwarf_attr_integrate(&type, DW_AT_type, &attribute), &type))
            return false;
        tag = dwarf_tag(&type);
    }
    const char *file = dwarf_decl_file(&type);
    if (dwarf_diename(&type) || !file || dwarf_decl_line(&type, &line) != 0)
        return false;
    snprintf(to, capacity, "{lambda %s:%d}", text_basename(file), line);
    return true;
}

/* A clone (NAME.constprop.0) has its own name in the symbol table only. */
static const char *clone_name(const struct frames *frames, const char *name, uint64_t address)
{
    const struct elf_symbol *symbol = elf_symbols_find(frames->symbols, address);
    size_t length = strlen(name);
    return symbol && strncmp(symbol->name, name, length) == 0 && symbol->name[length] == '.' ? symbol->name : name;
}

static void called_from(Dwarf_Die *die, Dwarf_Files *files, struct names_text *text)
{
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0, line = 0;
    *text = (struct names_text){0};
    if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) == 0 && files)
        text->file = dwarf_filesrc(files, file, NULL, NULL);
    dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line);
    text->line = (uint32_t)line;
}

static bool add_named(struct frames *frames, const struct dwarf_query *query, const struct unit *unit,
                      struct names_text *text)
{
    char readable[NAMES_TEXT_MAX], whole[PATH_MAX];
    if (!text->name) {
        demangle(text->system_name, readable, sizeof readable);
        text->name = readable;
    }
    if (text->file && text->file[0] != '/' && unit->directory && unit->directory[0] == '/' &&
        (size_t)snprintf(whole, sizeof whole, "%s/%s", unit->directory, text->file) < sizeof whole)
        text->file = whole;
    return names_add(frames->names, query->place, text);
}

static bool add_function(struct frames *frames, const struct dwarf_query *query, const struct unit *unit,
                         Dwarf_Die *die, struct names_text *text)
{
    int line = 0;
    char lambda[256];
    const char *declared = dwarf_decl_file(die);
    text->system_name = linkage_name(die);
    if (!text->system_name)
        return true;
    if (name_lambda(die, text->system_name, lambda, sizeof lambda))
        text->name = lambda;
    if (dwarf_tag(die) == DW_TAG_subprogram)
        text->system_name = clone_name(frames, text->system_name, query->address);
    bool here = declared && text->file && strcmp(declared, text->file) == 0 && dwarf_decl_line(die, &line) == 0;
    text->start_line = here && line > 0 ? (uint32_t)line : 0;
    return add_named(frames, query, unit, text);
}

/* libdw finds nothing where one sequence of lines begins at the very end of another. */
static Dwarf_Line *search_line(Dwarf_Die *unit, Dwarf_Addr address)
{
    Dwarf_Lines *lines;
    size_t count;
    Dwarf_Addr start, next;
    bool last = true;
    if (dwarf_getsrclines(unit, &lines, &count) != 0)
        return NULL;
    for (size_t i = 0; i + 1 < count; i++) {
        Dwarf_Line *line = dwarf_onesrcline(lines, i);
        if (dwarf_lineendsequence(line, &last) == 0 && !last && dwarf_lineaddr(line, &start) == 0 &&
            dwarf_lineaddr(dwarf_onesrcline(lines, i + 1), &next) == 0 && start <= address && address < next)
            return line;
    }
    return NULL;
}

static bool add_frames(struct frames *frames, struct unit *unit, const struct dwarf_query *query)
{
    struct names_text text = {0};
    int number = 0;
    Dwarf_Addr address = query->address - frames->bias;
    Dwarf_Line *line = dwarf_getsrc_die(&unit->die, address);
    if (!line)
        line = search_line(&unit->die, address);
    if (line && dwarf_lineno(line, &number) == 0) {
        text.file = dwarf_linesrc(line, NULL, NULL);
        text.line = number > 0 ? (uint32_t)number : 0;
    }
    for (uint32_t i = query->scope; i != NO_SCOPE; i = frames->scopes[i].parent) {
        if (!add_function(frames, query, unit, &frames->scopes[i].die, &text))
            return false;
        called_from(&frames->scopes[i].die, unit->files, &text);
    }
    if (query->scope != NO_SCOPE || !text.line)
        return true;
    /* A function that was found equal to another has a symbol and lines, but no entry of its own. */
    const struct elf_symbol *symbol = elf_symbols_find(frames->symbols, query->address);
    text.system_name = symbol ? symbol->name : NULL;
    return symbol ? add_named(frames, query, unit, &text) : true;
}

static bool add_unit(struct frames *frames, struct unit *unit, struct dwarf_query *queries, uint32_t count,
                     struct dwarf_progress *progress, uint32_t *found)
{
    bool missing = false;
    frames->scope_count = 0;
    if (!walk(frames, &unit->inner, queries, count, false))
        return false;
    for (uint32_t i = 0; i < count; i++)
        missing |= queries[i].scope == NO_SCOPE;
    if (missing && !walk(frames, &unit->inner, queries, count, true))
        return false;
    if (dwarf_getsrcfiles(&unit->die, &unit->files, NULL) != 0)
        unit->files = NULL;
    unit->directory = text_attribute(&unit->die, DW_AT_comp_dir);
    for (uint32_t i = 0; i < count; i++) {
        if (!add_frames(frames, unit, &queries[i]))
            return false;
        *found += frames->names->places[queries[i].place].count != 0;
    }
    progress->done += count;
    tick(progress);
    return true;
}

bool dwarf_frames_add(Dwfl_Module *module, const struct elf_symbols *symbols, struct dwarf_query *queries,
                      uint32_t count, struct names *names, struct dwarf_progress *progress, uint32_t *found)
{
    struct frames frames = {.symbols = symbols, .names = names};
    Dwarf *dwarf = dwfl_module_getdwarf(module, &frames.bias);
    *found = 0;
    if (!dwarf)
        return true;
    bool done = list_units(&frames, dwarf, progress);
    for (uint32_t i = 0; done && i < count; i++) {
        queries[i].unit = find_unit(&frames, queries[i].address - frames.bias);
        queries[i].scope = NO_SCOPE;
    }
    if (done)
        qsort(queries, count, sizeof *queries, compare_queries);
    for (uint32_t i = 0, end; done && i < count && queries[i].unit != NO_UNIT; i = end) {
        for (end = i; end < count && queries[end].unit == queries[i].unit;)
            end++;
        done = add_unit(&frames, &frames.units[queries[i].unit], queries + i, end - i, progress, found);
    }
    free(frames.units);
    free(frames.ranges);
    free(frames.scopes);
    return done;
}
