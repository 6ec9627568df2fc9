/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/relay.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <unistd.h>

#define INPUT_BYTES_MAX  16384  /* waiting for room in the ring */
#define OUTPUT_BYTES_MAX 262144 /* waiting for the control process to read */
#define TICK_MS          1
#define TICK_MS_MAX      16 /* when nothing comes */

struct relay {
	struct relays *owner;
	struct relay *next;
	struct bufferevent *socket; /* NULL: the control process has gone */
	struct inner *inner;
	uint32_t worker;
	bool input_ends; /* the control process says no more */
	bool end_is_told;
	bool output_ends; /* the worker says no more */
};

static void tick_set(struct relays *relays)
{
	uint32_t ms = TICK_MS << min_u32(relays->quiet_ticks / 4, 8);
	struct timeval time = {.tv_usec = (suseconds_t)min_u32(ms, TICK_MS_MAX) * 1000};

	if (relays->count > 0)
		event_add(relays->tick, &time);
}

/* Never later than it was to be: or bytes that keep coming would put it off for ever. */
static void tick_soon(struct relays *relays)
{
	bool is_soon = relays->quiet_ticks == 0;

	relays->quiet_ticks = 0;
	if (!is_soon)
		tick_set(relays);
}

static void hang_up(struct relay *relay)
{
	if (relay->socket != NULL)
		bufferevent_free(relay->socket); /* closes it */
	relay->socket = NULL;
	inner_hang(relay->inner);
}

/* Returns whether something went. */
static bool give(struct relay *relay)
{
	struct evbuffer *input = bufferevent_get_input(relay->socket);
	bool some = false;

	while (evbuffer_get_length(input) > 0) {
		size_t length = evbuffer_get_contiguous_space(input);
		uint32_t count = inner_write(
		    relay->inner, evbuffer_pullup(input, (ev_ssize_t)length), (uint32_t)length);

		evbuffer_drain(input, count);
		some |= count > 0;
		if (count < length)
			break;
	}
	if (!relay->input_ends && evbuffer_get_length(input) < INPUT_BYTES_MAX)
		bufferevent_enable(relay->socket, EV_READ);
	if (relay->input_ends && !relay->end_is_told && evbuffer_get_length(input) == 0) {
		relay->end_is_told = true;
		inner_end(relay->inner);
		some = true;
	}
	if (some)
		relay->owner->wake(relay->owner->context, relay->worker);
	return some;
}

static bool take(struct relay *relay)
{
	struct evbuffer *output = bufferevent_get_output(relay->socket);
	struct slice slice;
	bool some = false;

	while (evbuffer_get_length(output) < OUTPUT_BYTES_MAX &&
	       (slice = inner_read(relay->inner, &relay->output_ends)).length > 0) {
		if (evbuffer_add(output, slice.data, slice.length) < 0)
			break;
		inner_read_drop(relay->inner);
		some = true;
	}
	if (some)
		relay->owner->wake(relay->owner->context, relay->worker);
	return some;
}

/* Returns whether something went. The relay may be gone afterwards: *ret_gone. */
static bool move(struct relay *relay, bool *ret_gone)
{
	bool some = false;

	if (relay->socket != NULL) {
		some |= give(relay);
		some |= take(relay);
		if (relay->output_ends &&
		    evbuffer_get_length(bufferevent_get_output(relay->socket)) == 0)
			hang_up(relay);
	}
	*ret_gone = relay->socket == NULL && inner_close(relay->inner);
	return some;
}

static void tick(evutil_socket_t fd, short events, void *context)
{
	struct relays *relays = context;
	struct relay **at = &relays->first;

	relays->quiet_ticks++; /* none is set: tick_soon() is to set one */
	while (*at != NULL) {
		struct relay *relay = *at;
		bool gone;

		if (move(relay, &gone))
			relays->quiet_ticks = 0;
		if (!gone) {
			at = &relay->next;
			continue;
		}
		*at = relay->next;
		relays->count--;
		free(relay);
	}
	tick_set(relays);
}

/* What is there is moved in the next tick, which is soon. (A high watermark would call this again
 * and again.) */
static void on_bytes(struct bufferevent *socket, void *context)
{
	struct relay *relay = context;

	if (evbuffer_get_length(bufferevent_get_input(socket)) >= INPUT_BYTES_MAX)
		bufferevent_disable(socket, EV_READ);
	tick_soon(relay->owner);
}

static void on_event(struct bufferevent *socket, short events, void *context)
{
	struct relay *relay = context;

	tick_soon(relay->owner);
	if (events & BEV_EVENT_EOF)
		relay->input_ends = true;
	if (events & BEV_EVENT_ERROR)
		hang_up(relay);
}

int relays_create(struct relays *relays, struct event_base *base,
                  void (*wake)(void *context, uint32_t worker), void *context)
{
	*relays = (struct relays){.base = base, .wake = wake, .context = context};
	relays->tick = event_new(base, -1, 0, tick, relays);
	return relays->tick == NULL ? -ENOMEM : 0;
}

void relays_destroy(struct relays *relays)
{
	struct relay *next;

	for (struct relay *relay = relays->first; relay != NULL; relay = next) {
		next = relay->next;
		if (relay->socket != NULL)
			bufferevent_free(relay->socket);
		free(relay);
	}
	if (relays->tick != NULL)
		event_free(relays->tick);
}

int relays_add(struct relays *relays, int fd, struct inners *inners, uint32_t worker)
{
	struct relay *relay = NULL;
	int r = -EBUSY;

	if (relays->count == RELAY_COUNT_MAX)
		goto fail;
	r = -ENOMEM;
	relay = calloc(1, sizeof(*relay));
	if (relay == NULL)
		goto fail;
	*relay = (struct relay){.owner = relays, .next = relays->first, .worker = worker};
	relay->socket = bufferevent_socket_new(relays->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (relay->socket == NULL)
		goto fail;
	relay->inner = inner_open(inners);
	if (relay->inner == NULL) {
		bufferevent_free(relay->socket); /* closes it */
		free(relay);
		return -EBUSY;
	}
	bufferevent_setcb(relay->socket, on_bytes, on_bytes, on_event, relay);
	bufferevent_enable(relay->socket, EV_READ | EV_WRITE);
	relays->first = relay;
	relays->count++;
	relays->quiet_ticks = 0;
	tick_set(relays);
	return 0;
fail:
	free(relay);
	close(fd);
	return r;
}
