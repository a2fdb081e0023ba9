/* What a conversion tells on stderr while it goes on: notices, and on a terminal how far it is, if it takes long. */
#ifndef HEAPTAP_PROGRESS_H
#define HEAPTAP_PROGRESS_H

#include <report/convert.h>

#include <time.h>

struct progress {
    struct timespec began, shown;
    bool on_screen;
};

/* Sets the conversion's functions; `progress` must stay until progress_end. */
void progress_begin(struct progress *progress, struct convert_options *convert);
void progress_end(struct progress *progress);

#endif
