/* SPDX-License-Identifier: Apache-2.0 */
#include "control/blocking.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define ERROR_BYTES     4096
#define PATH_BYTES      (ADMIN_PATH_BYTES + 32)
#define REASON_BYTES    256
#define BUSY_US         50000
#define PATIENCE_S      5
#define NAMED_COUNT_MAX 256 /* in a line of the audit log: 12 KiB at most */

/* An exchange whose change kanted has not taken yet. */
struct waiting {
	struct blocking *blocking;
	struct exchange *exchange;
	json_t *reply;
	uint64_t change;
	uint64_t end_s; /* monotonic */
	TAILQ_ENTRY(waiting) others;
};

/* Changes are counted: the list at the start is the first one. */
struct blocking {
	struct control *control;
	struct ask *ask;       /* NULL: kanted is not being told */
	struct event *again;   /* tells it again, as it was busy */
	uint64_t changed;      /* the newest change */
	uint64_t asked;        /* the newest that the ask has in it */
	uint32_t asked_count;  /* prefixes that it has */
	uint64_t taken;        /* the newest that kanted goes by */
	uint64_t behind_end_s; /* monotonic: until then it may be without the newest */
	bool is_starting;
	bool is_told;              /* the log says that it is behind */
	char reason[REASON_BYTES]; /* why it was not taken when it was told last */
	TAILQ_HEAD(, waiting) waiting;
};

/* Who waits. */

static void forget(void *data)
{
	struct waiting *waiting = data;

	TAILQ_REMOVE(&waiting->blocking->waiting, waiting, others);
	json_decref(waiting->reply);
	free(waiting);
}

static void refuse(struct exchange *exchange, const char *reason)
{
	exchange_refuse(exchange, HTTP_SERVUNAVAIL,
	                "the list is written down, but %s: it counts when that does; see its log",
	                reason);
}

/* Replies to who has waited for this change or one before it; is_taken: kanted goes by it. The
 * first ones have waited the longest. */
static void reply_up_to(struct blocking *blocking, uint64_t change, bool is_taken)
{
	struct waiting *waiting;

	while ((waiting = TAILQ_FIRST(&blocking->waiting)) != NULL && waiting->change <= change) {
		struct exchange *exchange = waiting->exchange;
		json_t *reply = json_incref(waiting->reply);

		exchange->data = NULL;
		exchange->forget = NULL;
		forget(waiting);
		if (is_taken) {
			exchange_reply(exchange, HTTP_OK, reply);
		} else {
			json_decref(reply);
			refuse(exchange, blocking->reason);
		}
	}
}

static void give_up_on_time(struct blocking *blocking, uint64_t now_s)
{
	const struct waiting *waiting;

	while ((waiting = TAILQ_FIRST(&blocking->waiting)) != NULL && waiting->end_s <= now_s)
		reply_up_to(blocking, waiting->change, false);
}

/* Telling kanted. */

static void set_reason(struct blocking *blocking, const char *error)
{
	if (error == NULL)
		snprintf(blocking->reason, REASON_BYTES,
		         "kanted does not answer the control process");
	else
		snprintf(blocking->reason, REASON_BYTES, "kanted does not take it (%s)", error);
}

