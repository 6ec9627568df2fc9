/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions over a real shard, with clients that are buffers: no network, no clock. Shared by the
 * conversation runner, the session's unit tests and the fuzzer. Time is data. */
#pragma once

#include "base/random.h"
#include "proto/udp_frame.h"
#include "shard/call.h"
#include "worker/datagram.h"
#include "worker/session.h"
#include "worker/stats.h"

#include <stdlib.h>
#include <sys/mman.h>

#define RIG_UNIX_TIME_S     1790000000u
#define RIG_SHARD_COUNT_MAX 4
#define RIG_CALL_COUNT      64

struct bytes {
	uint8_t *data;
	size_t length;
	size_t capacity;
};

static inline void bytes_append(struct bytes *bytes, const void *data, size_t length)
{
	if (bytes->length + length > bytes->capacity) {
		bytes->capacity = 2 * (bytes->length + length) + 64;
		bytes->data = realloc(bytes->data, bytes->capacity);
		ASSERT(bytes->data != NULL);
	}
	if (length > 0)
		memcpy(bytes->data + bytes->length, data, length);
	bytes->length += length;
}

static inline void bytes_drop_front(struct bytes *bytes, size_t length)
{
	ASSERT(length <= bytes->length);
	if (length > 0)
		memmove(bytes->data, bytes->data + length, bytes->length - length);
	bytes->length -= length;
}

struct rig_options {
	uint32_t block_count;              /* 0: plenty */
	uint32_t session_count_max;        /* 0: 1 */
	uint32_t line_buffer_count;        /* 0: 4 */
	uint32_t output_bytes_max;         /* 0: 256 KiB */
	uint32_t value_bytes_max;          /* 0: 1 MiB */
	uint32_t datagram_reply_bytes_max; /* 0: 1,400 */
	uint32_t memory_bytes;             /* of the shard; 0: 16 MiB; at least what it needs */
	const char *password;              /* of the user "user"; NULL: nobody has to log in */
	bool with_classes;                 /* rig_classes() */
	/* 0: 1; of more, memory_bytes each, the others belong to workers without sessions, who
	 * serve at random times (the seed) */
	uint32_t shard_count;
	uint64_t seed;
};

struct rig {
	struct worker_time time;
	struct block_pool blocks;
	struct shard *shard; /* the sessions' worker's: the first one of … */
	struct shard *all[RIG_SHARD_COUNT_MAX];
	struct shards shards;
	uint32_t shard_count;
	struct random random;
	struct session_counters no_sessions;
	struct stats_worker stats_workers[RIG_SHARD_COUNT_MAX];
	struct stats_shared stats_shared;
	struct prefixes no_prefixes;
	struct stats stats;
	struct sessions sessions;
	struct datagram_server datagrams;
	struct login_worker login;
	const char *password; /* of the user "user" */
	struct classes classes;
	uint64_t ticket; /* of a login that has no answer yet */
	bool has_asked, is_right;
	struct ip_address datagram_source;
	struct bytes datagrams_sent; /* two bytes of length, then the datagram */
	uint8_t *datagram;           /* being written */
	bool has_no_packets;         /* to write datagrams into */
	void *region;
	size_t region_bytes;
};

struct rig_client {
	struct stream stream;
	struct session session;
	struct rig *rig;
	struct bytes unsent;  /* what the session has not taken yet */
	struct bytes replies; /* what it has replied, and the test has not looked at */
	bool reads_not;       /* leaves replies in the stream's `out` */
	bool is_closed;
	bool is_aborted;
	bool is_resumed;
	bool is_finished; /* half-closed, and the session knows */
	uint32_t push_count;
};

static inline struct rig_client *rig_client_of(struct stream *stream)
{
	return (struct rig_client *)stream;
}

static inline void rig_push(struct stream *stream)
{
	rig_client_of(stream)->push_count++;
}

static inline void rig_close(struct stream *stream)
{
	ASSERT(!rig_client_of(stream)->is_closed);
	rig_client_of(stream)->is_closed = true;
}

static inline void rig_abort(struct stream *stream)
{
	rig_close(stream);
	rig_client_of(stream)->is_aborted = true;
}

static inline void rig_resume(struct stream *stream)
{
	rig_client_of(stream)->is_resumed = true;
}

static inline void rig_describe(const struct stream *stream, struct stream_ends *ret_ends)
{
	*ret_ends = (struct stream_ends){.id = 7, .remote_port = 1234, .local_port = 11211};
	ip_address_parse(&ret_ends->local, "127.0.0.1");
	ip_address_parse(&ret_ends->remote, "127.0.0.2");
}

