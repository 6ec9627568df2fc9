/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/capture_relay.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <unistd.h>

#define OUTPUT_BYTES_MAX 262144 /* waiting for the control process to read */
#define TICK_US          1000   /* a ring takes about what comes in that time at full load */

static void end(struct capture_relay *relay)
{
	for (uint32_t i = 0; i < relay->worker_count; i++)
		capture_end(relay->captures[i]);
	event_del(relay->tick);
	bufferevent_free(relay->socket); /* closes it */
	relay->socket = NULL;
}

static struct evbuffer *output_of(const struct capture_relay *relay)
{
	return bufferevent_get_output(relay->socket);
}

/* The oldest of all workers' copies, as far as they have come. */
static struct capture *oldest(const struct capture_relay *relay,
                              const struct captured **ret_captured)
{
	struct capture *found = NULL;

	for (uint32_t i = 0; i < relay->worker_count; i++) {
		const struct captured *captured = capture_peek(relay->captures[i], relay->number);

		if (captured == NULL ||
		    (found != NULL && captured->time_us >= (*ret_captured)->time_us))
			continue;
		found = relay->captures[i];
		*ret_captured = captured;
	}
	return found;
}

static uint64_t missed_in_all(const struct capture_relay *relay)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < relay->worker_count; i++)
		sum += counter_read(&relay->captures[i]->counters.missed);
	return sum;
}

/* False: no memory, now. */
static bool give(const struct capture_relay *relay, struct capture *capture,
                 const struct captured *captured)
{
	struct evbuffer *output = output_of(relay);
	struct slice piece;

	if (evbuffer_expand(output, sizeof(*captured) + captured->kept) < 0)
		return false;
	evbuffer_add(output, captured, sizeof(*captured));
	for (uint32_t i = 0; (piece = capture_piece(capture, captured, i)).length > 0; i++)
		evbuffer_add(output, piece.data, piece.length);
	return true;
}

static void on_tick(evutil_socket_t fd, short events, void *context)
{
	struct capture_relay *relay = context;
	struct captured notice = {.number = relay->number};
	const struct captured *captured;
	struct capture *capture;
	uint64_t missed;

	while (evbuffer_get_length(output_of(relay)) < OUTPUT_BYTES_MAX &&
	       (capture = oldest(relay, &captured)) != NULL && give(relay, capture, captured))
		capture_drop(capture);
	missed = missed_in_all(relay);
	notice.missed = (uint32_t)min_u64(missed - relay->missed, UINT32_MAX);
	if (notice.missed > 0 && evbuffer_get_length(output_of(relay)) < OUTPUT_BYTES_MAX &&
	    evbuffer_add(output_of(relay), &notice, sizeof(notice)) == 0)
		relay->missed += notice.missed;
}

/* It has nothing to say. */
static void on_bytes(struct bufferevent *socket, void *context)
{
	struct evbuffer *input = bufferevent_get_input(socket);

	evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_event(struct bufferevent *socket, short events, void *context)
{
	end(context);
}

int capture_relay_create(struct capture_relay *relay, struct event_base *base,
                         struct capture *const *captures, uint32_t worker_count)
{
	*relay = (struct capture_relay){
	    .base = base, .captures = captures, .worker_count = worker_count};
	relay->tick = event_new(base, -1, EV_PERSIST, on_tick, relay);
	return relay->tick == NULL ? -ENOMEM : 0;
}

void capture_relay_destroy(struct capture_relay *relay)
{
	if (relay->socket != NULL)
		end(relay);
	if (relay->tick != NULL)
		event_free(relay->tick);
}

int capture_relay_begin(struct capture_relay *relay, int fd, uint32_t port_index, uint32_t snap)
{
	static const struct timeval tick = {.tv_usec = TICK_US};
	struct captured first = {0};
	int r = -EINVAL;

	if (port_index >= PORT_COUNT_MAX || snap < CAPTURED_SNAP_MIN || snap > CAPTURED_SNAP_MAX)
		goto fail;
	if (relay->socket != NULL) /* its end is about to be seen */
		end(relay);
	r = -ENOMEM;
	relay->socket = bufferevent_socket_new(relay->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (relay->socket == NULL)
		goto fail;
	bufferevent_setcb(relay->socket, on_bytes, NULL, on_event, relay);
	bufferevent_enable(relay->socket, EV_READ | EV_WRITE);
	relay->number++;
	relay->missed = missed_in_all(relay);
	first.number = relay->number;
	bufferevent_write(relay->socket, &first, sizeof(first));
	event_add(relay->tick, &tick);
	for (uint32_t i = 0; i < relay->worker_count; i++)
		capture_begin(relay->captures[i], port_index, snap, relay->number);
	return 0;
fail:
	close(fd);
	return r;
}
