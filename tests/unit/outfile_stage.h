/*
 * What the programs that look at the buffer file's name, place and owner stand on: a directory of the test's own, what lies in it, and a seam to the
 * kernel that counts the calls, makes one of them fail, and shows files in the place of others.
 */
#ifndef HEAPTAP_TESTS_OUTFILE_STAGE_H
#define HEAPTAP_TESTS_OUTFILE_STAGE_H

#include "suite.h"

#include <shim/outfile.h>
#include <sys/types.h>

/* ---- The seam ---- */

extern unsigned calls;     /* made since the last reset */
extern unsigned fail_call; /* this one of them fails; 0: none */
extern bool frozen;
extern const char
    *fake;              /* what is in this directory is shown in place of the real thing; of cgroups, nothing else is */
extern bool hide_types; /* directories do not tell what an entry is, as some filesystems do not */
extern uint32_t filesystem; /* what every directory lies on, by its magic number; 0: what the kernel says */

/* ---- A directory, and what is in it ---- */

extern char home[64]; /* its path */
extern struct config config;
extern struct outfile out;

void begin(void); /* makes it, and a configuration that names it */
void end(void);
const char *in_home(const char *name);
bool is_there(const char *name);
unsigned count_files(void);
void write_file(const char *path, const void *bytes, size_t size);
/* A text in the place of a file of the system, from now on. */
void show(const char *path, const char *text);

/* ---- Files that are made ---- */

/* HEAPTAP_OUT, below the directory. */
void pattern(const char *text);
void create(bool forked);
/* The file is made, and is called like this in the test's directory. */
void expect(bool forked, const char *name);
/* It is not, and the reason has these words. */
void refuse(const char *problem);

/* ---- Processes whose files are found: what the shim would have written, from what libc says about them ---- */

void describe(struct ht_header *header, pid_t pid);
pid_t start_process(void);
void end_process(pid_t pid);
/* A file as a process that ended left it; `started` orders them. */
struct ht_header dead_header(uint64_t started);
/* Of its own name, unless the header says that it is a copy: of another inode. */
void put(const char *name, const struct ht_header *header);
void put_dead(const char *name, uint64_t started);

#endif
