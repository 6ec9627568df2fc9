/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/stats.h"

#include "proto/line.h"
#include "proto/number.h"
#include "proto/uri.h"
#include "shard/hot.h"

#include <stdio.h>

#define COUNTER_NAME_MAX 96 /* module, index, name and terminator */

/* Of everything in struct stats_totals. */
static const struct counter_description total_descriptions[] = {SHARD_COUNTERS(
    COUNTER_DESCRIBE) STORE_COUNTERS(COUNTER_DESCRIBE) SESSION_COUNTERS(COUNTER_DESCRIBE)};

/* What a reply is made from. */
struct view {
	struct stats_totals totals;
	struct stats_facts facts;
	uint64_t worker_count;
	uint64_t segment_bytes;
	const char *detail_enabled;
};

enum stat_kind {
	STAT_NUMBER,   /* a uint64_t at offset */
	STAT_SECONDS,  /* a uint64_t of µs at offset, as seconds.µs */
	STAT_STRING,   /* a const char * at offset; NULL is "no" */
	STAT_CONSTANT, /* text */
};

struct stat_line {
	const char *name;
	const char *text;
	uint16_t offset; /* in struct view */
	uint8_t kind;
};

#define NUMBER(name, field)                                                                        \
	{                                                                                          \
		name, NULL, offsetof(struct view, field), STAT_NUMBER                              \
	}
#define SECONDS(name, field)                                                                       \
	{                                                                                          \
		name, NULL, offsetof(struct view, field), STAT_SECONDS                             \
	}
#define STRING(name, field)                                                                        \
	{                                                                                          \
		name, NULL, offsetof(struct view, field), STAT_STRING                              \
	}
#define CONSTANT(name, text)                                                                       \
	{                                                                                          \
		name, text, 0, STAT_CONSTANT                                                       \
	}
#define SHARD(name)    NUMBER(#name, totals.shard.name)
#define STORE(name)    NUMBER(#name, totals.store.name)
#define SESSIONS(name) NUMBER(#name, totals.sessions.name)

/* In memcached's order. Constants are what memcached has and a segment store on DPDK has not. */
static const struct stat_line general_lines[] = {
    NUMBER("pid", facts.pid),
    NUMBER("uptime", facts.uptime_s),
    NUMBER("time", facts.unix_time_s),
    STRING("version", facts.version),
    CONSTANT("pointer_size", "64"),
    SECONDS("rusage_user", facts.rusage_user_us),
    SECONDS("rusage_system", facts.rusage_system_us),
    NUMBER("max_connections", facts.connection_count_max),
    SESSIONS(curr_connections),
    SESSIONS(total_connections),
    NUMBER("rejected_connections", facts.rejected_connections),
    NUMBER("connection_structures", totals.sessions.curr_connections),
    SHARD(cmd_get),
    SHARD(cmd_set),
    SHARD(cmd_flush),
    SHARD(cmd_touch),
    SHARD(cmd_meta),
    SHARD(get_hits),
    SHARD(get_misses),
    SHARD(get_expired),
    SHARD(get_flushed),
    SHARD(delete_misses),
    SHARD(delete_hits),
    SHARD(incr_misses),
    SHARD(incr_hits),
    SHARD(decr_misses),
    SHARD(decr_hits),
    SHARD(cas_misses),
    SHARD(cas_hits),
    SHARD(cas_badval),
    SHARD(touch_hits),
    SHARD(touch_misses),
    SHARD(store_too_large),
    SHARD(store_no_memory),
    SESSIONS(auth_cmds),
    SESSIONS(auth_errors),
    SESSIONS(bytes_read),
    SESSIONS(bytes_written),
    STORE(limit_maxbytes),
    CONSTANT("accepting_conns", "1"),
    CONSTANT("listen_disabled_num", "0"),
    CONSTANT("time_in_listen_disabled_us", "0"),
    NUMBER("threads", worker_count),
    CONSTANT("conn_yields", "0"),
    CONSTANT("hash_power_level", "0"),
    STORE(hash_bytes),
    CONSTANT("hash_is_expanding", "0"),
    CONSTANT("slab_reassign_running", "0"),
    CONSTANT("slabs_moved", "0"),
    CONSTANT("lru_crawler_running", "0"),
    CONSTANT("lru_crawler_starts", "0"),
    CONSTANT("lru_maintainer_juggles", "0"),
    CONSTANT("malloc_fails", "0"),
    CONSTANT("log_worker_dropped", "0"),
    CONSTANT("log_worker_written", "0"),
    SESSIONS(log_watcher_skipped),
    SESSIONS(log_watcher_sent),
    STORE(bytes),
    STORE(curr_items),
    STORE(total_items),
    CONSTANT("slab_global_page_pool", "0"),
    STORE(expired_unfetched),
    STORE(evicted_unfetched),
    CONSTANT("evicted_active", "0"),
    STORE(evictions),
    STORE(reclaimed),
    CONSTANT("crawler_reclaimed", "0"),
    CONSTANT("crawler_items_checked", "0"),
    CONSTANT("lrutail_reflocked", "0"),
    CONSTANT("moves_to_cold", "0"),
    CONSTANT("moves_to_warm", "0"),
    CONSTANT("moves_within_lru", "0"),
    CONSTANT("direct_reclaims", "0"),
    CONSTANT("lru_bumps_dropped", "0"),
};

