/* What flows: the kinds of payload, one fixed format, and the range of formats a port can take or give.
 * SPDX-License-Identifier: Apache-2.0
 *
 * All fields are little-endian, as the machine's own; all structs have no hidden padding. */
#ifndef EDGEMILL_FORMAT_H
#define EDGEMILL_FORMAT_H

#include <stdint.h>

/* Kinds of payload. */
#define EDGEMILL_KIND_IMAGE 1u      /* a picture; pixels are in the buffer */
#define EDGEMILL_KIND_TENSOR 2u     /* a dense array, row-major; elements are in the buffer */
#define EDGEMILL_KIND_DETECTIONS 3u /* boxes found in a picture; edgemill_detection[] in the buffer */
#define EDGEMILL_KIND_SERIES 4u     /* samples of sensors; samples are in the buffer, sample-major */
#define EDGEMILL_KIND_EVENT 5u      /* a named decision; wholly inside the packet, no buffer */

/* Types of one element. */
#define EDGEMILL_DTYPE_U8 1u
#define EDGEMILL_DTYPE_I8 2u
#define EDGEMILL_DTYPE_I32 3u
#define EDGEMILL_DTYPE_F32 4u

/* V4L2's codes for pixel formats (linux/videodev2.h), four ASCII characters, the first in the lowest byte. */
#define EDGEMILL_FOURCC(a, b, c, d) \
    ((uint32_t)(a) | ((uint32_t)(b) << 8) | ((uint32_t)(c) << 16) | ((uint32_t)(d) << 24))
#define EDGEMILL_FOURCC_YUYV EDGEMILL_FOURCC('Y', 'U', 'Y', 'V') /* 4:2:2, BT.601 limited range */
#define EDGEMILL_FOURCC_NV12 EDGEMILL_FOURCC('N', 'V', '1', '2') /* 4:2:0, planes of Y and of U V, as YUYV */
/* A JPEG of the picture in the first plane, from its first byte to its end marker; what follows is not looked at.
 * The stride is the share of a row in the most bytes that it may take: 2 * width where nobody says more. */
#define EDGEMILL_FOURCC_MJPEG EDGEMILL_FOURCC('M', 'J', 'P', 'G')
#define EDGEMILL_FOURCC_GREY EDGEMILL_FOURCC('G', 'R', 'E', 'Y') /* 8-bit luma, full range */
#define EDGEMILL_FOURCC_RGB24 EDGEMILL_FOURCC('R', 'G', 'B', '3') /* R, G, B, 8 bits each */

#define EDGEMILL_MAX_PLANES 3
#define EDGEMILL_MAX_RANK 6
#define EDGEMILL_MAX_VALUES 4
#define EDGEMILL_NAME_BYTES 24

/* One plane of a picture: where it starts in the buffer and how far one row is from the next, in bytes. */
typedef struct edgemill_plane {
    uint32_t offset;
    uint32_t stride;
} edgemill_plane;

typedef struct edgemill_image {
    uint32_t fourcc;
    uint32_t width;  /* pixels */
    uint32_t height; /* pixels */
    uint32_t plane_count;
    edgemill_plane planes[EDGEMILL_MAX_PLANES];
} edgemill_image;

/* A tensor. Dimensions beyond rank are 0. The real value of an int8 or uint8 element is
 * scale * (element - zero_point); scale is 0 where the elements are not quantized. */
typedef struct edgemill_tensor {
    uint32_t dtype;
    uint32_t rank;
    uint32_t shape[EDGEMILL_MAX_RANK];
    float scale;
    int32_t zero_point;
} edgemill_tensor;

typedef struct edgemill_detections {
    uint32_t count;        /* boxes in the buffer; in a format: the most there can be */
    uint32_t frame_width;  /* of the picture that the boxes refer to, pixels */
    uint32_t frame_height;
    uint32_t reserved;
} edgemill_detections;

/* One box, in pixels of the frame, x to the right and y down. An element of a detections buffer. */
typedef struct edgemill_detection {
    float x0, y0, x1, y1;
    float score; /* 0..1 */
    uint32_t class_id;
    uint64_t track_id; /* 0: not tracked */
} edgemill_detection;

typedef struct edgemill_series {
    uint32_t dtype;
    uint32_t channels;
    uint32_t samples; /* per channel */
    uint32_t reserved;
    double rate_hz;
} edgemill_series;

/* A number with a name; the name is UTF-8, ended and filled by NUL bytes. */
typedef struct edgemill_value {
    char name[EDGEMILL_NAME_BYTES];
    double value;
} edgemill_value;

/* A decision, what an actuator acts on: "red" with score 0.98. */
typedef struct edgemill_event {
    char name[EDGEMILL_NAME_BYTES];
    uint32_t value_count;
    uint32_t reserved;
    edgemill_value values[EDGEMILL_MAX_VALUES];
} edgemill_event;

typedef union edgemill_payload {
    edgemill_image image;
    edgemill_tensor tensor;
    edgemill_detections detections;
    edgemill_series series;
    edgemill_event event;
} edgemill_payload;

/* A format, fixed. For events the payload is not read. */
typedef struct edgemill_format {
    uint32_t kind;
    uint32_t reserved;
    edgemill_payload payload;
} edgemill_format;

/* What a port can take or give: every numeric field of the payload lies between `least` and `most`, both
 * inclusive. Fields that name rather than count (fourcc, plane_count, planes, dtype, rank, scale, zero_point)
 * are read from `least`; 0 there means any. A port lists its ranges best first. */
typedef struct edgemill_format_range {
    edgemill_format least;
    edgemill_format most;
} edgemill_format_range;

#endif
