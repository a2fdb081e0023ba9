#include "reader_private.h"

static bool piece_has_data(const struct reader_section *section, uint64_t piece)
{
    return section->pieces[piece / 64] >> (piece % 64) & 1;
}

const void *reader_record(const struct reader *reader, enum ht_section_id id, uint32_t record)
{
    const struct reader_section *section = &reader->section[id];
    if (record >= section->count)
        return NULL;
    uint64_t at = (uint64_t)record * section->record_bytes;
    return piece_has_data(section, at / READER_PIECE) ? section->at + at : NULL;
}

uint32_t reader_next(const struct reader *reader, enum ht_section_id id, uint32_t record)
{
    const struct reader_section *section = &reader->section[id];
    while (record < section->count) {
        uint64_t piece = (uint64_t)record * section->record_bytes / READER_PIECE;
        if (piece_has_data(section, piece))
            return record;
        do
            piece++;
        while (piece * READER_PIECE < section->bytes && !piece_has_data(section, piece));
        record = (uint32_t)MIN(piece * READER_PIECE / section->record_bytes, section->count);
    }
    return MAX(record, section->count);
}

const struct ht_module *reader_module(const struct reader *reader, uint32_t row)
{
    const struct ht_module *module = reader_record(reader, HT_MODULES, row);
    return module && module->state ? module : NULL;
}

const struct ht_place *reader_place(const struct reader *reader, uint32_t id)
{
    const struct ht_place *place = reader_record(reader, HT_PLACES, id);
    return id && place && place->module ? place : NULL;
}

const struct ht_node *reader_node(const struct reader *reader, uint32_t id)
{
    const struct ht_node *node = reader_record(reader, HT_NODES, id);
    return id && node && node->place ? node : NULL;
}

const struct ht_site *reader_site(const struct reader *reader, uint32_t id)
{
    const struct ht_site *site = reader_record(reader, HT_SITES, id);
    return id && site && site->kind ? site : NULL;
}

static uint32_t kind_of(const struct reader *reader, uint32_t site_id)
{
    const struct ht_site *site = reader_site(reader, site_id);
    return site && site->kind < HT_KINDS ? site->kind : 0;
}

/* Entry `i` of a wide line. False: it is empty, being filled, or the upper half of its neighbour's size. */
static bool wide_block(const struct ht_line *line, int i, struct reader_block *block)
{
    if (i >= HT_LINE_ENTRIES || HT_TAG_STATE(line->tag[i]) != HT_TAG_LIVE)
        return false;
    block->address = HT_TAG_OFFSET(line->tag[i]);
    block->size = line->size[i];
    if (i == 0 && HT_TAG_STATE(line->tag[1]) == HT_TAG_HIGH)
        block->size = reader_u64(line->size[0], line->size[1]);
    block->birth = birth_decode(line->birth[i]);
    block->site = line->site[i];
    return true;
}

static bool packed_block(const struct ht_pack *pack, int i, struct reader_block *block)
{
    if (!HT_PACK_SITE(pack->word[i]) || !pack->place[i])
        return false;
    block->address = (uint64_t)HT_PACK_UNITS(pack->place[i], pack->low[i]) * HT_PACK_UNIT;
    block->size = HT_PACK_SIZE(pack->word[i]);
    block->birth = birth_decode(HT_PACK_BIRTH(pack->place[i]));
    block->site = HT_PACK_SITE(pack->word[i]);
    return true;
}

/* Entry `i` of a line of any kind. False: there is no block. */
static bool line_block(const struct reader *reader, uint32_t id, int i, struct reader_block *block)
{
    const struct ht_line *line = reader_record(reader, HT_LINES, id);
    if (!(line->kind == HT_LINE_PACKED ? packed_block(reader_record(reader, HT_LINES, id), i, block)
                                       : wide_block(line, i, block)))
        return false;
    block->address |= reader_u64(line->region_lo, line->region_hi) << HT_REGION_SHIFT;
    block->kind = kind_of(reader, block->site);
    return true;
}

void reader_each_block(const struct reader *reader, void (*visit)(void *arg, const struct reader_block *block),
                       void *arg)
{
    struct reader_block block;
    uint32_t count = reader_count(reader, HT_LINES);
    for (uint32_t id = reader_next(reader, HT_LINES, 0); id < count; id = reader_next(reader, HT_LINES, id + 1))
        for (int i = 0; i < HT_PACK_ENTRIES; i++)
            if (line_block(reader, id, i, &block))
                visit(arg, &block);
    count = reader_count(reader, HT_MAPS);
    for (uint32_t id = reader_next(reader, HT_MAPS, 0); id < count; id = reader_next(reader, HT_MAPS, id + 1)) {
        const struct ht_map *map = reader_record(reader, HT_MAPS, id);
        if (!map->site)
            continue;
        block = (struct reader_block){.address = reader_u64(map->start_lo, map->start_hi),
                                      .size = reader_u64(map->size_lo, map->size_hi),
                                      .birth = birth_decode((uint16_t)map->birth),
                                      .site = map->site,
                                      .kind = kind_of(reader, map->site)};
        visit(arg, &block);
    }
}

void reader_each_cell(const struct reader *reader, void (*visit)(void *arg, const struct reader_cell *cell), void *arg)
{
    uint32_t count = reader_count(reader, HT_CHUNKS);
    for (uint32_t id = reader_next(reader, HT_CHUNKS, 0); id < count; id = reader_next(reader, HT_CHUNKS, id + 1)) {
        const struct ht_chunk *chunk = reader_record(reader, HT_CHUNKS, id);
        const struct ht_cell *cells = reader_record(reader, HT_CELLS, id);
        if (!chunk->slot || !cells)
            continue;
        for (uint32_t i = 0; i < HT_SITES_PER_CHUNK; i++) {
            struct reader_cell cell = {.site = chunk->group * HT_SITES_PER_CHUNK + i,
                                       .slot = chunk->slot - 1,
                                       .allocs = reader_value(&cells[i].allocs),
                                       .alloc_bytes = reader_value(&cells[i].alloc_bytes),
                                       .frees = reader_value(&cells[i].frees),
                                       .free_bytes = reader_value(&cells[i].free_bytes)};
            if (cell.allocs | cell.alloc_bytes | cell.frees | cell.free_bytes)
                visit(arg, &cell);
        }
    }
}