/* A line a prefix. NULL: no memory. */
static char *list_text(const struct blocks *blocks, size_t *ret_length, uint32_t *ret_count)
{
	const struct block_entry *list = blocks_list(blocks, ret_count);
	char *text = NULL;
	FILE *to = open_memstream(&text, ret_length);

	if (to == NULL)
		return NULL;
	for (uint32_t i = 0; i < *ret_count; i++) {
		char prefix[IP_PREFIX_TEXT_MAX];

		ip_prefix_format(&list[i].prefix, prefix);
		fprintf(to, "%s\n", prefix);
	}
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

static void ended(void *context, bool is_whole, struct evbuffer *answer);

static void tell(struct blocking *blocking)
{
	struct control *control = blocking->control;
	char line[32], *text;
	size_t length;

	text = list_text(control->blocks, &length, &blocking->asked_count);
	blocking->asked = blocking->changed;
	/* with how many lines come: if we end amid them, that looks like their end */
	snprintf(line, sizeof(line), "block %u", blocking->asked_count);
	if (text == NULL || ask_with_text(&blocking->ask, control->base, control->link_fd, line,
	                                  text, length, ended, blocking) < 0) {
		set_reason(blocking, NULL);
		if (blocking->is_starting)
			event_base_loopbreak(control->base);
	}
	free(text);
}

static void on_again(evutil_socket_t fd, short events, void *context)
{
	tell(context);
}

/* Unless it is being told, or soon will be. */
static void tell_if_behind(struct blocking *blocking)
{
	if (blocking->taken < blocking->changed && blocking->ask == NULL &&
	    !event_pending(blocking->again, EV_TIMEOUT, NULL))
		tell(blocking);
}

static void taken(struct blocking *blocking)
{
	if (blocking->is_told)
		log_info("kanted goes by the block list again");
	blocking->is_told = false;
	blocking->taken = blocking->asked;
	blocking->behind_end_s = control_monotonic_s() + PATIENCE_S;
	reply_up_to(blocking, blocking->taken, true);
	tell_if_behind(blocking);
}

static void ended(void *context, bool is_whole, struct evbuffer *answer)
{
	static const struct timeval busy = {.tv_usec = BUSY_US};
	struct blocking *blocking = context;
	char *line = is_whole ? evbuffer_readln(answer, NULL, EVBUFFER_EOL_LF) : NULL;
	char expected[32];

	blocking->ask = NULL;
	snprintf(expected, sizeof(expected), "blocked %u", blocking->asked_count);
	if (line != NULL && strcmp(line, "busy") == 0) {
		snprintf(blocking->reason, REASON_BYTES,
		         "kanted's workers have not taken the one before it");
		event_add(blocking->again, &busy);
	} else {
		if (line != NULL && strcmp(line, expected) == 0) {
			taken(blocking);
		} else if (line != NULL && strncmp(line, "error ", 6) == 0) {
			set_reason(blocking, line + 6);
			reply_up_to(blocking, blocking->asked, false);
		} else {
			set_reason(blocking, NULL);
		}
		if (blocking->is_starting)
			event_base_loopbreak(blocking->control->base);
	}
	free(line);
}

static void list_changed(struct blocking *blocking)
{
	uint32_t count;

	blocks_list(blocking->control->blocks, &count);
	counter_set(&blocking->control->counters.blocks, count);
	if (blocking->taken == blocking->changed)
		blocking->behind_end_s = control_monotonic_s() + PATIENCE_S;
	blocking->changed++;
	tell_if_behind(blocking);
}

void blocking_reply(struct exchange *exchange, json_t *reply)
{
	struct blocking *blocking = exchange->control->blocking;
	struct waiting *waiting = calloc(1, sizeof(*waiting));

	if (waiting == NULL) {
		json_decref(reply);
		refuse(exchange, "no memory is left to wait for kanted");
	} else {
		*waiting = (struct waiting){.blocking = blocking,
		                            .exchange = exchange,
		                            .reply = reply,
		                            .change = blocking->changed + 1,
		                            .end_s = control_monotonic_s() + PATIENCE_S};
		TAILQ_INSERT_TAIL(&blocking->waiting, waiting, others);
		exchange->data = waiting;
		exchange->forget = forget;
	}
	list_changed(blocking);
}

bool blocking_is_behind(const struct control *control)
{
	const struct blocking *blocking = control->blocking;

	return blocking->taken < blocking->changed &&
	       control_monotonic_s() >= blocking->behind_end_s;
}

/* What has expired. */

void blocking_name(json_t *names, const struct ip_prefix *prefix)
{
	char text[IP_PREFIX_TEXT_MAX];

	if (json_array_size(names) == NAMED_COUNT_MAX)
		return;
	ip_prefix_format(prefix, text);
	json_array_append_new(names, json_string(text));
}

static void name(void *names, const struct block_entry *entry)
{
	blocking_name(names, &entry->prefix);
}

/* Returns how many have expired. */
static uint32_t expire(struct control *control)
{
	json_t *names = json_array();
	char error[ERROR_BYTES];
	uint32_t count;
	int r = blocks_expire(control->blocks, control_now_s(), name, names, &count, error,
	                      sizeof(error));

	if (count > 0) {
		json_t *before =
		    json_pack("{s:I, s:O}", "count", (json_int_t)count, "prefixes", names);
		const struct audit_event event = {
		    .kind = AUDIT_change, .action = "block.expire", .before = before};

		audit_append(control->audit, &event, control_now_us());
		counter_add(&control->counters.blocks_expired, count);
		json_decref(before);
	}
	if (r < 0)
		log_lines(LOG_LEVEL_ERROR, error);
	json_decref(names);
	return count;
}

static void log_behind(struct blocking *blocking)
{
	bool is_behind = blocking_is_behind(blocking->control);

	counter_set(&blocking->control->counters.blocks_behind, is_behind);
	if (!is_behind || blocking->is_told)
		return;
	log_error("the block list has changed, but %s: it is told again until it does",
	          blocking->reason);
	blocking->is_told = true;
}

void blocking_look(struct control *control)
{
	struct blocking *blocking = control->blocking;

	if (expire(control) > 0)
		list_changed(blocking);
	else
		tell_if_behind(blocking);
	give_up_on_time(blocking, control_monotonic_s());
	log_behind(blocking);
}

/* Beginning and end. */

static int read_list(struct control *control)
{
	char path[PATH_BYTES], error[ERROR_BYTES];
	int r;

	snprintf(path, sizeof(path), "%s/blocks.json", control->config->admin.directory);
	r = blocks_open(&control->blocks, path, error, sizeof(error));
	if (r < 0)
		log_lines(LOG_LEVEL_ERROR, error);
	return r;
}

int blocking_start(struct control *control)
{
	struct blocking *blocking = calloc(1, sizeof(*blocking));
	int r;

	if (blocking == NULL)
		return -ENOMEM;
	control->blocking = blocking;
	blocking->control = control;
	TAILQ_INIT(&blocking->waiting);
	blocking->again = event_new(control->base, -1, 0, on_again, blocking);
	r = blocking->again == NULL ? -ENOMEM : read_list(control);
	if (r < 0)
		return r;
	expire(control);
	set_reason(blocking, NULL);
	blocking->is_starting = true;
	list_changed(blocking);
	event_base_dispatch(control->base);
	blocking->is_starting = false;
	if (blocking->taken == blocking->changed)
		return 0;
	log_error("the control process cannot begin: it has a block list, but %s",
	          blocking->reason);
	return -EPROTO;
}

void blocking_stop(struct control *control)
{
	struct blocking *blocking = control->blocking;

	if (blocking == NULL)
		return;
	ask_cancel(blocking->ask);
	if (blocking->again != NULL)
		event_free(blocking->again);
	blocks_close(control->blocks);
	free(blocking);
}
