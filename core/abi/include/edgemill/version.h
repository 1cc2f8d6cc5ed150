/* The version of the plugin boundary. SPDX-License-Identifier: Apache-2.0
 *
 * Core structs are frozen at version 1: they never gain, lose or move a field. Growth is by extensions,
 * structs of function pointers that either side asks the other for by name (see plugin.h, get_extension).
 * Every struct that crosses the boundary at load carries its version and size, so that a stray library
 * or a wrong build is refused before anything in it is called.
 *
 * Pointers are 64 bits wide: Edgemill runs on 64-bit Linux only. */
#ifndef EDGEMILL_VERSION_H
#define EDGEMILL_VERSION_H

#include <stdint.h>

#define EDGEMILL_ABI_VERSION 1u

#ifdef __cplusplus
static_assert(sizeof(void *) == 8, "Edgemill plugins are 64-bit");
#else
_Static_assert(sizeof(void *) == 8, "Edgemill plugins are 64-bit");
#endif

#endif
