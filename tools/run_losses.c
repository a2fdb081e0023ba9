#include "run_losses.h"

void run_losses_add(struct profile *others, const struct family_file *file)
{
    const struct ht_header *header = &file->summary.header;
    struct err err;
    if (!reader_add_losses_fd(others->lost, file->fd, file->path, &err))
        return;
    if (!others->process_count++)
        others->header = *header;
    others->header.budget_bytes = MIN(others->header.budget_bytes, header->budget_bytes);
    others->header.flags &= header->flags;
    others->modules_lost += reader_value(&header->modules_lost);
}
