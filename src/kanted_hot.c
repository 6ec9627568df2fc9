/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_hot.h"

#include "base/log.h"
#include "xdp/xdp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(CONFIG_HOT_VALUE_BYTES_MAX <= SLOT_VALUE_BYTES_MAX, "a slot has room for it");
_Static_assert(CONFIG_HOT_KEY_COUNT_MAX <= SHOW_KEYS_MAX, "as many as may be asked for");
_Static_assert(PORT_COUNT_MAX <= SHOW_PROGRAMS_MAX, "each port may have one");

static void find_programs(struct kanted_hot *hot)
{
	const struct config *config = hot->workers->config;

	for (uint32_t i = 0; hot->workers->dpdk != NULL && i < config->port_count; i++) {
		struct xdp *program =
		    config->ports[i].kind == PORT_XDP ? dpdk_xdp(hot->workers->dpdk, i) : NULL;

		if (program != NULL && config->ports[i].udp_port != 0)
			hot->programs[hot->program_count++] = program;
	}
}

/* One show a worker, of all programs. */
static void show_to_all(struct kanted_hot *hot)
{
	struct show_options options = {
	    .program_count = hot->program_count,
	    .hits_count = xdp_hits_count(),
	    .value_bytes_max = (uint32_t)hot->workers->config->hot_value_bytes_max,
	    .hash_seed = hot->board->hash_seed,
	};

	for (uint32_t i = 0; i < hot->program_count; i++) {
		options.programs[i] =
		    (struct show_program){xdp_slots(hot->programs[i]), xdp_hits(hot->programs[i])};
		xdp_settings(hot->programs[i])->hash_seed = options.hash_seed;
	}
	for (uint32_t i = 0; i < hot->workers->shared.count; i++)
		worker_show_to(hot->workers->list[i].worker, &hot->shows[i], &options);
}

int kanted_hot_create(struct kanted_hot *hot, struct kanted_workers *workers)
{
	static const struct counter_description counters[] = {BOARD_COUNTERS(COUNTER_DESCRIBE)};
	uint32_t count = workers->shared.count;
	struct memory memory = {.bytes = board_bytes(count)};

	hot->workers = workers;
	find_programs(hot);
	if (hot->program_count == 0)
		return 0;
	hot->board = calloc(1, sizeof(*hot->board));
	hot->shows = calloc(count, sizeof(*hot->shows));
	if (posix_memalign(&hot->board_memory, 2 * CACHE_LINE_BYTES, memory.bytes) != 0)
		hot->board_memory = NULL;
	if (hot->board == NULL || hot->shows == NULL || hot->board_memory == NULL) {
		log_error("no memory is left for hot keys");
		return -ENOMEM;
	}
	memset(hot->board_memory, 0, memory.bytes);
	memory.base = hot->board_memory;
	board_create(hot->board, count, kanted_random_seed(), &memory);
	worker_add_counters(workers->list[0].worker,
	                    &(struct counter_group){
	                        .module = "hot",
	                        .index = COUNTER_NO_INDEX,
	                        .descriptions = counters,
	                        .count = sizeof(counters) / sizeof(counters[0]),
	                        .counters = (const _Atomic uint64_t *)&hot->board->counters,
	                        .is_common = true,
	                    });
	workers->published[0] = worker_published(workers->list[0].worker);
	show_to_all(hot);
	workers->shared.board = hot->board;
	kanted_hot_change(hot);
	return 0;
}

static uint32_t owner_of(void *context, struct slice key)
{
	const struct workers *workers = context;

	return workers->count == 1 ? 0 : shards_owner(&workers->shards, key);
}

void kanted_hot_decide(struct kanted_hot *hot)
{
	struct board_limits limits;

	if (hot->board == NULL)
		return;
	limits = (struct board_limits){
	    .count_max = (uint32_t)hot->workers->config->hot_key_count_max,
	    .rate_min = hot->workers->config->hot_rate_min,
	};
	board_decide(hot->board, &limits, owner_of, &hot->workers->shared);
}

void kanted_hot_change(struct kanted_hot *hot)
{
	const struct config *config = hot->workers->config;

	for (uint32_t i = 0; hot->board != NULL && i < hot->program_count; i++) {
		struct xdp_settings *settings = xdp_settings(hot->programs[i]);

		/* each a number that the program loads once */
		settings->amplification_max = (uint32_t)config->udp_amplification_max;
		settings->rate_max = (uint32_t)config->udp_rate_max;
		settings->reply_bytes_max = (uint32_t)config->udp_reply_bytes_max;
	}
}

void kanted_hot_tell(const struct kanted_hot *hot, struct evbuffer *answer)
{
	const struct config *config = hot->workers->config;

	for (uint32_t i = 0; i < config->port_count; i++) {
		struct dpdk *dpdk = hot->workers->dpdk;
		struct xdp *program = config->ports[i].kind == PORT_XDP ? dpdk_xdp(dpdk, i) : NULL;
		const char *who = "workers", *text;

		if (program == NULL) {
			text = "only a port of the kind xdp has an XDP program";
		} else if (dpdk_fault(dpdk, i) != NULL) {
			who = "nobody";
			text = dpdk_fault(dpdk, i);
		} else if (config->ports[i].udp_port == 0) {
			text = "XDP answers UDP, which is off here";
		} else if (config->hot_key_count_max == 0) {
			text = "hot_keys is 0";
		} else {
			who = "xdp";
			text = xdp_is_native(program) ? "native"
			                              : "generic (slow: its driver has no XDP)";
		}
		evbuffer_add_printf(answer, "hot %u %s %s\n", i, who, text);
	}
}

void kanted_hot_destroy(struct kanted_hot *hot)
{
	free(hot->board_memory);
	free(hot->board);
	free(hot->shows);
}
