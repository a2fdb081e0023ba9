/*
 * What a program with a known answer says about its own stacks, one line for each size that it allocates for the purpose:
 *
 *   expect SIZE COUNT FRAME...
 *
 * COUNT allocations of SIZE bytes (or of FIRST-LAST; COUNT "+": at least one), each with the stack FRAME..., innermost first:
 *   name          a frame in that function of any module that has symbols
 *   @name         a frame in the module of that file name
 *   name#N        N such frames; name#+ one or more
 *   *             any frames up to the outer end; without it the stack ends after the last FRAME
 *   **            the same, or up to where the stack was cut
 *   %             any one frame
 *   [depth] ...   last: the stack was cut for that reason. Without it the stack is complete. A reference knows no reasons: what
 *                 stands before it is all that it must agree with.
 */
#ifndef EXPECTATION_H
#define EXPECTATION_H

#include "source.h"

/* Checks every line of the file against every event of its size. Returns the number of stacks and counts that are not as expected, having printed them. */
unsigned expectation_check(const struct source *source, const char *path, unsigned *checked);

/* Reasons of enum ht_cut by number. */
const char *cut_name(unsigned cut);
void print_frames(const struct frame *frames, size_t count, unsigned cut, size_t from);

#define FRAMES_MAX 65536

#endif
