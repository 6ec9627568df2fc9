/* SPDX-License-Identifier: Apache-2.0 */
/* watch: clients that are told what happens, line by line, in memcached's words. A line goes to all
 * who watch its kind; one who does not read as fast as things happen misses some, and is told how
 * many. Nobody else waits for them.
 *
 * What the shard tells goes into `stats detail`, too. */
#include "worker/watch.h"

#include "proto/line.h"
#include "proto/number.h"
#include "proto/uri.h"
#include "worker/session_internal.h"
#include "worker/stats.h"

#define HEAD_BYTES       128
#define BLOCK_SHARE      2 /* of the blocks, one in so many is left to the others */
#define FRACTION_DIGITS  6
#define FRACTION_LEADING 1000000
#define LINES_A_TURN     64   /* of each of the others */
#define EXCHANGE_LINES   1024 /* that may be on their way to one worker */

/* From one of the others: a power of two. */
static uint32_t exchange_capacity(uint32_t count)
{
	uint32_t capacity = EXCHANGE_LINES;

	while (capacity > 16 && capacity * count > EXCHANGE_LINES)
		capacity /= 2;
	return capacity;
}

size_t watch_exchange_bytes(uint32_t count)
{
	return memory_rounded(count * count * sizeof(struct spsc)) +
	       memory_rounded(count * count * sizeof(_Atomic uint64_t)) +
	       count * count * spsc_bytes(sizeof(struct watch_line), exchange_capacity(count));
}

void watch_exchange_create(struct watch_exchange *exchange, uint32_t count, struct memory *memory)
{
	*exchange = (struct watch_exchange){
	    .count = count,
	    .lines = memory_take(memory, count * count * sizeof(struct spsc)),
	    .lost = memory_take(memory, count * count * sizeof(_Atomic uint64_t)),
	};
	for (uint32_t i = 0; i < count * count; i++)
		spsc_create(&exchange->lines[i], sizeof(struct watch_line),
		            exchange_capacity(count), memory);
}

static uint32_t pair(const struct watch_exchange *exchange, uint32_t from, uint32_t to)
{
	return from * exchange->count + to;
}

void sessions_observe(struct sessions *sessions)
{
	bool anybody = sessions_watched_kinds(sessions) != 0 || sessions->stats->prefixes.is_on;

	shard_observe(sessions->shard, anybody ? &sessions->observer : NULL);
}

static void watched_kinds_update(struct sessions *sessions)
{
	sessions->watched_kinds = 0;
	for (uint32_t i = 0; i < SESSION_WATCHER_COUNT_MAX; i++)
		if (sessions->watchers[i].session != NULL)
			sessions->watched_kinds |= sessions->watchers[i].kinds;
	if (sessions->options.watch != NULL)
		atomic_store_explicit(
		    &sessions->options.watch->kinds[shard_number(sessions->shard)],
		    sessions->watched_kinds, memory_order_relaxed);
	sessions_observe(sessions);
}

void session_begin_watch(struct session *session, uint32_t kinds, const struct worker_time *time)
{
	struct sessions *sessions = session->sessions;
	uint32_t i = 0;

	while (i < SESSION_WATCHER_COUNT_MAX && sessions->watchers[i].session != NULL)
		i++;
	if (i == SESSION_WATCHER_COUNT_MAX) {
		session_append(session,
		               SLICE_LITERAL("WATCHER_TOO_MANY log watcher limit reached\r\n"));
		return;
	}
	session_append(session, SLICE_LITERAL("OK\r\n"));
	if (session->state == SESSION_ENDED)
		return;
	sessions->watchers[i] = (struct session_watcher){.session = session, .kinds = kinds};
	session->watcher = &sessions->watchers[i];
	session->state = SESSION_WATCH;
	watched_kinds_update(sessions);
}

void session_watch_end(struct session *session)
{
	session->watcher->session = NULL;
	watched_kinds_update(session->sessions);
}

static void skip(struct session_watcher *watcher, uint64_t count)
{
	watcher->skipped_count += count;
	counter_add(&watcher->session->sessions->counters.log_watcher_skipped, count);
}

static void tell_one(struct session_watcher *watcher, struct slice line)
{
	struct session *session = watcher->session;
	struct sessions *sessions = session->sessions;
	struct chain *out = &session->stream->out;
	uint64_t out_bytes = out->length;

	if (out->length >= sessions->options.output_bytes_max ||
	    sessions->blocks->free_count < sessions->blocks->block_count / BLOCK_SHARE) {
		skip(watcher, 1);
		return;
	}
	if (watcher->skipped_count > 0) {
		uint8_t text[NUMBER_TEXT_MAX + 16];
		uint8_t *end = number_write(line_write(text, "skipped="), watcher->skipped_count);

		end = line_write(end, "\n");
		chain_append(out, text, (size_t)(end - text));
		watcher->skipped_count = 0;
	}
	chain_append(out, line.data, line.length);
	counter_add(&sessions->counters.log_watcher_sent, 1);
	counter_add(&sessions->counters.bytes_written, out->length - out_bytes);
	session->stream->ops->push(session->stream);
}

