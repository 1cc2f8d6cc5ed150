/* What a call across the boundary answers. SPDX-License-Identifier: Apache-2.0 */
#ifndef EDGEMILL_STATUS_H
#define EDGEMILL_STATUS_H

#include <stdint.h>

/* Zero and above: the call did what it says. Below zero: it did not, and changed nothing. */
typedef int32_t edgemill_status;

#define EDGEMILL_OK 0
/* From process with reason TURN: the source has ended and must not be called again. */
#define EDGEMILL_END 1

/* An argument is out of its range; the caller is at fault. */
#define EDGEMILL_ERR_BAD_ARGUMENT (-1)
/* The stage is stopping, or its instance was abandoned after a hang: return from process soon. */
#define EDGEMILL_ERR_STOPPING (-2)
/* The port's pool has no free buffer now; the loss is already counted. Never worth waiting for. */
#define EDGEMILL_ERR_NO_BUFFER (-3)
/* Not offered by this side. */
#define EDGEMILL_ERR_UNSUPPORTED (-4)
/* Memory could not be had. */
#define EDGEMILL_ERR_NO_MEMORY (-5)
/* Not granted to this stage. */
#define EDGEMILL_ERR_DENIED (-6)
/* The outside world failed: a device, a file, a socket. */
#define EDGEMILL_ERR_IO (-7)
/* The side that answers is at fault: a defect, caught. */
#define EDGEMILL_ERR_FAULT (-8)

#endif
