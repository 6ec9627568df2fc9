/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/tcp_internal.h"

#define KEEPALIVE_INTERVAL_MS 75000 /* these two: as Linux has them */
#define KEEPALIVE_COUNT       9
#define SLOT_MASK             (WHEEL_SLOTS - 1)

void timer_wheel_create(struct timer_wheel *wheel, uint32_t now_ms)
{
	*wheel = (struct timer_wheel){.now_ms = now_ms};
}

static void wheel_insert(struct timer_wheel *wheel, struct timer *timer)
{
	uint32_t ahead_ms = timer->due_ms - wheel->now_ms;
	uint32_t at_ms = timer->due_ms;
	struct timer **slot;
	int level = 0;

	while (level < WHEEL_LEVELS - 1 && ahead_ms >= 1u << (WHEEL_SLOT_BITS * (level + 1)))
		level++;
	/* beyond the wheel: wait in its last slot and be placed anew from there */
	if (ahead_ms >= 1u << (WHEEL_SLOT_BITS * WHEEL_LEVELS))
		at_ms = wheel->now_ms + (1u << (WHEEL_SLOT_BITS * WHEEL_LEVELS)) - 1;
	slot = &wheel->slots[level][(at_ms >> (WHEEL_SLOT_BITS * level)) & SLOT_MASK];
	timer->next = *slot;
	if (timer->next != NULL)
		timer->next->link = &timer->next;
	timer->link = slot;
	*slot = timer;
	wheel->count++;
}

void timer_cancel(struct timer_wheel *wheel, struct timer *timer)
{
	if (timer->link == NULL)
		return;
	*timer->link = timer->next;
	if (timer->next != NULL)
		timer->next->link = timer->link;
	timer->link = NULL;
	wheel->count--;
}

void timer_set(struct timer_wheel *wheel, struct timer *timer, uint32_t due_ms)
{
	timer_cancel(wheel, timer);
	/* the tick at now_ms has begun to fire already */
	if (!seq_after(due_ms, wheel->now_ms))
		due_ms = wheel->now_ms + 1;
	timer->due_ms = due_ms;
	wheel_insert(wheel, timer);
}

/* The tick has reached a boundary: what waited for it a level up is placed a level down. */
static void wheel_cascade(struct timer_wheel *wheel)
{
	for (int level = 1; level < WHEEL_LEVELS; level++) {
		uint32_t index = (wheel->now_ms >> (WHEEL_SLOT_BITS * level)) & SLOT_MASK;
		struct timer *timer = wheel->slots[level][index];

		wheel->slots[level][index] = NULL;
		while (timer != NULL) {
			struct timer *next = timer->next;

			wheel->count--;
			wheel_insert(wheel, timer);
			timer = next;
		}
		if (index != 0)
			return;
	}
}

struct timer *timer_expire(struct timer_wheel *wheel, uint32_t now_ms)
{
	for (;;) {
		struct timer *timer = wheel->slots[0][wheel->now_ms & SLOT_MASK];

		if (timer != NULL) {
			timer_cancel(wheel, timer);
			return timer;
		}
		if (!seq_before(wheel->now_ms, now_ms))
			return NULL;
		if (wheel->count == 0) {
			wheel->now_ms = now_ms;
			return NULL;
		}
		wheel->now_ms++;
		if ((wheel->now_ms & SLOT_MASK) == 0)
			wheel_cascade(wheel);
	}
}

bool timers_next_ms(const struct tcp *tcp, uint32_t *ret_ms)
{
	const struct timer_wheel *wheel = &tcp->wheel;
	uint32_t at_ms = wheel->now_ms;

	if (wheel->count == 0)
		return false;
	/* up to the next boundary: there the upper levels come down */
	while (wheel->slots[0][at_ms & SLOT_MASK] == NULL) {
		at_ms++;
		if ((at_ms & SLOT_MASK) == 0)
			break;
	}
	*ret_ms = at_ms;
	return true;
}

void deadline_set(struct tcp_connection *connection, enum tcp_deadline which, uint32_t due_ms)
{
	struct timer *timer = &connection->timer;

	if (due_ms == 0) /* means "off" */
		due_ms = 1;
	connection->deadlines_ms[which] = due_ms;
	/* a timer that fires too early looks again: putting it off costs nothing */
	if (timer->link == NULL || seq_before(due_ms, timer->due_ms))
		timer_set(&connection->tcp->wheel, timer, due_ms);
}

