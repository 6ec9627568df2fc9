/* SPDX-License-Identifier: Apache-2.0 */
/* What Prometheus reads: OpenMetrics 1.0, or the older text format 0.0.4 for whoever does not ask
 * for that. A metric is kante_MODULE_NAME, in base units, with the labels worker, port, class.
 * Owner: the caller. */
#pragma once

#include "control/figures.h"

#define METRICS_OPEN_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Writes all figures, sorted. `facts`: kanted's answer to that; NULL: it does not answer, which is
 * a metric, too. */
void metrics_write(struct evbuffer *to, bool is_open_metrics, const struct control *control,
                   struct figures *figures, const char *facts);
