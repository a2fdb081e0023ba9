#include "coverage.h"
#include "write.h"

#define ULL(value) ((unsigned long long)(value))

static void print_text(FILE *out, const char *text)
{
    char safe[4096];
    err_safe_text(safe, sizeof safe, text);
    fputs(safe, out);
}

static const char *process_word(enum reader_process process)
{
    return process == READER_ENDED ? "ended" : process == READER_RUNNING ? "running" : "unknown";
}

static void write_header(FILE *out, const struct profile *profile)
{
    const struct ht_header *header = &profile->header;
    fprintf(out, "format %u.%u word %u machine %u page %llu state %s process %s flags 0x%x\n", header->version_major,
            header->version_minor, header->word_bytes, header->e_machine, ULL(1) << header->page_shift,
            header->state == HT_STATE_EXITING ? "exiting" : "on", process_word(profile->process), header->flags);
    fprintf(out, "process pid %u parent %u uid %u fork-epoch %u start-ticks %llu start-ns %llu fork-events %llu\n",
            header->pid, header->parent_pid, header->uid, header->fork_epoch, ULL(header->start_ticks),
            ULL(header->start_realtime_ns), ULL(header->fork_events));
    fputs("exe ", out);
    print_text(out, header->exe);
    fputs("\ncommand ", out);
    print_text(out, header->command);
    fputs("\nparent-file ", out);
    print_text(out, header->parent_file);
    fprintf(out, "\nconfig budget %llu interval %u depth %u slots %u ring-blocks %u paused %u\n",
            ULL(header->budget_bytes), header->interval_bytes, header->depth_max, header->slot_count,
            header->ring_blocks, header->ctl_pause);
}

static void write_modules(FILE *out, const struct profile *profile, const struct reader *reader)
{
    for (uint32_t row = reader_next(reader, HT_MODULES, 0); row < profile->module_count;
         row = reader_next(reader, HT_MODULES, row + 1)) {
        const struct ht_module *module = &profile->modules[row];
        if (!module->state)
            continue;
        fprintf(out, "module %u state %u flags 0x%x bias 0x%llx start 0x%llx end 0x%llx loads %u build-id ", row,
                module->state, module->flags, ULL(module->bias), ULL(module->start), ULL(module->end), module->loads);
        for (uint32_t i = 0; i < module->build_id_bytes; i++)
            fprintf(out, "%02x", module->build_id[i]);
        fputs(module->build_id_bytes ? " path " : "- path ", out);
        print_text(out, module->path);
        putc('\n', out);
    }
}

static void write_places(FILE *out, const struct profile *profile, const struct reader *reader)
{
    for (uint32_t id = reader_next(reader, HT_PLACES, 1); id < profile->place_count;
         id = reader_next(reader, HT_PLACES, id + 1)) {
        const struct profile_place *place = &profile->places[id];
        if (!reader_place(reader, id))
            continue;
        const char *exact = place->flags & HT_PLACE_EXACT ? " exact" : "";
        if (place->module == PROFILE_CUT)
            fprintf(out, "place %u cut %s\n", id, profile_cut_name(place->offset));
        else if (place->module == PROFILE_NO_MODULE)
            fprintf(out, "place %u generated address 0x%llx%s\n", id, ULL(place->offset), exact);
        else if (place->module < profile->module_count)
            fprintf(out, "place %u module %u offset 0x%llx%s\n", id, place->module, ULL(place->offset), exact);
        else
            fprintf(out, "place %u damaged offset 0x%llx%s\n", id, ULL(place->offset), exact);
    }
}

static void write_sites(FILE *out, const struct profile *profile)
{
    for (uint32_t i = 0; i < profile->site_count; i++) {
        const struct profile_site *site = &profile->sites[i];
        fprintf(out,
                "site %u node %u kind %s allocs %llu alloc_bytes %llu frees %llu free_bytes %llu live %llu live_bytes "
                "%llu\n",
                site->id, site->node, profile_kind_name(site->kind), ULL(site->total.allocs),
                ULL(site->total.alloc_bytes), ULL(site->total.frees), ULL(site->total.free_bytes),
                ULL(site->total.live), ULL(site->total.live_bytes));
    }
}

static void write_slots(FILE *out, const struct profile *profile, const struct reader *reader)
{
    for (uint32_t i = reader_next(reader, HT_SLOTS, 0); i < profile->slot_count;
         i = reader_next(reader, HT_SLOTS, i + 1)) {
        const struct profile_slot *slot = &profile->slots[i];
        if (!slot->owner && !slot->events)
            continue;
        fprintf(out, "slot %u%s owner %u adoptions %u events %llu name ", i, slot->shared ? " shared" : "", slot->owner,
                slot->adoptions, ULL(slot->events));
        print_text(out, slot->name);
        putc('\n', out);
    }
}

static void write_losses(FILE *out, const struct profile *profile)
{
    for (int cause = 0; cause < HT_LOSSES; cause++)
        if (profile->lost[cause])
            fprintf(out, "loss %s %llu\n", profile_loss_key[cause], ULL(profile->lost[cause]));
    if (profile->modules_lost)
        fprintf(out, "loss modules %llu\n", ULL(profile->modules_lost));
}

static void write_totals(FILE *out, const struct profile *profile)
{
    for (uint32_t kind = 0; kind < HT_KINDS; kind++) {
        const struct profile_totals *total = &profile->total[kind];
        if (kind == 0 && !(total->allocs | total->frees | total->live))
            continue;
        fprintf(out, "total %s allocs %llu alloc_bytes %llu frees %llu free_bytes %llu live %llu live_bytes %llu\n",
                profile_kind_name(kind), ULL(total->allocs), ULL(total->alloc_bytes), ULL(total->frees),
                ULL(total->free_bytes), ULL(total->live), ULL(total->live_bytes));
    }
    fprintf(out, "peak bytes %llu\n", ULL(coverage_peak(profile)));
    fprintf(out, "reading events %llu left-out %llu damaged %llu\n", ULL(profile->events_during),
            ULL(profile->left_out), ULL(profile->damaged));
}

static void write_block(void *arg, const struct reader_block *block)
{
    fprintf(arg, "live 0x%llx size %llu site %u kind %s birth %llu\n", ULL(block->address), ULL(block->size),
            block->site, profile_kind_name(block->kind), ULL(block->birth));
}

static void write_cell(void *arg, const struct reader_cell *cell)
{
    fprintf(arg, "cell site %u slot %u allocs %llu alloc_bytes %llu frees %llu free_bytes %llu\n", cell->site,
            cell->slot, ULL(cell->allocs), ULL(cell->alloc_bytes), ULL(cell->frees), ULL(cell->free_bytes));
}

void write_raw(FILE *out, const struct profile *profile, const struct reader *reader)
{
    write_header(out, profile);
    write_losses(out, profile);
    write_totals(out, profile);
    write_slots(out, profile, reader);
    write_modules(out, profile, reader);
    write_places(out, profile, reader);
    for (uint32_t id = reader_next(reader, HT_NODES, 1); id < profile->node_count;
         id = reader_next(reader, HT_NODES, id + 1))
        if (reader_node(reader, id))
            fprintf(out, "node %u parent %u place %u\n", id, profile->nodes[id].parent, profile->nodes[id].place);
    write_sites(out, profile);
    reader_each_cell(reader, write_cell, out);
    reader_each_block(reader, write_block, out);
}
