/* SPDX-License-Identifier: Apache-2.0 */
/* What kanted answers to the control process (keeper/keeper.h). Owner: the keeper. */
#pragma once

#include "kanted_facts.h"
#include "kanted_workers.h"

#include <event2/buffer.h>

/* "NAME value" lines: version, pid, start (Unix time), config, workers, `core N` of each, whether
 * they serve, memory, `port N kind name` of each. */
void answer_facts(const struct kanted_workers *workers, const struct facts *facts,
                  const char *config_path, struct evbuffer *answer);

/* The config that kanted goes by, as a file; nothing when there is no memory for it. */
void answer_config(const struct config *config, struct evbuffer *answer);

/* A line a counter: "worker module port kind unit name value help": worker and port are "-" where
 * there is none, kind is `total` or `level`; help goes on to the end of the line. Of a histogram:
 * "worker module port histogram unit name sum END:COUNT,END:COUNT help", with the buckets that have
 * any, "-" if none has: COUNT of them were below END, and not below the END before. */
void answer_counters(const struct kanted_workers *workers, struct evbuffer *answer);
