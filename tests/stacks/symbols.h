/* Names of functions from the symbol tables of ELF files of this machine's class. Enough for the tests' own programs. */
#ifndef SYMBOLS_H
#define SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Function that holds `offset` (an address of the ELF file), without suffixes such as .part.0; NULL: none. The text stays. */
const char *symbol_name(const char *path, uint64_t offset);

/* True if a function of that name holds `offset`: several may. */
bool symbol_is(const char *path, uint64_t offset, const char *name, size_t length);

#endif