static const struct stream_ops rig_ops = {rig_push, rig_close, rig_abort, rig_resume, rig_describe};

static inline void rig_read_facts(void *context, struct stats_facts *ret_facts)
{
	const struct rig *rig = context;

	*ret_facts = (struct stats_facts){
	    .pid = 4711,
	    .uptime_s = rig->time.now_s - 1,
	    .unix_time_s = RIG_UNIX_TIME_S + rig->time.now_s,
	    .rusage_user_us = 1000042,
	    .rusage_system_us = 999999,
	    .connection_count_max = 1024,
	    .value_bytes_max = rig->sessions.options.value_bytes_max,
	    .tcp_port = 11211,
	    .version = "1.6.45",
	    .interface = "127.0.0.1",
	    .backlog = 1024,
	    .unix_path = "NULL",
	    .unix_mode = "700",
	};
}

static inline bool rig_login_ask(void *context, uint64_t ticket, struct slice name,
                                 struct slice password)
{
	struct rig *rig = context;

	if (rig->has_asked)
		return false;
	rig->has_asked = true;
	rig->ticket = ticket;
	rig->is_right = name.length == 4 && memcmp(name.data, "user", 4) == 0 &&
	                password.length == strlen(rig->password) &&
	                memcmp(password.data, rig->password, password.length) == 0;
	return true;
}

static inline bool rig_login_answer(void *context, uint64_t *ret_ticket, bool *ret_ok)
{
	struct rig *rig = context;

	if (!rig->has_asked)
		return false;
	rig->has_asked = false;
	*ret_ticket = rig->ticket;
	*ret_ok = rig->is_right;
	return true;
}

static inline bool rig_debug_time(void *context, enum debug_time change, uint32_t seconds)
{
	struct rig *rig = context;

	if (change != DEBUG_TIME_ADVANCE)
		return true;
	if (rig->time.now_s + seconds > INT32_MAX)
		return false;
	rig->time.now_s += seconds;
	return true;
}

static inline uint32_t rig_default(uint32_t value, uint32_t otherwise)
{
	return value == 0 ? otherwise : value;
}

static inline void rig_create_shards(struct rig *rig, struct shard_options *options,
                                     struct memory *memory)
{
	if (rig->shard_count > 1) {
		shards_create(&rig->shards, rig->shard_count, RIG_CALL_COUNT, memory);
		epoch_enter(&rig->shards.epoch, 0);
		options->shards = &rig->shards;
	}
	for (; options->number < rig->shard_count; options->number++)
		ASSERT(shard_create(&rig->all[options->number], options, memory) == 0);
	rig->shard = rig->all[0];
}

