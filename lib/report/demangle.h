/*
 * Names as people read them, from names as the linker spells them: C++ (Itanium ABI) and Rust (both manglings), by two functions of libiberty.
 * Template arguments are part of them; parameters, return types and the hashes of Rust are not.
 */
#ifndef HEAPTAP_DEMANGLE_H
#define HEAPTAP_DEMANGLE_H

#include <common/base.h>

/*
 * Writes the name, terminated. What a compiler appends to clones of a function (.part.0, .constprop.0, .isra.0, .cold, .llvm.N, .lto_priv.N) is taken
 * off. What is no mangled name is copied. Bounded in time and memory whatever `mangled` is: what would be longer than `capacity` stays mangled.
 */
void demangle(const char *mangled, char *to, size_t capacity);

#endif
