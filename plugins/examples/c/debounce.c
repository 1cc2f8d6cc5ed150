/* debounce: lets an event pass once the same one has come `count` times in a row. SPDX-License-Identifier: Apache-2.0
 *
 * A whole plugin in C, built with nothing but the headers. It stands between a rule and an actuator, so that a
 * decision that flickers moves nothing. */
#include <edgemill/edgemill.h>

#include <stdlib.h>
#include <string.h>

typedef struct debounce {
    const edgemill_host *host;
    int64_t count;
    int64_t seen; /* how often the last event came in a row */
    char last[EDGEMILL_NAME_BYTES];
    int ready; /* ports were asked for */
    int active;
} debounce;

static void say(const edgemill_host *host, const char *text) {
    host->log(host, EDGEMILL_LOG_ERROR, text, strlen(text));
}

/* Whether the table is one that this file was compiled for and has what this plugin calls. */
static int is_usable(const edgemill_host *host) {
    return host && host->abi_version == EDGEMILL_ABI_VERSION && host->struct_size >= sizeof(edgemill_host) &&
           host->emit && host->log;
}

static edgemill_status create(const edgemill_host *host, const edgemill_param_value *values, uint32_t value_count,
                              void **instance) {
    if (!is_usable(host) || !instance || (value_count && !values))
        return EDGEMILL_ERR_BAD_ARGUMENT;
    int64_t count = 0;
    for (uint32_t i = 0; i < value_count; i++) {
        if (!values[i].name || strcmp(values[i].name, "count") != 0 || values[i].type != EDGEMILL_PARAM_INT) {
            say(host, "create: there is one parameter, the integer `count`");
            return EDGEMILL_ERR_BAD_ARGUMENT;
        }
        count = values[i].integer;
    }
    if (count < 1 || count > 1000) {
        say(host, "create: `count` must be given and lie within 1..=1000");
        return EDGEMILL_ERR_BAD_ARGUMENT;
    }
    debounce *self = calloc(1, sizeof *self);
    if (!self)
        return EDGEMILL_ERR_NO_MEMORY;
    self->host = host;
    self->count = count;
    *instance = self;
    return EDGEMILL_OK;
}

static const edgemill_format_range events = {.least = {.kind = EDGEMILL_KIND_EVENT},
                                             .most = {.kind = EDGEMILL_KIND_EVENT}};
static const edgemill_port input = {.name = "in", .ranges = &events, .range_count = 1};
static const edgemill_port output = {.name = "out", .ranges = &events, .range_count = 1, .burst = 1};

static edgemill_status ports(void *instance, const edgemill_contract *contract, edgemill_ports *out) {
    (void)contract;
    if (!instance || !out)
        return EDGEMILL_ERR_BAD_ARGUMENT;
    ((debounce *)instance)->ready = 1;
    *out = (edgemill_ports){.inputs = &input, .outputs = &output, .input_count = 1, .output_count = 1};
    return EDGEMILL_OK;
}

static edgemill_status activate(void *instance, const edgemill_format *inputs, const edgemill_format *outputs,
                                const edgemill_model *model) {
    (void)model;
    debounce *self = instance;
    if (!self || !self->ready || self->active || !inputs || !outputs)
        return EDGEMILL_ERR_BAD_ARGUMENT;
    if (inputs[0].kind != EDGEMILL_KIND_EVENT || outputs[0].kind != EDGEMILL_KIND_EVENT)
        return EDGEMILL_ERR_BAD_ARGUMENT;
    memset(self->last, 0, sizeof self->last);
    self->seen = 0;
    self->active = 1;
    return EDGEMILL_OK;
}

static edgemill_status process(void *instance, uint32_t reason, const edgemill_packet *const *inputs) {
    debounce *self = instance;
    if (!self || !self->active || !inputs || reason < EDGEMILL_REASON_INPUT || reason > EDGEMILL_REASON_FLUSH)
        return EDGEMILL_ERR_BAD_ARGUMENT;
    const edgemill_packet *packet = inputs[0];
    if (reason != EDGEMILL_REASON_INPUT || !packet)
        return EDGEMILL_OK; /* nothing is held back, so there is nothing to flush */
    if (packet->kind != EDGEMILL_KIND_EVENT)
        return EDGEMILL_ERR_BAD_ARGUMENT;
    const char *name = packet->payload.event.name;
    if (memcmp(name, self->last, sizeof self->last) != 0) {
        memcpy(self->last, name, sizeof self->last);
        self->seen = 0;
    }
    if (self->seen < self->count)
        self->seen++;
    if (self->seen < self->count)
        return EDGEMILL_OK;
    edgemill_status status = self->host->emit(self->host, 0, packet);
    return status == EDGEMILL_ERR_STOPPING ? EDGEMILL_OK : status;
}

static void deactivate(void *instance) {
    if (instance)
        ((debounce *)instance)->active = 0;
}

static void destroy(void *instance) { free(instance); }

static const edgemill_param params[] = {{
    .name = "count",
    .unit = "events",
    .help = "How often the same event must come in a row before it passes.",
    .type = EDGEMILL_PARAM_INT,
    .least = 1,
    .most = 1000,
    .fallback = "1",
}};

const edgemill_descriptor edgemill_entry = {
    .abi_version = EDGEMILL_ABI_VERSION,
    .struct_size = sizeof(edgemill_descriptor),
    .id = "debounce",
    .version = "1.0.0",
    .summary = "Lets an event pass once it has come several times in a row.",
    .flags = EDGEMILL_FLAG_REALTIME,
    .params = params,
    .param_count = sizeof params / sizeof params[0],
    .create = create,
    .ports = ports,
    .activate = activate,
    .process = process,
    .deactivate = deactivate,
    .destroy = destroy,
};
