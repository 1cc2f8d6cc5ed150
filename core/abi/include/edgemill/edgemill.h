/* All of the plugin boundary in one include. SPDX-License-Identifier: Apache-2.0 */
#ifndef EDGEMILL_H
#define EDGEMILL_H

#include "contract.h"
#include "ext/fail_safe.h"
#include "format.h"
#include "host.h"
#include "packet.h"
#include "plugin.h"
#include "status.h"
#include "version.h"

#endif
