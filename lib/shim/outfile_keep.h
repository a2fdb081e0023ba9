/* Keeps a directory in bounds: counts this user's buffer files under a pattern, and removes those of dead processes. */
#ifndef HEAPTAP_OUTFILE_KEEP_H
#define HEAPTAP_OUTFILE_KEEP_H

#include "config.h"
#include "sys.h"

/*
 * True if one more file may be made in the directory. See outfile.h for what is removed, and when.
 *
 * Shape:   directory_fd: open for reading, or not (O_PATH): then nothing is seen and nothing done. directory: the same
 *          as a path. pattern: the last component of the name's pattern, with % as in HEAPTAP_OUT. clean: dead files may
 *          be removed.
 *          fs: the filesystem; where less is in use than the files may take, none of them is looked at.
 * Bounds:  at most 4096 names are read, and 1024 that match are looked at; files are opened only when names alone do
 *          not show that there is room.
 * Context: as outfile_create().
 */
bool outfile_keep(const struct config *config, int directory_fd, const char *directory, const char *pattern,
                  const struct sys_fs *fs, bool clean);

#endif
