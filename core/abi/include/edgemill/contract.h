/* What a model expects and gives, without its bytes. SPDX-License-Identifier: Apache-2.0
 *
 * Taken from the model's signed manifest. A stage that names `contract = "MODEL"` in its pipeline is told
 * this and nothing more; a stage that names `model = "MODEL"` also gets the bytes (see edgemill_model). */
#ifndef EDGEMILL_CONTRACT_H
#define EDGEMILL_CONTRACT_H

#include "format.h"

#define EDGEMILL_LAYOUT_NHWC 1u
#define EDGEMILL_LAYOUT_NCHW 2u

#define EDGEMILL_COLOUR_RGB 1u
#define EDGEMILL_COLOUR_BGR 2u
#define EDGEMILL_COLOUR_GREY 3u

/* How the region of a frame becomes the model's picture. */
#define EDGEMILL_FIT_STRETCH 1u   /* both axes scaled on their own */
#define EDGEMILL_FIT_LETTERBOX 2u /* aspect kept, centred, the rest filled with `fill` */
#define EDGEMILL_FIT_CROP 3u      /* aspect kept, centred, what sticks out cut off */
#define EDGEMILL_FIT_CORNER 4u    /* aspect kept, in the upper left corner, the rest filled with `fill` */

/* How pixels are weighed where the picture changes its size, along each axis. */
#define EDGEMILL_FILTER_AREA 1u     /* exact averages of the area where it shrinks, bilinear where it grows */
#define EDGEMILL_FILTER_BILINEAR 2u /* the two nearest in proportion, half-pixel centres, also where it shrinks */

typedef struct edgemill_contract {
    const char *model;
    const char *version;
    uint32_t input_count;
    uint32_t output_count;
    const edgemill_tensor *inputs;
    const edgemill_tensor *outputs;
    /* Pictures: an element is (pixel / 255 - mean) / std, per channel, then quantized where the input is. */
    uint32_t layout; /* 0: the input is not a picture */
    uint32_t colour;
    uint32_t fit;
    uint32_t fill;   /* 0..255, all channels */
    float region[4]; /* x, y, width, height of the part of the frame looked at, each a fraction of the frame */
    float mean[4];
    float std[4];
    /* Series: the input is a window of this many samples, begun anew every `hop`. */
    uint32_t window; /* 0: the input is not a series */
    uint32_t hop;
    double rate_hz;
    /* Output: what the numbers mean. */
    const char *head; /* "classifier", "regression", … */
    uint32_t label_count;
    uint32_t filter; /* of pictures */
    const char *const *labels; /* label_count of them */
} edgemill_contract;

/* A model that the stage is granted: verified, decrypted, read-only, in locked memory. Valid from activate to
 * the end of deactivate. */
typedef struct edgemill_model {
    const uint8_t *data;
    uint64_t size;
    const edgemill_contract *contract;
} edgemill_model;

#endif