/* Those that the scripts go by; test_hardening.py has the same. */
static inline void rig_classes(struct classes *classes)
{
	static const struct class_rules rules[] = {
	    {.name = "short",
	     .prefix = "short:",
	     .prefix_bytes = 6,
	     .priority = 5,
	     .share_max = 100,
	     .ttl_default_s = 20,
	     .ttl_max_s = 60},
	    {.name = "longer",
	     .prefix = "short:longer:",
	     .prefix_bytes = 13,
	     .priority = 5,
	     .share_max = 100,
	     .ttl_max_s = 100},
	    {.name = "few",
	     .prefix = "few:",
	     .prefix_bytes = 4,
	     .priority = 5,
	     .share_max = 100,
	     .rate_max = 3},
	};

	classes_create(classes);
	for (uint32_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		classes_add(classes, &rules[i]);
}

static inline void rig_count_workers(struct rig *rig)
{
	for (uint32_t i = 0; i < rig->shard_count; i++)
		rig->stats_workers[i] = (struct stats_worker){
		    .shard = shard_counters(rig->all[i]),
		    .store = shard_store_counters(rig->all[i]),
		    .sessions = i == 0 ? &rig->sessions.counters : &rig->no_sessions,
		    .prefixes = i == 0 ? &rig->stats.prefixes : &rig->no_prefixes,
		};
}

static inline struct rig *rig_create(const struct rig_options *options)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct shard_options shard_options = {
	    .value_bytes_max = rig_default(options->value_bytes_max, 1 << 20),
	    .hash_seed = 42,
	    .unix_time_at_start_s = RIG_UNIX_TIME_S,
	};
	struct sessions_options sessions_options = {
	    .value_bytes_max = shard_options.value_bytes_max,
	    .output_bytes_max = rig_default(options->output_bytes_max, 256 << 10),
	    .line_buffer_count = rig_default(options->line_buffer_count, 4),
	    .session_count_max = rig_default(options->session_count_max, 1),
	    .request_timeout_us = 10000000,
	    .version = "1.6.45",
	    .debug_time = rig_debug_time,
	    .debug_time_context = rig,
	};
	struct datagram_options datagram_options = {
	    .reply_bytes_max = rig_default(options->datagram_reply_bytes_max, 1400),
	    .amplification_max = 10};
	uint32_t block_count = rig_default(options->block_count, 4096);
	struct stats_options stats_options = {
	    .workers = rig->stats_workers,
	    .worker_count = rig_default(options->shard_count, 1),
	    .shared = &rig->stats_shared,
	    .read_facts = rig_read_facts,
	    .context = rig,
	};
	struct memory memory = {0};
	struct references references;

	rig->shard_count = stats_options.worker_count;
	shard_options.memory_bytes =
	    max_u64(shard_memory_bytes_min(shard_options.value_bytes_max, rig->shard_count),
	            rig_default(options->memory_bytes, 16 << 20));
	if (rig->shard_count > 1) {
		sessions_options.other_count = rig->shard_count - 1;
		sessions_options.call_count = RIG_CALL_COUNT;
	}
	memory.bytes = rig->shard_count * memory_rounded(shard_options.memory_bytes) +
	               shards_bytes(rig->shard_count, RIG_CALL_COUNT) +
	               block_pool_bytes(block_count) + stats_bytes() +
	               sessions_bytes(&sessions_options) + datagram_bytes(&datagram_options);
	/* Fresh pages are zero, and cost nothing until they are used. */
	rig->region =
	    mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(rig->region != MAP_FAILED);
	memory.base = rig->region;
	rig->region_bytes = memory.bytes;
	rig->time = (struct worker_time){.now_us = 1000000, .now_s = 1};
	rig->login = (struct login_worker){rig_login_ask, rig_login_answer, rig};
	rig->password = options->password;
	if (rig->password != NULL)
		sessions_options.login = &rig->login;
	if (options->with_classes) {
		rig_classes(&rig->classes);
		shard_options.classes = &rig->classes;
	}
	rig->random = random_seeded(options->seed);
	rig_create_shards(rig, &shard_options, &memory);
	references = shard_references(rig->shard);
	block_pool_create(&rig->blocks, block_count, &memory, &references);
	stats_create(&rig->stats, &stats_options, &memory);
	rig->stats.hot = shard_hot(rig->shard);
	sessions_create(&rig->sessions, &sessions_options, rig->shard, &rig->blocks, &rig->stats,
	                &memory);
	sessions_follow(&rig->sessions, &rig->time);
	datagram_create(&rig->datagrams, &datagram_options, rig->shard, &rig->sessions.lookahead,
	                &memory);
	rig_count_workers(rig);
	return rig;
}

static inline bool rig_has_calls(const struct rig *rig)
{
	return rig->sessions.free_call_count < rig->sessions.options.call_count;
}

/* All that a worker does but to take in requests, and what the others do. */
static inline void rig_turn(struct rig *rig)
{
	if (rig->shard_count > 1) {
		epoch_pass(&rig->shards.epoch, 0);
		shard_work(rig->shard, rig->time.now_s);
		shard_foresee_calls(rig->shard);
		sessions_serve_calls(&rig->sessions, &rig->time);
	}
	sessions_advance(&rig->sessions, &rig->time);
	for (uint32_t i = 1; i < rig->shard_count; i++) {
		if (random_below(&rig->random, 2) == 0)
			continue;
		shard_work(rig->all[i], rig->time.now_s);
		shard_foresee_calls(rig->all[i]);
		shard_foresee_called_items(rig->all[i]);
		shard_serve_calls(rig->all[i], rig->time.now_s);
	}
}

/* All clients must be gone; asserts that they have left nothing behind. */
static inline void rig_destroy(struct rig *rig)
{
	while (rig_has_calls(rig))
		rig_turn(rig);
	ASSERT(rig->blocks.free_count == rig->blocks.block_count);
	ASSERT(rig->sessions.waiting.first == NULL && rig->sessions.waiting.last == NULL);
	ASSERT(rig->sessions.deadlines.first == NULL && rig->sessions.deadlines.last == NULL);
	ASSERT(counter_read(&rig->sessions.counters.curr_connections) == 0);
	ASSERT(rig->sessions.free_line_buffer_count == rig->sessions.options.line_buffer_count);
	for (uint32_t i = 0; i < rig->shard_count; i++) {
		ASSERT(counter_read(&shard_store_counters(rig->all[i])->reservations) == 0);
		ASSERT(counter_read(&shard_store_counters(rig->all[i])->pins) == 0);
		shard_check(rig->all[i]);
	}
	free(rig->datagrams_sent.data);
	munmap(rig->region, rig->region_bytes);
	free(rig);
}