static const struct stat_line settings_lines[] = {
    NUMBER("maxbytes", totals.store.limit_maxbytes),
    NUMBER("maxconns", facts.connection_count_max),
    NUMBER("tcpport", facts.tcp_port),
    NUMBER("udpport", facts.udp_port),
    STRING("inter", facts.interface),
    CONSTANT("verbosity", "0"),
    CONSTANT("oldest", "0"),
    CONSTANT("evictions", "on"),
    STRING("domain_socket", facts.unix_path),
    STRING("umask", facts.unix_mode),
    STRING("shutdown_command", facts.shutdown_command),
    CONSTANT("growth_factor", "1.25"),
    CONSTANT("chunk_size", "48"),
    NUMBER("num_threads", worker_count),
    NUMBER("num_threads_per_udp", worker_count),
    CONSTANT("stat_key_prefix", ":"),
    STRING("detail_enabled", detail_enabled),
    CONSTANT("reqs_per_event", "20"),
    CONSTANT("cas_enabled", "yes"),
    NUMBER("tcp_backlog", facts.backlog),
    CONSTANT("binding_protocol", "auto-negotiate"),
    STRING("auth_enabled_sasl", facts.auth_sasl),
    STRING("auth_enabled_ascii", facts.auth_file),
    NUMBER("item_size_max", facts.value_bytes_max),
    CONSTANT("maxconns_fast", "yes"),
    CONSTANT("hashpower_init", "0"),
    CONSTANT("slab_reassign", "no"),
    CONSTANT("slab_automove", "0"),
    CONSTANT("slab_automove_ratio", "0.80"),
    CONSTANT("slab_automove_window", "30"),
    CONSTANT("slab_chunk_max", "524288"),
    CONSTANT("lru_crawler", "no"),
    CONSTANT("lru_crawler_sleep", "100"),
    CONSTANT("lru_crawler_tocrawl", "0"),
    CONSTANT("tail_repair_time", "0"),
    CONSTANT("flush_enabled", "yes"),
    CONSTANT("dump_enabled", "yes"),
    CONSTANT("hash_algorithm", "xxh3"),
    CONSTANT("lru_maintainer_thread", "no"),
    CONSTANT("lru_segmented", "no"),
    CONSTANT("hot_lru_pct", "20"),
    CONSTANT("warm_lru_pct", "40"),
    CONSTANT("hot_max_factor", "0.20"),
    CONSTANT("warm_max_factor", "2.00"),
    CONSTANT("temp_lru", "no"),
    CONSTANT("temporary_ttl", "61"),
    NUMBER("idle_timeout", facts.idle_timeout_s),
    CONSTANT("watcher_logbuf_size", "262144"),
    CONSTANT("worker_logbuf_size", "65536"),
    CONSTANT("read_buf_mem_limit", "0"),
    CONSTANT("track_sizes", "no"),
    CONSTANT("inline_ascii_response", "no"),
    CONSTANT("ssl_enabled", "no"),
};