/* ts=<seconds>.<µs> gid=<sequence> type= */
static uint8_t *write_head(struct sessions *sessions, uint8_t *to, const struct watch_line *line)
{
	uint8_t fraction[NUMBER_TEXT_MAX];

	to = line_write(to, "ts=");
	to = number_write(to, shard_unix_time_s(sessions->shard, line->now_s));
	number_write(fraction, FRACTION_LEADING + line->fraction_us);
	fraction[0] = '.';
	memcpy(to, fraction, 1 + FRACTION_DIGITS);
	to = line_write(to + 1 + FRACTION_DIGITS, " gid=");
	to = number_write(to, ++sessions->watch_sequence);
	return line_write(to, " type=");
}

static void tell_own(struct sessions *sessions, const struct watch_line *line)
{
	uint8_t text[HEAD_BYTES + WATCH_LINE_BYTES];
	uint8_t *end;

	if (!(sessions->watched_kinds & line->kind))
		return;
	end = write_head(sessions, text, line);
	memcpy(end, line->text, line->length);
	end += line->length;
	for (uint32_t i = 0; i < SESSION_WATCHER_COUNT_MAX; i++) {
		struct session_watcher *watcher = &sessions->watchers[i];

		if (watcher->session != NULL && (watcher->kinds & line->kind))
			tell_one(watcher, (struct slice){text, (size_t)(end - text)});
	}
}

static void tell_others(struct sessions *sessions, const struct watch_line *line)
{
	struct watch_exchange *exchange = sessions->options.watch;
	uint32_t number = shard_number(sessions->shard);

	if (!(sessions->others_kinds & line->kind))
		return;
	for (uint32_t i = 0; i < exchange->count; i++) {
		uint32_t kinds = atomic_load_explicit(&exchange->kinds[i], memory_order_relaxed);

		if (i != number && (kinds & line->kind) &&
		    !spsc_push(&exchange->lines[pair(exchange, number, i)], line))
			counter_add(&exchange->lost[pair(exchange, number, i)], 1);
	}
}

static void tell(struct sessions *sessions, struct watch_line *line, const uint8_t *end)
{
	ASSERT(end <= line->text + sizeof(line->text));
	line->length = (uint32_t)(end - line->text);
	line->now_s = sessions->watch_time->now_s;
	line->fraction_us = sessions->watch_time->fraction_us;
	tell_own(sessions, line);
	tell_others(sessions, line);
}

/* What one of the others has to tell. */
static void hear(struct sessions *sessions, uint32_t from)
{
	struct watch_exchange *exchange = sessions->options.watch;
	uint32_t at = pair(exchange, from, shard_number(sessions->shard));
	uint64_t lost = counter_read(&exchange->lost[at]);
	const struct watch_line *line;

	for (uint32_t i = 0; i < LINES_A_TURN && (line = spsc_peek(&exchange->lines[at])) != NULL;
	     i++) {
		tell_own(sessions, line);
		spsc_drop(&exchange->lines[at]);
	}
	for (uint32_t i = 0; lost > sessions->lost_heard[from] && i < SESSION_WATCHER_COUNT_MAX;
	     i++)
		if (sessions->watchers[i].session != NULL)
			skip(&sessions->watchers[i], lost - sessions->lost_heard[from]);
	sessions->lost_heard[from] = lost;
}

static void follow_others(struct sessions *sessions)
{
	struct watch_exchange *exchange = sessions->options.watch;
	uint32_t number = shard_number(sessions->shard);
	uint32_t kinds = 0;

	for (uint32_t i = 0; i < exchange->count; i++) {
		if (i == number)
			continue;
		kinds |= atomic_load_explicit(&exchange->kinds[i], memory_order_relaxed);
		hear(sessions, i);
	}
	if (kinds == sessions->others_kinds)
		return;
	sessions->others_kinds = kinds;
	sessions_observe(sessions);
}

void sessions_follow(struct sessions *sessions, const struct worker_time *time)
{
	sessions->watch_time = time;
	if (stats_follow(sessions->stats))
		sessions_observe(sessions);
	if (sessions->options.watch != NULL)
		follow_others(sessions);
}

/* cfd=<connection>, 0 for none */
static uint8_t *write_connection(uint8_t *to, const struct session *session)
{
	struct stream_ends ends = {0};

	if (session != NULL)
		session->stream->ops->describe(session->stream, &ends);
	return number_write(line_write(to, " cfd="), ends.id);
}

static uint8_t *write_size(uint8_t *to, const struct shard_event *event)
{
	to = number_write(line_write(to, " size="), event->value_bytes);
	return line_write(to, "\n");
}

