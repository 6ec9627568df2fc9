/* SPDX-License-Identifier: Apache-2.0 */
/* watch: clients that are told what happens, line by line, in memcached's words. A line goes to all
 * who watch its kind; one who does not read as fast as things happen misses some, and is told how
 * many. Nobody else waits for them.
 *
 * What the shard tells goes into `stats detail`, too. */
#include "proto/line.h"
#include "proto/number.h"
#include "proto/uri.h"
#include "worker/session_internal.h"
#include "worker/stats.h"

#define LINE_BYTES       (URI_BYTES_MAX(KEY_BYTES_MAX) + 384)
#define BLOCK_SHARE      2 /* of the blocks, one in so many is left to the others */
#define FRACTION_DIGITS  6
#define FRACTION_LEADING 1000000

void sessions_observe(struct sessions *sessions)
{
	bool anybody = sessions->watched_kinds != 0 || sessions->stats->prefixes.is_on;

	shard_observe(sessions->shard, anybody ? &sessions->observer : NULL);
}

static void watched_kinds_update(struct sessions *sessions)
{
	sessions->watched_kinds = 0;
	for (uint32_t i = 0; i < SESSION_WATCHER_COUNT_MAX; i++)
		if (sessions->watchers[i].session != NULL)
			sessions->watched_kinds |= sessions->watchers[i].kinds;
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
	sessions->watch_time = time;
	session->watcher = &sessions->watchers[i];
	session->state = SESSION_WATCH;
	watched_kinds_update(sessions);
}

void session_watch_end(struct session *session)
{
	session->watcher->session = NULL;
	watched_kinds_update(session->sessions);
}

static void skip(struct session_watcher *watcher)
{
	watcher->skipped_count++;
	counter_add(&watcher->session->sessions->counters.log_watcher_skipped, 1);
}

static void tell_one(struct session_watcher *watcher, struct slice line)
{
	struct session *session = watcher->session;
	struct sessions *sessions = session->sessions;
	struct chain *out = &session->stream->out;
	uint64_t out_bytes = out->length;

	if (out->length >= sessions->options.output_bytes_max ||
	    sessions->blocks->free_count < sessions->blocks->block_count / BLOCK_SHARE) {
		skip(watcher);
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
static uint8_t *begin_line(struct sessions *sessions, uint8_t *to)
{
	const struct worker_time *time = sessions->watch_time;
	uint8_t fraction[NUMBER_TEXT_MAX];

	to = line_write(to, "ts=");
	to = number_write(to, shard_unix_time_s(sessions->shard, time->now_s));
	number_write(fraction, FRACTION_LEADING + time->fraction_us);
	fraction[0] = '.';
	memcpy(to, fraction, 1 + FRACTION_DIGITS);
	to = line_write(to + 1 + FRACTION_DIGITS, " gid=");
	to = number_write(to, ++sessions->watch_sequence);
	return line_write(to, " type=");
}

static void tell(struct sessions *sessions, enum watch_kind kind, const uint8_t *line,
                 const uint8_t *end)
{
	for (uint32_t i = 0; i < SESSION_WATCHER_COUNT_MAX; i++) {
		struct session_watcher *watcher = &sessions->watchers[i];

		if (watcher->session != NULL && (watcher->kinds & kind))
			tell_one(watcher, (struct slice){line, (size_t)(end - line)});
	}
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
	uint8_t line[LINE_BYTES];
	uint8_t *end;

	if (!(sessions->watched_kinds & types[event->kind].kind) ||
	    (event->kind == SHARD_DELETED && event->status != REPLY_DELETED))
		return;
	end = line_write(begin_line(sessions, line), types[event->kind].name);
	end = uri_write(end, event->key);
	switch (event->kind) {
	case SHARD_FETCHED: end = write_fetched(end, sessions, event); break;
	case SHARD_STORED: end = write_stored(end, sessions, event); break;
	case SHARD_DELETED: end = write_size(line_write(end, " cmd=delete clsid=1"), event); break;
	case SHARD_EVICTED: end = write_evicted(end, event); break;
	}
	ASSERT(end <= line + sizeof(line));
	tell(sessions, types[event->kind].kind, line, end);
}

void watch_observe(void *context, const struct shard_event *event)
{
	struct sessions *sessions = context;

	if (!prefixes_count(&sessions->stats->prefixes, event))
		counter_add(&sessions->counters.detail_left_out, 1);
	if (sessions->watched_kinds != 0)
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
	uint8_t line[LINE_BYTES];
	uint8_t *end;

	session->stream->ops->describe(session->stream, &ends);
	if (!ends.is_unix)
		ip_address_format(&ends.remote, address);
	end = line_write(begin_line(sessions, line), is_new ? "conn_new rip=" : "conn_close rip=");
	end = number_write(line_write(line_write(end, address), " rport="), ends.remote_port);
	end = line_write(end, ends.is_unix ? " transport=local" : " transport=tcp");
	if (!is_new)
		end = line_write(end, reasons[session->end]);
	end = line_write(write_connection(end, session), "\n");
	tell(sessions, WATCH_CONNECTIONS, line, end);
}