static inline struct rig_client *rig_connect(struct rig *rig)
{
	struct rig_client *client = calloc(1, sizeof(*client));

	client->rig = rig;
	client->stream.ops = &rig_ops;
	chain_create(&client->stream.out, &rig->blocks);
	session_create(&client->session, &rig->sessions, &client->stream);
	return client;
}

static inline void rig_disconnect(struct rig_client *client)
{
	session_closed(&client->session);
	chain_clear(&client->stream.out);
	free(client->unsent.data);
	free(client->replies.data);
	free(client);
}

/* Reads up to `length` bytes of the replies and tells the session. */
static inline void rig_read(struct rig_client *client, uint64_t length)
{
	struct chain *out = &client->stream.out;
	struct chain_cursor cursor = {0};
	uint8_t part[4096];
	bool drained = false;

	while (length > 0 && out->length > 0) {
		uint32_t got =
		    chain_read(out, &cursor, part, (uint32_t)min_u64(length, sizeof(part)));

		bytes_append(&client->replies, part, got);
		chain_drop_front(out, got);
		cursor = (struct chain_cursor){0};
		length -= got;
		drained = true;
	}
	if (drained && !client->is_closed)
		session_drained(&client->session, &client->rig->time);
}

/* A turn of the loop, as far as the client goes, until nothing moves any more. */
static inline void rig_run(struct rig_client *client)
{
	bool moved;

	do {
		size_t unsent_bytes = client->unsent.length;
		uint32_t taken = 0;

		client->is_resumed = false;
		if (unsent_bytes > 0 && !client->is_closed) {
			/* Exactly as long as it says, so that a sanitizer sees any step over. */
			uint8_t *offered = malloc(unsent_bytes);

			memcpy(offered, client->unsent.data, unsent_bytes);
			taken = session_received(&client->session, offered, (uint32_t)unsent_bytes,
			                         &client->rig->time);
			free(offered);
			bytes_drop_front(&client->unsent, taken);
		}
		moved = taken > 0 && client->unsent.length > 0;
		if (!client->reads_not)
			rig_read(client, UINT64_MAX);
		rig_turn(client->rig);
		if (!client->reads_not)
			rig_read(client, UINT64_MAX); /* what others have answered */
	} while ((moved || client->is_resumed || client->rig->has_asked ||
	          rig_has_calls(client->rig) || client->rig->sessions.turn_wait_count > 0) &&
	         !client->is_closed);
}

static inline void rig_send(struct rig_client *client, const void *data, size_t length)
{
	bytes_append(&client->unsent, data, length);
	rig_run(client);
}

/* Ends what the client sends; all of it must have been taken. */
static inline void rig_finish(struct rig_client *client)
{
	ASSERT(client->is_closed || client->unsent.length == 0);
	if (!client->is_closed)
		session_finished(&client->session);
	client->is_finished = true;
	if (!client->reads_not)
		rig_read(client, UINT64_MAX);
}

static inline void rig_advance_s(struct rig *rig, uint32_t seconds)
{
	rig->time.now_s += seconds;
	rig->time.now_us += seconds * 1000000ull;
	for (uint32_t i = 0; i < rig->shard_count; i++)
		shard_work(rig->all[i], rig->time.now_s);
}

static inline uint8_t *rig_reserve_datagram(void *context)
{
	struct rig *rig = context;

	ASSERT(rig->datagram == NULL);
	if (rig->has_no_packets)
		return NULL;
	rig->datagram = malloc(UDP_FRAME_TOTAL_BYTES);
	ASSERT(rig->datagram != NULL);
	return rig->datagram;
}

static inline void rig_drop_datagram(void *context)
{
	struct rig *rig = context;

	ASSERT(rig->datagram != NULL);
	free(rig->datagram);
	rig->datagram = NULL;
}

static inline void rig_datagram_sent(void *context, uint32_t bytes)
{
	struct rig *rig = context;
	uint8_t length[2];

	ASSERT(bytes <= UDP_FRAME_TOTAL_BYTES);
	store_be16(length, (uint16_t)bytes);
	bytes_append(&rig->datagrams_sent, length, 2);
	bytes_append(&rig->datagrams_sent, rig->datagram, bytes);
	rig_drop_datagram(rig);
}

static inline void rig_send_datagram(struct rig *rig, struct slice datagram, bool trusted)
{
	struct datagram_sink sink = {rig_reserve_datagram, rig_datagram_sent, rig_drop_datagram,
	                             rig};

	datagram_serve(&rig->datagrams, datagram, trusted ? NULL : &rig->datagram_source,
	               rig->time.now_s, &sink);
	ASSERT(rig->datagram == NULL);
}
