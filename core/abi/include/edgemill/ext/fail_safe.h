/* Extension of actuators: the state that is safe. SPDX-License-Identifier: Apache-2.0 */
#ifndef EDGEMILL_EXT_FAIL_SAFE_H
#define EDGEMILL_EXT_FAIL_SAFE_H

#include "../status.h"

#define EDGEMILL_EXT_FAIL_SAFE "edgemill.fail_safe/1"

typedef struct edgemill_fail_safe {
    /* What apply does, in words a person can check against the wiring. Valid until destroy. */
    const char *state;
    /* Puts the output in its safe state. Idempotent; needs no input, no model and no activate. The host calls it
     * when input goes stale, a stage upstream is held, or the pipeline stops, and after the daemon has died.
     * Never overlaps another callback of the instance. [preparing-thread & created] or [stage-thread & active] */
    edgemill_status (*apply)(void *instance);
} edgemill_fail_safe;

#endif
