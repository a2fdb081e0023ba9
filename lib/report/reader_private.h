/* Between the reader's own files: reader.c (open, header), reader_copy.c (bytes into memory), reader_walk.c (records). */
#ifndef HEAPTAP_READER_PRIVATE_H
#define HEAPTAP_READER_PRIVATE_H

#include "reader.h"

#define READER_PIECE 65536u

/* sizeof(record) of each section; 0: no such section in this version. */
extern const uint32_t reader_record_bytes[HT_SECTIONS_MAX];
extern const char *const reader_section_name[HT_SECTIONS_MAX];

/*
 * Copies the used records of one section into private memory, in the order of this machine. `steady`: the file changes meanwhile, so what is
 * published by one word of two or more is read three times (see reader.h). Adds to data_bytes and left_out.
 */
bool reader_copy_section(struct reader *reader, int fd, enum ht_section_id section, bool steady, struct err *err);
void reader_drop_section(struct reader *reader, enum ht_section_id section);

/* Reads exactly `bytes` at `at`. False: error or end of file. */
bool reader_pread(int fd, void *to, size_t bytes, uint64_t at);

/* Turns the bytes of `count` 32-bit (64-bit) words around. */
void reader_swap32(void *words, size_t count);
void reader_swap64(void *words, size_t count);

#endif
