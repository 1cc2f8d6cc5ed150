/* The packet: a small descriptor, passed by value. SPDX-License-Identifier: Apache-2.0 */
#ifndef EDGEMILL_PACKET_H
#define EDGEMILL_PACKET_H

#include "format.h"

/* A reference to memory that the host owns. `handle` names it; 0 is no buffer. `data` is readable for
 * `size` bytes while the reference is held, and writable only by the stage that acquired it, only
 * until it emits it: a buffer that has been emitted is never changed again. */
typedef struct edgemill_buffer {
    uint64_t handle;
    uint8_t *data;
    uint64_t size;
} edgemill_buffer;

typedef struct edgemill_packet {
    uint64_t stream;      /* which source it began at */
    uint64_t sequence;    /* counts from 0 within the stream; a gap is a loss */
    uint64_t capture_ns;  /* CLOCK_MONOTONIC of this box when the world was sampled */
    uint64_t deadline_ns; /* same clock; after it the packet is dropped unread; 0: none */
    uint32_t generation;  /* of the format it is in */
    uint32_t kind;        /* EDGEMILL_KIND_… */
    edgemill_payload payload;
    edgemill_buffer buffer;
} edgemill_packet;

#endif
