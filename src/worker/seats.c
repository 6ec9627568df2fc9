/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/seats.h"

#define SWEEP_INTERVAL_US 10000

static struct seat *seat_take(struct seats *seats, struct stream *stream)
{
	struct seat *seat = slab_take(&seats->free);

	seats->free_count--;
	seat->last_us = seats->time->now_us;
	session_create(&seat->session, seats->sessions, stream);
	stream->user = seat;
	return seat;
}

static bool opened(void *context, struct stream *stream)
{
	static const char refusal[] = "ERROR Too many open connections\r\n";
	struct seats *seats = context;

	if (!seats->admit(seats->admit_context)) {
		stream->user = NULL;
		chain_append(&stream->out, refusal, sizeof(refusal) - 1);
		stream->ops->close(stream);
		return true;
	}
	seat_take(seats, stream);
	return true;
}

/* There is a seat for each. */
static bool opened_inner(void *context, struct stream *stream)
{
	seat_take(context, stream)->session.is_logged_in = true;
	return true;
}

static uint32_t received(void *context, struct stream *stream, const uint8_t *bytes,
                         uint32_t length)
{
	struct seats *seats = context;
	struct seat *seat = stream->user;

	if (seat == NULL)
		return length;
	seat->last_us = seats->time->now_us;
	return session_received(&seat->session, bytes, length, seats->time);
}

static void finished(void *context, struct stream *stream)
{
	struct seat *seat = stream->user;

	if (seat != NULL)
		session_finished(&seat->session);
}

static void drained(void *context, struct stream *stream)
{
	struct seats *seats = context;
	struct seat *seat = stream->user;

	if (seat != NULL)
		session_drained(&seat->session, seats->time);
}

static void closed(void *context, struct stream *stream)
{
	struct seats *seats = context;
	struct seat *seat = stream->user;

	if (seat == NULL)
		return;
	session_closed(&seat->session);
	seat->session.stream = NULL;
	slab_give(&seats->free, seat);
	seats->free_count++;
}

void seats_set_idle_timeout(struct seats *seats, uint64_t idle_timeout_us)
{
	seats->idle_timeout_us = idle_timeout_us;
	seats->next_sweep_us = idle_timeout_us == 0 ? UINT64_MAX : seats->time->now_us;
}

size_t seats_bytes(uint32_t count)
{
	return slab_bytes(sizeof(struct seat), count);
}

void seats_create(struct seats *seats, uint32_t count, struct memory *memory)
{
	slab_create(&seats->free, sizeof(struct seat), count, memory);
	seats->list = (struct seat *)seats->free.fresh;
	seats->count = count;
	seats->free_count = count;
	seats_set_idle_timeout(seats, seats->idle_timeout_us);
	seats->user = (struct stream_user){opened, received, finished, drained, closed, seats};
	seats->inner_user = seats->user;
	seats->inner_user.opened = opened_inner;
}

uint32_t seats_sweep(struct seats *seats)
{
	uint64_t round_us = min_u64(max_u64(seats->idle_timeout_us / 16, 1000000), 10000000);
	uint32_t used_count = seats_used(seats);
	uint32_t count = used_count / (uint32_t)(round_us / SWEEP_INTERVAL_US) + 1;
	uint32_t ended = 0;

	seats->next_sweep_us = seats->time->now_us + SWEEP_INTERVAL_US;
	for (; count > 0 && used_count > 0; count--) {
		struct seat *seat = &seats->list[seats->swept_index % used_count];

		seats->swept_index = (seats->swept_index + 1) % used_count;
		if (seat->session.stream == NULL || session_is_served(&seat->session) ||
		    seats->time->now_us - seat->last_us <= seats->idle_timeout_us)
			continue;
		seat->last_us = seats->time->now_us;
		session_close_idle(&seat->session);
		ended++;
	}
	return ended;
}

uint32_t seats_end_blocked(struct seats *seats, const struct blocked *blocked, uint32_t count,
                           uint32_t *index)
{
	uint32_t used_count = seats_used(seats);
	uint32_t ended = 0;

	for (; count > 0 && used_count > 0; count--) {
		struct seat *seat = &seats->list[*index % used_count];
		struct stream *stream = seat->session.stream;
		struct stream_ends ends;

		*index = (*index + 1) % used_count;
		if (stream == NULL)
			continue;
		stream->ops->describe(stream, &ends);
		if (ends.is_unix || !blocked_contain(blocked, &ends.remote))
			continue;
		session_cut(&seat->session);
		ended++;
	}
	return ended;
}

void seats_check(const struct seats *seats, uint64_t taken_count)
{
	uint32_t taken = 0;

	for (uint32_t i = 0; i < seats->count; i++)
		taken += seats->list[i].session.stream != NULL;
	ASSERT(taken + seats->free_count == seats->count);
	ASSERT(taken == taken_count);
}
