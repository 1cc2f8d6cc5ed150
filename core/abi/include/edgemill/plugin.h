/* What a plugin offers: one exported symbol, a descriptor, instances. SPDX-License-Identifier: Apache-2.0
 *
 * Life of an instance, in this order:
 *
 *     create → ports → activate → process … process → deactivate → (activate …) → destroy
 *
 * Callbacks of one instance never overlap; two instances may run at once, so a plugin has no mutable globals.
 * A callback returns a status; it must not throw, unwind, longjmp or exit. Each side frees what it made. */
#ifndef EDGEMILL_PLUGIN_H
#define EDGEMILL_PLUGIN_H

#include "contract.h"
#include "host.h"

/* process neither allocates nor blocks. */
#define EDGEMILL_FLAG_REALTIME 1u
/* It drives the world: at most one instance is active, and it offers edgemill.fail_safe/1. */
#define EDGEMILL_FLAG_ACTUATOR 2u

#define EDGEMILL_PARAM_BOOL 1u
#define EDGEMILL_PARAM_INT 2u
#define EDGEMILL_PARAM_FLOAT 3u
#define EDGEMILL_PARAM_STRING 4u

/* A parameter, as the pipeline's file may set it. */
typedef struct edgemill_param {
    const char *name;
    const char *unit; /* "" where it has none */
    const char *help; /* one sentence */
    uint32_t type;    /* EDGEMILL_PARAM_… */
    uint32_t required; /* 1: it has no default and must be given */
    double least;     /* INT and FLOAT; equal to `most`: no range */
    double most;
    const char *fallback;           /* the default as it would stand in the file, a string without its quotes; "" for none */
    const char *const *choices;     /* STRING: the words allowed, NULL for any */
    uint32_t choice_count;
    uint32_t reserved;
} edgemill_param;

/* A parameter's value. Only the field of its type is set. Valid during create. */
typedef struct edgemill_param_value {
    const char *name;
    uint32_t type;
    uint32_t boolean;
    int64_t integer;
    double number;
    const char *text;
} edgemill_param_value;

/* One port. Arrays belong to the instance and stay until destroy. */
typedef struct edgemill_port {
    const char *name;
    const edgemill_format_range *ranges;
    uint32_t range_count;
    uint32_t held;  /* inputs: packets it may keep after process has returned */
    uint32_t burst; /* outputs: buffers or emits in one call, at most */
    uint32_t reserved;
} edgemill_port;

typedef struct edgemill_ports {
    const edgemill_port *inputs;
    const edgemill_port *outputs;
    uint32_t input_count;
    uint32_t output_count;
    uint64_t timer_ns; /* process is called with TIMER about this often; 0: never */
} edgemill_ports;

/* Why process is called. */
#define EDGEMILL_REASON_INPUT 1u /* at least one input is there */
#define EDGEMILL_REASON_TURN 2u  /* a source (no input ports) may emit now */
#define EDGEMILL_REASON_TIMER 3u /* timer_ns have gone by */
#define EDGEMILL_REASON_FLUSH 4u /* every input has ended: emit what is held back; called once */

typedef struct edgemill_descriptor {
    uint32_t abi_version; /* EDGEMILL_ABI_VERSION; stays first for ever */
    uint32_t struct_size; /* sizeof(edgemill_descriptor) */
    const char *id;       /* as in the pipeline's `plugin = "…"`: lower case, digits, `-` */
    const char *version;  /* semantic version */
    const char *summary;  /* one sentence */
    uint64_t flags;
    const edgemill_param *params;
    const char *const *required_extensions; /* of the host */
    uint32_t param_count;
    uint32_t required_extension_count;

    /* Makes an instance. `values` holds every parameter that was given or has a default, checked against
     * `params`. On any answer but OK, *instance is not read. [preparing-thread] */
    edgemill_status (*create)(const edgemill_host *host, const edgemill_param_value *values, uint32_t value_count,
                              void **instance);

    /* Says what it takes and gives. `contract` is NULL unless the stage names one. The answer stays
     * the same for the life of the instance. [preparing-thread & created] */
    edgemill_status (*ports)(void *instance, const edgemill_contract *contract, edgemill_ports *out);

    /* Fixes the formats, one for each port, in the order of `ports`; allocates all that process needs. `model` is
     * NULL unless the stage is granted one. [preparing-thread & created] */
    edgemill_status (*activate)(void *instance, const edgemill_format *inputs, const edgemill_format *outputs,
                                const edgemill_model *model);

    /* `inputs` has one pointer for each input port, NULL where nothing came: a join arrives as one call.
     * Packets are borrowed until it returns. Answers OK, END (TURN only) or an error, which counts as a
     * fault of this stage. [stage-thread & active] */
    edgemill_status (*process)(void *instance, uint32_t reason, const edgemill_packet *const *inputs);

    /* Gives back what it retained; undoes activate. [stage-thread & active, or preparing-thread if process never ran] */
    void (*deactivate)(void *instance);

    /* [preparing-thread & created] */
    void (*destroy)(void *instance);

    /* An extension of the instance by name, or NULL; may be NULL itself if there are none. Valid until
     * destroy. [any-thread & created or active] */
    const void *(*get_extension)(void *instance, const char *name);
} edgemill_descriptor;

#ifdef __cplusplus
extern "C" {
#endif
/* The one symbol that a plugin exports. */
__attribute__((visibility("default"))) extern const edgemill_descriptor edgemill_entry;
#ifdef __cplusplus
}
#endif

#endif
