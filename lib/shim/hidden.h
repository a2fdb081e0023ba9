/*
 * Included before all else in every file of the shim (CMakeLists.txt): what is declared is defined in this library, and is reached without the global offset
 * table. -fvisibility=hidden says that of definitions only. What comes from elsewhere says so: IMPORT (base.h).
 */
#pragma GCC visibility push(hidden)