/* A segment store has one class of everything, shown as memcached's first. */
static const struct stat_line items_lines[] = {
    NUMBER("items:1:number", totals.store.curr_items),
    CONSTANT("items:1:number_hot", "0"),
    CONSTANT("items:1:number_warm", "0"),
    NUMBER("items:1:number_cold", totals.store.curr_items),
    CONSTANT("items:1:age_hot", "0"),
    CONSTANT("items:1:age_warm", "0"),
    CONSTANT("items:1:age", "0"),
    NUMBER("items:1:mem_requested", totals.store.bytes),
    NUMBER("items:1:evicted", totals.store.evictions),
    CONSTANT("items:1:evicted_nonzero", "0"),
    CONSTANT("items:1:evicted_time", "0"),
    NUMBER("items:1:outofmemory", totals.shard.store_no_memory),
    CONSTANT("items:1:tailrepairs", "0"),
    NUMBER("items:1:reclaimed", totals.store.reclaimed),
    NUMBER("items:1:expired_unfetched", totals.store.expired_unfetched),
    NUMBER("items:1:evicted_unfetched", totals.store.evicted_unfetched),
    CONSTANT("items:1:evicted_active", "0"),
    CONSTANT("items:1:crawler_reclaimed", "0"),
    CONSTANT("items:1:crawler_items_checked", "0"),
    CONSTANT("items:1:lrutail_reflocked", "0"),
    CONSTANT("items:1:moves_to_cold", "0"),
    CONSTANT("items:1:moves_to_warm", "0"),
    CONSTANT("items:1:moves_within_lru", "0"),
    CONSTANT("items:1:direct_reclaims", "0"),
    CONSTANT("items:1:hits_to_hot", "0"),
    CONSTANT("items:1:hits_to_warm", "0"),
    NUMBER("items:1:hits_to_cold", totals.shard.get_hits),
    CONSTANT("items:1:hits_to_temp", "0"),
};

/* A page is a segment; its one chunk is as large. */
static const struct stat_line slabs_lines[] = {
    NUMBER("1:chunk_size", segment_bytes),
    CONSTANT("1:chunks_per_page", "1"),
    NUMBER("1:total_pages", totals.store.segments),
    NUMBER("1:total_chunks", totals.store.segments),
    NUMBER("1:used_chunks", totals.store.segments),
    NUMBER("1:free_chunks", totals.store.segments_free),
    CONSTANT("1:free_chunks_end", "0"),
    NUMBER("1:get_hits", totals.shard.get_hits),
    NUMBER("1:cmd_set", totals.shard.cmd_set),
    NUMBER("1:delete_hits", totals.shard.delete_hits),
    NUMBER("1:incr_hits", totals.shard.incr_hits),
    NUMBER("1:decr_hits", totals.shard.decr_hits),
    NUMBER("1:cas_hits", totals.shard.cas_hits),
    NUMBER("1:cas_badval", totals.shard.cas_badval),
    NUMBER("1:touch_hits", totals.shard.touch_hits),
    CONSTANT("active_slabs", "1"),
    NUMBER("total_malloced", totals.store.limit_maxbytes),
};

static const struct stat_line sizes_lines[] = {
    CONSTANT("sizes_status", "disabled"),
};

size_t stats_bytes(void)
{
	return prefixes_bytes();
}

void stats_create(struct stats *stats, const struct stats_options *options, struct memory *memory)
{
	*stats = (struct stats){.options = *options};
	prefixes_create(&stats->prefixes, &options->key, memory);
}

