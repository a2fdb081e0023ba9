/* What was lost in the buffers of a run that are not the command's own. */
#ifndef HEAPTAP_RUN_LOSSES_H
#define HEAPTAP_RUN_LOSSES_H

#include <report/family.h>
#include <report/profile.h>

/* Adds one that has ended to the sums. One that cannot be read is told of where it is converted. */
void run_losses_add(struct profile *others, const struct family_file *file);

#endif