static const char *command_name(enum request_op op)
{
	switch (op) {
	case REQUEST_SET: return "set";
	case REQUEST_ADD: return "add";
	case REQUEST_REPLACE: return "replace";
	case REQUEST_APPEND: return "append";
	case REQUEST_PREPEND: return "prepend";
	default: return "cas";
	}
}

static const char *stored_name(enum reply_status status)
{
	switch (status) {
	case REPLY_STORED: return "stored";
	case REPLY_EXISTS: return "exists";
	case REPLY_NOT_FOUND: return "not_found";
	case REPLY_TOO_LARGE: return "too_large";
	case REPLY_NO_MEMORY: return "no_memory";
	case REPLY_RATE_LIMITED: return "rate_limited";
	default: return "not_stored";
	}
}

/* What is behind the key. */
static uint8_t *write_fetched(uint8_t *to, const struct sessions *sessions,
                              const struct shard_event *event)
{
	to = line_write(to, event->status == REPLY_HIT ? " status=found clsid=1"
	                                               : " status=not_found clsid=0");
	return write_size(write_connection(to, sessions->at_work), event);
}

static uint8_t *write_stored(uint8_t *to, const struct sessions *sessions,
                             const struct shard_event *event)
{
	to = line_write(line_write(to, " status="), stored_name(event->status));
	to = line_write(line_write(to, " cmd="), command_name(event->op));
	to = number_write(line_write(to, " ttl="),
	                  event->ttl_s == TTL_NEVER ? 0 : (uint64_t)event->ttl_s);
	return write_size(write_connection(line_write(to, " clsid=1"), sessions->at_work), event);
}

static uint8_t *write_evicted(uint8_t *to, const struct shard_event *event)
{
	to = line_write(to, event->was_fetched ? " fetch=yes ttl=" : " fetch=no ttl=");
	if (event->ttl_s == TTL_NEVER)
		to = line_write(to, "-1");
	else
		to = number_write(to, (uint64_t)event->ttl_s);
	to = number_write(line_write(to, " la="), event->idle_s);
	return write_size(line_write(to, " clsid=1"), event);
}

static void watch_event(struct sessions *sessions, const struct shard_event *event)
{
	static const struct {
		enum watch_kind kind;
		const char *name;
	} types[] = {
	    [SHARD_FETCHED] = {WATCH_FETCHERS, "item_get key="},
	    [SHARD_STORED] = {WATCH_MUTATIONS, "item_store key="},
	    [SHARD_DELETED] = {WATCH_DELETIONS, "deleted key="},
	    [SHARD_EVICTED] = {WATCH_EVICTIONS, "eviction key="},
	};
	struct watch_line line;
	uint8_t *end;

	line.kind = types[event->kind].kind;
	if (!(sessions_watched_kinds(sessions) & line.kind) ||
	    (event->kind == SHARD_DELETED && event->status != REPLY_DELETED))
		return;
	end = line_write(line.text, types[event->kind].name);
	end = uri_write(end, event->key);
	switch (event->kind) {
	case SHARD_FETCHED: end = write_fetched(end, sessions, event); break;
	case SHARD_STORED: end = write_stored(end, sessions, event); break;
	case SHARD_DELETED: end = write_size(line_write(end, " cmd=delete clsid=1"), event); break;
	case SHARD_EVICTED: end = write_evicted(end, event); break;
	}
	tell(sessions, &line, end);
}

void watch_observe(void *context, const struct shard_event *event)
{
	struct sessions *sessions = context;

	if (!prefixes_count(&sessions->stats->prefixes, event))
		counter_add(&sessions->counters.detail_left_out, 1);
	if (sessions_watched_kinds(sessions) != 0)
		watch_event(sessions, event);
}

void watch_connection(const struct session *session, bool is_new)
{
	static const char *const reasons[] = {
	    [END_NORMAL] = " reason=normal",
	    [END_ERROR] = " reason=error",
	    [END_IDLE_TIMEOUT] = " reason=idle_timeout",
	};
	struct sessions *sessions = session->sessions;
	char address[IP_ADDRESS_TEXT_MAX] = "unix";
	struct stream_ends ends;
	struct watch_line line;
	uint8_t *end;

	session->stream->ops->describe(session->stream, &ends);
	if (!ends.is_unix)
		ip_address_format(&ends.remote, address);
	line.kind = WATCH_CONNECTIONS;
	end = line_write(line.text, is_new ? "conn_new rip=" : "conn_close rip=");
	end = number_write(line_write(line_write(end, address), " rport="), ends.remote_port);
	end = line_write(end, ends.is_unix ? " transport=local" : " transport=tcp");
	if (!is_new)
		end = line_write(end, reasons[session->end]);
	end = line_write(write_connection(end, session), "\n");
	tell(sessions, &line, end);
}
