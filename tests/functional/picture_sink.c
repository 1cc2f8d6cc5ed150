/* picture-sink: takes YUYV pictures of any size and does nothing, so that a camera can be tried alone. */
#include <edgemill/edgemill.h>

static edgemill_status create(const edgemill_host *host, const edgemill_param_value *values, uint32_t value_count,
                              void **instance) {
    (void)values;
    (void)value_count;
    *instance = (void *)host;
    return EDGEMILL_OK;
}

static edgemill_status ports(void *instance, const edgemill_contract *contract, edgemill_ports *out) {
    static const edgemill_format_range range = {
        .least = {.kind = EDGEMILL_KIND_IMAGE,
                  .payload.image = {.fourcc = EDGEMILL_FOURCC_YUYV, .width = 1, .height = 1}},
        .most = {.kind = EDGEMILL_KIND_IMAGE,
                 .payload.image = {.fourcc = EDGEMILL_FOURCC_YUYV, .width = 8192, .height = 8192}},
    };
    static const edgemill_port input = {.name = "in", .ranges = &range, .range_count = 1};
    (void)instance;
    (void)contract;
    *out = (edgemill_ports){.inputs = &input, .input_count = 1};
    return EDGEMILL_OK;
}

static edgemill_status activate(void *instance, const edgemill_format *inputs, const edgemill_format *outputs,
                                const edgemill_model *model) {
    (void)instance;
    (void)inputs;
    (void)outputs;
    (void)model;
    return EDGEMILL_OK;
}

static edgemill_status process(void *instance, uint32_t reason, const edgemill_packet *const *inputs) {
    (void)instance;
    (void)reason;
    (void)inputs;
    return EDGEMILL_OK;
}

static void nothing(void *instance) { (void)instance; }

const edgemill_descriptor edgemill_entry = {
    .abi_version = EDGEMILL_ABI_VERSION,
    .struct_size = sizeof(edgemill_descriptor),
    .id = "picture-sink",
    .version = "1.0.0",
    .summary = "Takes pictures and does nothing.",
    .create = create,
    .ports = ports,
    .activate = activate,
    .process = process,
    .deactivate = nothing,
    .destroy = nothing,
};
