/* Counts what the calling thread asks of the allocator. Loaded before the C library (LD_PRELOAD) by the validator's
 * child process, which reads the count around a plugin's process. SPDX-License-Identifier: Apache-2.0
 *
 * The C library's own allocator is called by its second names, which glibc keeps for this. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static __thread uint64_t calls __attribute__((tls_model("initial-exec")));

uint64_t edgemill_allocator_calls(void);
uint64_t edgemill_allocator_calls(void) {
    return calls;
}

void *malloc(size_t size) {
    calls++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    calls++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    calls++;
    return __libc_realloc(memory, size);
}

void free(void *memory) {
    calls += memory != NULL;
    __libc_free(memory);
}

void *memalign(size_t alignment, size_t size) {
    calls++;
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    calls++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    calls++;
    void *memory = __libc_memalign(alignment, size);
    if (memory == NULL) {
        return ENOMEM;
    }
    *out = memory;
    return 0;
}