void deadline_clear(struct tcp_connection *connection, enum tcp_deadline which)
{
	connection->deadlines_ms[which] = 0;
}

void retransmit_arm(struct tcp_connection *connection, uint64_t now_us)
{
	/* rounded up: never early (RFC 6298 5) */
	deadline_set(connection, DEADLINE_RETRANSMIT,
	             now_ms_from(now_us + 999) + connection->rto_ms);
}

static void give_up(struct tcp_connection *connection, _Atomic uint64_t *counter, uint64_t now_us)
{
	counter_add(counter, 1);
	output_reset(connection, now_us);
	connection_end(connection);
}

void keepalive_arm(struct tcp_connection *connection)
{
	uint64_t keepalive_us = connection->tcp->options.keepalive_us;

	if (keepalive_us != 0)
		deadline_set(connection, DEADLINE_KEEPALIVE,
		             connection->heard_ms + (uint32_t)(keepalive_us / 1000));
}

static void keepalive_expired(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t now_ms = now_ms_from(now_us);
	uint64_t idle_ms = heard_ms_ago(connection, now_us);
	uint32_t limit_ms = (uint32_t)(connection->tcp->options.keepalive_us / 1000);

	if (idle_ms < limit_ms) {
		keepalive_arm(connection);
		return;
	}
	if (idle_ms >= limit_ms + KEEPALIVE_COUNT * KEEPALIVE_INTERVAL_MS) {
		give_up(connection, &connection->tcp->counters.timed_out, now_us);
		return;
	}
	/* what is in flight asks already, and has a limit of its own */
	if (connection->snd_una == connection->snd_nxt)
		output_keepalive(connection, now_us);
	deadline_set(connection, DEADLINE_KEEPALIVE, now_ms + KEEPALIVE_INTERVAL_MS);
}

static void retransmit_expired(struct tcp_connection *connection, uint64_t now_us)
{
	struct tcp *tcp = connection->tcp;
	uint32_t now_ms = now_ms_from(now_us);
	uint64_t silent_us = (uint64_t)(now_ms - connection->progress_ms) * 1000;

	/* the last probe was answered: only from the next one on is it silent (RFC 9293 3.8.6.1) */
	if (connection->snd_wnd == 0 && connection->probe_answered) {
		connection->progress_ms = now_ms;
		silent_us = 0;
	}
	if (silent_us >= tcp->options.user_timeout_us) {
		give_up(connection, &tcp->counters.timed_out, now_us);
		return;
	}
	if (connection->close &&
	    counter_read(&tcp->counters.orphans) > tcp->options.orphan_count_max) {
		give_up(connection, &tcp->counters.orphans_over_limit, now_us);
		return;
	}
	if (connection->path.net->is_full) {
		/* nothing can be sent at all: that is no news of the network */
		deadline_set(connection, DEADLINE_RETRANSMIT, now_ms + 1);
		return;
	} else if (connection->snd_una == connection->snd_nxt || connection->snd_wnd == 0) {
		/* nothing is in flight, a probe that was refused aside */
		output_window_probe(connection, now_us);
	} else {
		recovery_timed_out(connection, now_us); /* RFC 6298 5.4 … 5.6 */
		if (connection->retransmit_count < UINT8_MAX)
			connection->retransmit_count++;
		path_mtu_black_hole(connection, now_us);
	}
	connection->rto_ms = min_u32(connection->rto_ms * 2, TCP_RTO_MAX_MS);
	retransmit_arm(connection, now_us);
}

void deadlines_run(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t now_ms = now_ms_from(now_us);

	for (int which = 0; which < DEADLINE_COUNT; which++) {
		uint32_t due_ms = connection->deadlines_ms[which];

		if (due_ms == 0)
			continue;
		if (seq_after(due_ms, now_ms)) {
			deadline_set(connection, which, due_ms);
			continue;
		}
		connection->deadlines_ms[which] = 0;
		switch (which) {
		case DEADLINE_RETRANSMIT: retransmit_expired(connection, now_us); break;
		case DEADLINE_REORDER: recovery_reorder_expired(connection, now_us); break;
		case DEADLINE_PROBE: recovery_probe_expired(connection, now_us); break;
		case DEADLINE_KEEPALIVE: keepalive_expired(connection, now_us); break;
		case DEADLINE_DELAYED_ACK:
			connection->ack_now = true;
			connection_mark(connection);
			break;
		}
		if (connection->state == TCP_FREE)
			return;
	}
}
