/* What the host offers a plugin's instance. SPDX-License-Identifier: Apache-2.0
 *
 * Threads. A stage has two: [preparing-thread] runs create, ports, activate and destroy; [stage-thread] runs
 * process and deactivate. [any-thread] means these two and the helper threads of `parallel`.
 * States. created → active → created → destroyed. "active" is between activate and deactivate. */
#ifndef EDGEMILL_HOST_H
#define EDGEMILL_HOST_H

#include "packet.h"
#include "status.h"
#include "version.h"

#define EDGEMILL_LOG_ERROR 1u
#define EDGEMILL_LOG_WARN 2u
#define EDGEMILL_LOG_INFO 3u
#define EDGEMILL_LOG_DEBUG 4u

typedef struct edgemill_host edgemill_host;

/* The table belongs to the host and to one instance; valid from create to the end of destroy. */
struct edgemill_host {
    uint32_t abi_version;
    uint32_t struct_size;
    void *context; /* the host's; not to be touched */

    /* Sends a packet out of output port `port`. The host sets stream, sequence, capture_ns and deadline_ns from the
     * input of this call (the first port that has one), and stamps them itself where there is none (TURN, TIMER, FLUSH).
     * Takes over the caller's reference to packet->buffer, whatever it answers. An input's own buffer may be
     * emitted: the host then adds the reference it takes. Drops by policy are not errors.
     * Answers OK, BAD_ARGUMENT (no such port, or the packet is not of the port's format), STOPPING.
     * [stage-thread & active, inside process] */
    edgemill_status (*emit)(const edgemill_host *host, uint32_t port, const edgemill_packet *packet);

    /* As emit, with sequence, times and stream of `origin`, a packet the stage has retained.
     * [stage-thread & active, inside process] */
    edgemill_status (*emit_from)(const edgemill_host *host, uint32_t port, const edgemill_packet *packet,
                                 const edgemill_packet *origin);

    /* A free buffer of the port's pool, at least `size` bytes, its bytes undefined. Never blocks.
     * The caller owns the one reference. Answers OK, BAD_ARGUMENT, NO_BUFFER, STOPPING.
     * [stage-thread & active] */
    edgemill_status (*acquire)(const edgemill_host *host, uint32_t port, uint64_t size, edgemill_buffer *out);

    /* Adds a reference to a buffer that the caller can see now, so that it outlives process. A port may hold
     * `held` inputs at a time; one more answers BAD_ARGUMENT. [stage-thread & active] */
    edgemill_status (*retain)(const edgemill_host *host, const edgemill_buffer *buffer);

    /* Gives back a reference got by acquire or retain. [stage-thread & active, or in deactivate] */
    edgemill_status (*release)(const edgemill_host *host, const edgemill_buffer *buffer);

    /* Writes a line of UTF-8, `length` bytes, to the log. May drop it when the log is behind. [any-thread] */
    void (*log)(const edgemill_host *host, uint32_t level, const char *text, uint64_t length);

    /* Sets a number that people watch, by a short name of letters, digits and `_`. [any-thread] */
    void (*metric)(const edgemill_host *host, const char *name, double value);

    /* CLOCK_MONOTONIC, nanoseconds. [any-thread] */
    uint64_t (*now_ns)(const edgemill_host *host);

    /* Locked, undumpable memory for what is made from a model's bytes, zeroed; NULL when there is none.
     * It is wiped when freed, and in any case after destroy. [preparing-thread] */
    void *(*secret_alloc)(const edgemill_host *host, uint64_t size, uint64_t alignment);
    /* [preparing-thread, or in deactivate] */
    void (*secret_free)(const edgemill_host *host, void *memory);

    /* Calls run(data, i) for i in 0..count, on the stage's helper threads and the caller's, and comes back when
     * all are done. A stage without helpers runs them in order. [stage-thread & active, inside process] */
    edgemill_status (*parallel)(const edgemill_host *host, void (*run)(void *data, uint32_t index), void *data,
                                uint32_t count);

    /* An extension of the host by name, or NULL. Valid as long as the table. [any-thread] */
    const void *(*get_extension)(const edgemill_host *host, const char *name);
};

#endif
