/* A plugin that keeps every rule, and with -DFAULT_<NAME> breaks exactly one. SPDX-License-Identifier: Apache-2.0
 *
 * It takes a tensor, keeps the newest, and gives a copy of it and an event that counts. `main.rs` has the table of
 * faults and of the check that each must fail. */
#define _POSIX_C_SOURCE 200809L

/* FAULT(X) is 1 where -DFAULT_X was given. */
#define FIRST(a, b, ...) b
#define IS_SET_1 ~, 1
#define CHECK(...) FIRST(__VA_ARGS__, 0, 0)
#define JOIN(a, b) a##b
#define IS_SET(x) CHECK(JOIN(IS_SET_, x))
#define FAULT(name) IS_SET(FAULT_##name)

#if FAULT(NO_ENTRY)
#define edgemill_entry edgemill_another
#endif

#include <edgemill/edgemill.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL "edgemill conformance model"
#define GAIN_MOST 4

typedef struct instance {
    const edgemill_host *host;
    int64_t gain;
    uint32_t active;
    uint32_t activations;
    uint32_t asked;
    double calls;
    edgemill_port inputs[1];
    edgemill_port outputs[2];
    edgemill_buffer kept;
} instance;

/* A real fault, not raise(): the Rust runtime's handler lets a signal without one go by. */
static void crash(void) {
    static volatile int *volatile nowhere;
    *nowhere = 0;
}

static edgemill_format_range tensor_range;
static edgemill_format_range event_range;

/* Written once, always with the same bytes, before any instance is seen. */
__attribute__((constructor)) static void set_up(void) {
    tensor_range.least.kind = tensor_range.most.kind = EDGEMILL_KIND_TENSOR;
    edgemill_tensor tensor = {EDGEMILL_DTYPE_U8, 1, {24}, 0.0f, 0};
    tensor_range.least.payload.tensor = tensor_range.most.payload.tensor = tensor;
    event_range.least.kind = event_range.most.kind = EDGEMILL_KIND_EVENT;
    if (FAULT(CRASH_LOAD)) crash();
#if FAULT(LOADS)
    extern void edgemill_no_such_function(void);
    edgemill_no_such_function();
#endif
}

static edgemill_status create(const edgemill_host *host, const edgemill_param_value *values, uint32_t count,
                              void **out) {
    if (FAULT(CRASH_CREATE)) crash();
    int64_t gain = 0;
    int has_path = FAULT(MISSING_PARAMETER);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(values[i].name, "gain") == 0) {
            if (FAULT(BAD_PARAMETER) && values[i].integer > GAIN_MOST) crash();
            if (values[i].type != EDGEMILL_PARAM_INT || values[i].integer < 0 || values[i].integer > GAIN_MOST)
                return EDGEMILL_ERR_BAD_ARGUMENT;
            gain = values[i].integer;
        } else if (strcmp(values[i].name, "path") == 0) {
            if (values[i].type != EDGEMILL_PARAM_STRING) return EDGEMILL_ERR_BAD_ARGUMENT;
            has_path = 1;
        } else {
            if (FAULT(UNKNOWN_PARAMETER)) crash();
            return EDGEMILL_ERR_BAD_ARGUMENT;
        }
    }
    if (!has_path) return EDGEMILL_ERR_BAD_ARGUMENT;
    instance *self = calloc(1, sizeof *self);
    if (self == NULL) return EDGEMILL_ERR_NO_MEMORY;
    self->host = host;
    self->gain = gain;
    *out = self;
    return EDGEMILL_OK;
}

static edgemill_status ports(void *at, const edgemill_contract *contract, edgemill_ports *out) {
    if (FAULT(CRASH_PORTS)) crash();
    instance *self = at;
    if (FAULT(CONTRACT) && contract->label_count == 0) return 42;
    (void)contract;
    self->asked++;
    self->inputs[0] = (edgemill_port){"in", &tensor_range, 1, 1, 0, 0};
    self->outputs[0] = (edgemill_port){"out", &tensor_range, 1, 0, 1, 0};
    self->outputs[1] = (edgemill_port){"count", &event_range, 1, 0, 1, 0};
    if (FAULT(PORTS) && self->asked > 2) self->outputs[1].burst = 2;
    *out = (edgemill_ports){self->inputs, self->outputs, 1, 2, 1000000};
    return EDGEMILL_OK;
}

static int is_model(const edgemill_model *model) {
    return model->size == sizeof MODEL - 1 && memcmp(model->data, MODEL, sizeof MODEL - 1) == 0;
}

static edgemill_status activate(void *at, const edgemill_format *inputs, const edgemill_format *outputs,
                                const edgemill_model *model) {
    if (FAULT(CRASH_ACTIVATE)) crash();
    instance *self = at;
    (void)inputs, (void)outputs;
    if (FAULT(LIFE_CYCLE) && self->activations > 0) return EDGEMILL_ERR_BAD_ARGUMENT;
    if (model == NULL) return EDGEMILL_ERR_DENIED;
    if (!FAULT(MODEL) && !is_model(model)) return EDGEMILL_ERR_BAD_ARGUMENT;
    if (FAULT(HOST_CALLS)) {
        edgemill_buffer buffer;
        self->host->acquire(self->host, 0, 24, &buffer);
    }
    self->active = 1;
    self->activations++;
    self->calls = 0;
    return EDGEMILL_OK;
}

static edgemill_status emit_count(instance *self) {
    static double shared;
    edgemill_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.kind = EDGEMILL_KIND_EVENT;
    memcpy(packet.payload.event.name, "count", 5);
    packet.payload.event.value_count = 1;
    memcpy(packet.payload.event.values[0].name, "calls", 5);
    self->calls++;
    shared++;
    packet.payload.event.values[0].value = FAULT(TWO_INSTANCES) ? shared : self->calls;
    if (FAULT(BURST)) self->host->emit(self->host, 1, &packet);
    return self->host->emit(self->host, 1, &packet);
}