static void add_counters(_Atomic uint64_t *to, const void *from, size_t bytes)
{
	const _Atomic uint64_t *counters = from;

	for (size_t i = 0; i < bytes / sizeof(*counters); i++)
		counter_add(&to[i], counter_read(&counters[i]));
}

static void sum_workers(const struct stats_options *options, struct stats_totals *totals)
{
	*totals = (struct stats_totals){0};
	for (uint32_t i = 0; i < options->worker_count; i++) {
		const struct stats_worker *worker = &options->workers[i];

		add_counters((_Atomic uint64_t *)&totals->shard, worker->shard,
		             sizeof(totals->shard));
		add_counters((_Atomic uint64_t *)&totals->store, worker->store,
		             sizeof(totals->store));
		add_counters((_Atomic uint64_t *)&totals->sessions, worker->sessions,
		             sizeof(totals->sessions));
	}
}

static void changed(struct stats_shared *shared)
{
	/* Release: pairs with the acquire in stats_follow(). */
	atomic_fetch_add_explicit(&shared->changes, 1, memory_order_release);
}

/* The counters have one writer each, so none is set back: what they were is kept instead. */
static void reset(struct stats *stats)
{
	struct stats_shared *shared = stats->options.shared;

	sum_workers(&stats->options, &shared->baseline);
	atomic_fetch_add_explicit(&shared->resets, 1, memory_order_relaxed);
	changed(shared);
	stats_follow(stats);
}

bool stats_follow(struct stats *stats)
{
	struct stats_shared *shared = stats->options.shared;
	/* Acquire: pairs with changed(); who sees the number sees what has changed. */
	uint32_t changes = atomic_load_explicit(&shared->changes, memory_order_acquire);
	uint32_t resets = atomic_load_explicit(&shared->resets, memory_order_relaxed);
	bool is_on = atomic_load_explicit(&shared->detail_is_on, memory_order_relaxed);
	bool has_changed = is_on != stats->prefixes.is_on;

	if (changes == stats->changes_seen)
		return false;
	stats->prefixes.is_on = is_on;
	if (resets != stats->resets_seen && prefixes_reset(&stats->prefixes))
		stats->resets_seen = resets;
	if (resets == stats->resets_seen) /* else somebody reads: in the next turn */
		stats->changes_seen = changes;
	return has_changed;
}

bool stats_list_prefixes(struct stats *stats, bool (*line)(void *context, struct slice line),
                         void *context)
{
	struct prefixes *all[EPOCH_READERS_MAX];

	for (uint32_t i = 0; i < stats->options.worker_count; i++)
		all[i] = stats->options.workers[i].prefixes;
	return prefixes_list(all, stats->options.worker_count, line, context);
}

static void subtract_baseline(const struct stats *stats, struct stats_totals *totals)
{
	_Atomic uint64_t *counters = (_Atomic uint64_t *)totals;
	const _Atomic uint64_t *baseline =
	    (const _Atomic uint64_t *)&stats->options.shared->baseline;
	size_t count = sizeof(total_descriptions) / sizeof(total_descriptions[0]);

	_Static_assert(sizeof(*totals) / sizeof(*counters) ==
	                   sizeof(total_descriptions) / sizeof(total_descriptions[0]),
	               "nothing but counters");
	for (size_t i = 0; i < count; i++)
		if (total_descriptions[i].kind == COUNTER_TOTAL)
			counter_subtract(&counters[i], counter_read(&baseline[i]));
}

/* seconds.µs, the latter of six digits */
static uint8_t *write_seconds(uint8_t *to, uint64_t us)
{
	uint8_t digits[NUMBER_TEXT_MAX];

	to = number_write(to, us / 1000000);
	number_write(digits, 1000000 + us % 1000000);
	digits[0] = '.';
	memcpy(to, digits, 7);
	return to + 7;
}

static bool add(const struct stats_sink *sink, const char *name, struct slice value)
{
	return sink->add(sink->context, (struct slice){(const uint8_t *)name, strlen(name)}, value);
}

static bool add_line(const struct stats_sink *sink, const struct view *view,
                     const struct stat_line *line)
{
	const void *field = (const uint8_t *)view + line->offset;
	uint8_t number[NUMBER_TEXT_MAX + 7];
	struct slice value;

	switch ((enum stat_kind)line->kind) {
	case STAT_NUMBER:
	case STAT_SECONDS:
		value.data = number;
		value.length = (size_t)((line->kind == STAT_NUMBER
		                             ? number_write(number, *(const uint64_t *)field)
		                             : write_seconds(number, *(const uint64_t *)field)) -
		                        number);
		break;
	default:
		value.data = line->kind == STAT_STRING ? *(const uint8_t *const *)field
		                                       : (const uint8_t *)line->text;
		if (value.data == NULL)
			value.data = (const uint8_t *)"no";
		value.length = strlen((const char *)value.data);
	}
	return add(sink, line->name, value);
}

static bool add_lines(const struct stats *stats, const struct stats_sink *sink,
                      const struct stat_line *lines, size_t count)
{
	struct view view = {.worker_count = stats->options.worker_count};

	sum_workers(&stats->options, &view.totals);
	subtract_baseline(stats, &view.totals);
	view.detail_enabled =
	    atomic_load_explicit(&stats->options.shared->detail_is_on, memory_order_relaxed) ? "yes"
	                                                                                     : NULL;
	view.segment_bytes = counter_read(&stats->options.workers[0].store->segment_bytes);
	stats->options.read_facts(stats->options.context, &view.facts);
	for (size_t i = 0; i < count; i++)
		if (!add_line(sink, &view, &lines[i]))
			return false;
	return true;
}

/* module:name, or module and index:name */
static bool add_counter(const struct stats_sink *sink, const struct counter_group *group, size_t i,
                        uint64_t count)
{
	uint8_t number[NUMBER_TEXT_MAX];
	char name[COUNTER_NAME_MAX];
	struct slice value = {number, (size_t)(number_write(number, count) - number)};

	if (group->index == COUNTER_NO_INDEX)
		snprintf(name, sizeof(name), "%s:%s", group->module, group->descriptions[i].name);
	else
		snprintf(name, sizeof(name), "%s%u:%s", group->module, group->index,
		         group->descriptions[i].name);
	return add(sink, name, value);
}

/* The same counters of another worker; NULL: it has none. */
static const struct counter_group *find_group(const struct stats_worker *worker,
                                              const struct counter_group *group)
{
	for (uint32_t g = 0; g < worker->group_count; g++)
		if (worker->groups[g].descriptions == group->descriptions &&
		    worker->groups[g].index == group->index &&
		    strcmp(worker->groups[g].module, group->module) == 0)
			return &worker->groups[g];
	return NULL;
}

/* The sums over the workers from number `first` on, who is the first that has them. */
static bool add_group(const struct stats_options *options, const struct stats_sink *sink,
                      uint32_t first, const struct counter_group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		uint64_t count = counter_read(&group->counters[i]);

		for (uint32_t w = first + 1; w < options->worker_count; w++) {
			const struct counter_group *other = find_group(&options->workers[w], group);

			if (other != NULL)
				count += counter_read(&other->counters[i]);
		}
		if (!add_counter(sink, group, i, count))
			return false;
	}
	return true;
}

/* Everything that the workers and their ports count, by module: Kante's own, memcached has no such
 * reply. */
static bool add_groups(const struct stats_options *options, const struct stats_sink *sink)
{
	for (uint32_t w = 0; w < options->worker_count; w++)
		for (uint32_t g = 0; g < options->workers[w].group_count; g++) {
			const struct counter_group *group = &options->workers[w].groups[g];
			bool is_new = true;

			for (uint32_t before = 0; before < w; before++)
				is_new &= find_group(&options->workers[before], group) == NULL;
			if (is_new && !add_group(options, sink, w, group))
				return false;
		}
	return true;
}

#define LINES(lines) lines, sizeof(lines) / sizeof(lines[0])