static edgemill_status emit_copy(instance *self, const edgemill_packet *in) {
    edgemill_packet packet = *in;
    edgemill_status status = self->host->acquire(self->host, 0, in->buffer.size, &packet.buffer);
    if (status == EDGEMILL_ERR_NO_BUFFER || status == EDGEMILL_ERR_STOPPING) {
        if (FAULT(NO_BUFFER)) crash();
        return EDGEMILL_OK;
    }
    if (status != EDGEMILL_OK) return status;
    memcpy(packet.buffer.data, in->buffer.data, in->buffer.size);
    if (FAULT(BOUNDS)) packet.buffer.data[packet.buffer.size] = 0;
    if (FAULT(FORMATS)) packet.payload.tensor.shape[0] = 23;
    status = self->host->emit(self->host, 0, &packet);
    return status == EDGEMILL_ERR_STOPPING || FAULT(FORMATS) ? EDGEMILL_OK : status;
}

static void let_go(instance *self) {
    if (self->kept.handle != 0) self->host->release(self->host, &self->kept);
    self->kept.handle = 0;
}

static edgemill_status keep(instance *self, const edgemill_packet *in) {
    edgemill_buffer before = self->kept;
    if (!FAULT(HELD)) let_go(self);
    if (self->host->retain(self->host, &in->buffer) != EDGEMILL_OK) {
        return FAULT(HELD) ? EDGEMILL_OK : EDGEMILL_ERR_FAULT;
    }
    if (FAULT(HELD) && before.handle != 0) self->host->release(self->host, &before);
    self->kept = in->buffer;
    return EDGEMILL_OK;
}

static edgemill_status process(void *at, uint32_t reason, const edgemill_packet *const *inputs) {
    if (FAULT(CRASH_PROCESS)) crash();
    if (FAULT(ABORT)) abort();
    if (FAULT(EXIT)) _exit(0);
    instance *self = at;
    if (!self->active) return FAULT(ORDER) ? EDGEMILL_OK : EDGEMILL_ERR_BAD_ARGUMENT;
    if (FAULT(NO_HANG))
        for (;;) pause();
    if (FAULT(STATUSES)) return 42;
    if (reason == EDGEMILL_REASON_TIMER) return FAULT(TIMER) ? EDGEMILL_ERR_FAULT : EDGEMILL_OK;
    if (reason == EDGEMILL_REASON_FLUSH) return FAULT(FLUSH) ? EDGEMILL_ERR_FAULT : EDGEMILL_OK;
    const edgemill_packet *in = inputs[0];
    if (reason != EDGEMILL_REASON_INPUT || in == NULL) return EDGEMILL_ERR_BAD_ARGUMENT;
    if (FAULT(BORROWED)) in->buffer.data[0] ^= 0xff;
    if (FAULT(REALTIME)) {
        void *volatile memory = malloc(64);
        free(memory);
    }
    edgemill_status status = emit_copy(self, in);
    if (status == EDGEMILL_OK) status = keep(self, in);
    if (status == EDGEMILL_OK) status = emit_count(self);
    return status == EDGEMILL_ERR_STOPPING || FAULT(BURST) ? EDGEMILL_OK : status;
}

static void deactivate(void *at) {
    if (FAULT(CRASH_DEACTIVATE)) crash();
    instance *self = at;
    if (FAULT(RELEASED)) self->kept.handle = 0;
    let_go(self);
    self->active = 0;
}

static void destroy(void *at) {
    if (FAULT(CRASH_DESTROY)) crash();
    free(at);
}

static edgemill_status apply(void *at) {
    instance *self = at;
    return FAULT(FAIL_SAFE) && !self->active ? EDGEMILL_ERR_BAD_ARGUMENT : EDGEMILL_OK;
}

static const edgemill_fail_safe fail_safe = {"nothing moves", apply};

static const void *get_extension(void *at, const char *name) {
    if (FAULT(CRASH_GET_EXTENSION)) crash();
    (void)at;
    return strcmp(name, EDGEMILL_EXT_FAIL_SAFE) == 0 ? &fail_safe : NULL;
}

static const edgemill_param params[] = {
    {"path", "", "Where it would write.", EDGEMILL_PARAM_STRING, 1, 0, 0, "", NULL, 0, 0},
    {"gain", "", "How much more.", EDGEMILL_PARAM_INT, 0, 0, GAIN_MOST, "1", NULL, 0, 0},
};

#if FAULT(EXTENSIONS)
static const char *const extensions[] = {"edgemill.no_such_extension/1"};
#endif

const edgemill_descriptor edgemill_entry = {
    .abi_version = EDGEMILL_ABI_VERSION + FAULT(ABI_VERSION),
    .struct_size = sizeof(edgemill_descriptor) - 8 * FAULT(STRUCT_SIZE),
    .id = FAULT(DESCRIPTOR) ? "Bad Plugin" : "bad-plugin",
    .version = "1.0.0",
    .summary = "Keeps the rules, or breaks one.",
    .flags = EDGEMILL_FLAG_REALTIME | EDGEMILL_FLAG_ACTUATOR,
    .params = params,
    .param_count = 2,
#if FAULT(EXTENSIONS)
    .required_extensions = extensions,
    .required_extension_count = 1,
#endif
    .create = create,
    .ports = ports,
    .activate = activate,
    .process = FAULT(FUNCTIONS) ? NULL : process,
    .deactivate = deactivate,
    .destroy = destroy,
    .get_extension = get_extension,
};