static enum stats_verdict listed(bool all)
{
	return all ? STATS_LISTED : STATS_NO_MEMORY;
}

static enum stats_verdict detail(struct stats *stats, struct slice what)
{
	struct slice word = line_next_word(&what);

	if (slice_equal(word, SLICE_LITERAL("dump")))
		return STATS_DETAIL;
	if (!slice_equal(word, SLICE_LITERAL("on")) && !slice_equal(word, SLICE_LITERAL("off")))
		return STATS_NO_DETAIL;
	atomic_store_explicit(&stats->options.shared->detail_is_on,
	                      slice_equal(word, SLICE_LITERAL("on")), memory_order_relaxed);
	changed(stats->options.shared);
	return STATS_SET;
}

static bool add_hot_number(const struct stats_sink *sink, const char *name, uint64_t number)
{
	uint8_t text[NUMBER_TEXT_MAX];
	uint8_t *end = number_write(text, number);

	return add(sink, name, (struct slice){text, (size_t)(end - text)});
}

/* "key:" and the key, as in a URI: how many requests in the window, so many of them may be others',
 * and so many XDP programs have answered. */
static bool add_hot_key(const struct stats_sink *sink, const struct hot_key *key)
{
	uint8_t name[4 + URI_BYTES_MAX(KEY_BYTES_MAX)] = "key:";
	uint8_t value[3 * NUMBER_TEXT_MAX + 2];
	uint8_t *name_end = uri_write(name + 4, (struct slice){key->bytes, key->length});
	uint8_t *end = number_write(value, key->count);

	*end++ = ' ';
	end = number_write(end, key->count_max_error);
	*end++ = ' ';
	end = number_write(end, key->xdp_count);
	return sink->add(sink->context, (struct slice){name, (size_t)(name_end - name)},
	                 (struct slice){value, (size_t)(end - value)});
}

/* What this worker's clients have asked for in the last whole window. */
static bool add_hot(const struct stats_sink *sink, const struct hot *hot)
{
	const struct hot_window *window = hot->last;
	uint8_t places[HOT_KEY_COUNT];
	uint32_t count = hot_rank(hot, places);

	if (!add_hot_number(sink, "window_us", window->end_us - window->start_us) ||
	    !add_hot_number(sink, "requests", window->request_count) ||
	    !add_hot_number(sink, "samples", window->sample_count))
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!add_hot_key(sink, &window->keys[places[i]]))
			return false;
	return true;
}

enum stats_verdict stats_list(struct stats *stats, struct slice argument,
                              const struct stats_sink *sink)
{
	struct slice name = line_next_word(&argument);

	if (name.length == 0)
		return listed(add_lines(stats, sink, LINES(general_lines)));
	if (slice_equal(name, SLICE_LITERAL("settings")))
		return listed(add_lines(stats, sink, LINES(settings_lines)));
	if (slice_equal(name, SLICE_LITERAL("items")))
		return listed(add_lines(stats, sink, LINES(items_lines)));
	if (slice_equal(name, SLICE_LITERAL("slabs")))
		return listed(add_lines(stats, sink, LINES(slabs_lines)));
	if (slice_equal(name, SLICE_LITERAL("sizes")))
		return listed(add_lines(stats, sink, LINES(sizes_lines)));
	if (slice_equal(name, SLICE_LITERAL("conns")))
		return listed(stats->add_conns == NULL ||
		              stats->add_conns(stats->conns_context, sink));
	if (slice_equal(name, SLICE_LITERAL("hot")))
		return listed(add_hot(sink, stats->hot));
	if (slice_equal(name, SLICE_LITERAL("kante")))
		return listed(add_groups(&stats->options, sink));
	if (slice_equal(name, SLICE_LITERAL("detail")))
		return detail(stats, argument);
	if (slice_equal(name, SLICE_LITERAL("reset"))) {
		reset(stats);
		return STATS_RESET;
	}
	return STATS_UNKNOWN;
}
