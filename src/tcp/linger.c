/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/linger.h"

#include "tcp/tcp_internal.h"

#define EXPIRE_COUNT_MAX 64         /* in one turn: nobody waits for them */
#define WINDOW           UINT16_MAX /* nothing of it is kept, so it costs nothing */

size_t lingers_bytes(uint32_t count_max)
{
	return memory_rounded(count_max * sizeof(struct linger)) +
	       memory_rounded(table_bucket_count(count_max) * sizeof(uint32_t));
}

void lingers_create(struct tcp *tcp, struct memory *memory)
{
	uint32_t count_max = tcp->options.linger_count_max;
	uint32_t buckets = table_bucket_count(count_max);

	ASSERT(count_max > 0 && count_max < 1u << 28);
	tcp->lingers = (struct lingers){
	    .ring = memory_take(memory, count_max * sizeof(struct linger)),
	    .buckets = memory_take(memory, buckets * sizeof(uint32_t)),
	    .bucket_mask = buckets - 1,
	    .count_max = count_max,
	};
}

static uint32_t *bucket_of(struct lingers *lingers, uint64_t hash)
{
	return &lingers->buckets[hash & lingers->bucket_mask];
}

static _Atomic uint64_t *level_of(struct tcp *tcp, const struct linger *linger)
{
	return linger->fin_received ? &tcp->counters.time_wait : &tcp->counters.fin_wait_2;
}

/* Its place in the ring stays, dead, until it is the oldest. */
static void linger_end(struct tcp *tcp, struct linger *linger)
{
	struct lingers *lingers = &tcp->lingers;
	uint32_t index = (uint32_t)(linger - lingers->ring);
	uint32_t at = *bucket_of(lingers, linger->hash);

	counter_subtract(level_of(tcp, linger), 1);
	linger->live = false;
	if (at == index + 1) {
		*bucket_of(lingers, linger->hash) = linger->next;
		return;
	}
	while (lingers->ring[at - 1].next != index + 1)
		at = lingers->ring[at - 1].next;
	lingers->ring[at - 1].next = linger->next;
}

static void oldest_end(struct tcp *tcp)
{
	struct lingers *lingers = &tcp->lingers;
	struct linger *linger = &lingers->ring[lingers->oldest];

	if (linger->live)
		linger_end(tcp, linger);
	lingers->oldest = (lingers->oldest + 1) % lingers->count_max;
	lingers->count--;
}

static void linger_append(struct tcp *tcp, struct linger linger)
{
	struct lingers *lingers = &tcp->lingers;
	uint32_t *bucket = bucket_of(lingers, linger.hash);
	uint32_t index;

	if (lingers->count == lingers->count_max) {
		counter_add(&tcp->counters.linger_over_limit, lingers->ring[lingers->oldest].live);
		oldest_end(tcp);
	}
	index = (lingers->oldest + lingers->count) % lingers->count_max;
	lingers->count++;
	linger.next = *bucket & 0xfffffff;
	linger.live = true;
	linger.put_off = false;
	lingers->ring[index] = linger;
	*bucket = index + 1;
	counter_add(level_of(tcp, &linger), 1);
}

static uint32_t due_ms(const struct tcp *tcp, uint64_t now_us)
{
	return now_ms_from(now_us + tcp->options.time_wait_us);
}

void linger_add(struct tcp_connection *connection, const struct tuple *tuple, uint64_t now_us)
{
	linger_append(connection->tcp, (struct linger){
	                                   .hash = tuple->hash,
	                                   .due_ms = due_ms(connection->tcp, now_us),
	                                   .snd_nxt = connection->snd_nxt,
	                                   .rcv_nxt = connection->rcv_nxt,
	                                   .ts_recent = connection->ts_recent,
	                                   .ts_offset = connection->ts_offset,
	                                   .timestamps = connection->timestamps,
	                                   .fin_received = connection->state == TCP_TIME_WAIT,
	                               });
}

struct linger *linger_find(struct tcp *tcp, const struct tuple *tuple)
{
	struct lingers *lingers = &tcp->lingers;
	uint32_t at = *bucket_of(lingers, tuple->hash);

	while (at != 0 && lingers->ring[at - 1].hash != tuple->hash)
		at = lingers->ring[at - 1].next;
	return at == 0 ? NULL : &lingers->ring[at - 1];
}

static void acknowledge(struct tcp *tcp, const struct linger *linger, const struct tuple *tuple,
                        uint64_t now_us)
{
	struct bare_segment bare = {
	    .seq = linger->snd_nxt,
	    .ack = linger->rcv_nxt,
	    .window = WINDOW,
	    .flags = TCP_FLAG_ACK,
	};

	if (linger->timestamps)
		bare.option_bytes = (uint8_t)tcp_options_write_timestamp(
		    now_ms_from(now_us) + linger->ts_offset, linger->ts_recent, bare.options);
	output_bare(tcp, tuple, &bare);
}

/* RFC 6191 2: a SYN that is plainly newer than all of the old connection. */
static bool syn_is_newer(const struct linger *linger, const struct tcp_segment *segment)
{
	if (linger->timestamps && segment->has_timestamp && segment->ts_value != linger->ts_recent)
		return seq_after(segment->ts_value, linger->ts_recent);
	if (!linger->timestamps && segment->has_timestamp)
		return true;
	return !seq_before(segment->seq, linger->rcv_nxt);
}

/* Data is discarded as it comes in order, and the FIN behind it ends the wait for it. */
static void fin_wait_2_input(struct tcp *tcp, struct linger *linger,
                             const struct tcp_segment *segment, uint64_t now_us)
{
	uint32_t end = segment->seq + segment->length;

	if (seq_after(segment->ack, linger->snd_nxt) || seq_after(segment->seq, linger->rcv_nxt) ||
	    seq_before(end, linger->rcv_nxt))
		return;
	if (segment->has_timestamp)
		linger->ts_recent = segment->ts_value;
	if (segment->length > 0) {
		counter_add(&tcp->counters.after_close, 1);
		linger->rcv_nxt = end;
	}
	if (!(segment->flags & TCP_FLAG_FIN))
		return;
	counter_subtract(&tcp->counters.fin_wait_2, 1);
	counter_add(&tcp->counters.time_wait, 1);
	linger->rcv_nxt = end + 1;
	linger->fin_received = true;
	linger->due_ms = due_ms(tcp, now_us);
	linger->put_off = true;
}

static bool is_old(const struct linger *linger, const struct tcp_segment *segment)
{
	return linger->timestamps &&
	       (!segment->has_timestamp || seq_before(segment->ts_value, linger->ts_recent));
}

static void reset_input(struct tcp *tcp, struct linger *linger, const struct tuple *tuple,
                        const struct tcp_segment *segment, uint64_t now_us)
{
	struct tcp_counters *counters = &tcp->counters;
	uint32_t ahead = segment->seq - linger->rcv_nxt;

	if (linger->fin_received) {
		counter_add(&counters->resets_ignored, 1); /* RFC 1337 */
	} else if (ahead == 0) {
		counter_add(&counters->resets_received, 1);
		linger_end(tcp, linger);
	} else if (ahead < WINDOW) {
		/* RFC 5961 3.2 (3). One for each, as there is no room to count them: an answer of
		 * the same size */
		counter_add(&counters->challenge_acks, 1);
		acknowledge(tcp, linger, tuple, now_us);
	} else {
		counter_add(&counters->out_of_window, 1);
	}
}

bool linger_input(struct tcp *tcp, struct linger *linger, const struct tuple *tuple,
                  const struct tcp_segment *segment, uint64_t now_us)
{
	bool fin = (segment->flags & TCP_FLAG_FIN) != 0;

	if (segment->flags & TCP_FLAG_RST) {
		reset_input(tcp, linger, tuple, segment, now_us);
		return false;
	}
	if (segment->flags & TCP_FLAG_SYN) {
		if (linger->fin_received && !(segment->flags & TCP_FLAG_ACK) &&
		    syn_is_newer(linger, segment)) {
			linger_end(tcp, linger);
			return true;
		}
	} else if (is_old(linger, segment)) {
		counter_add(&tcp->counters.old_timestamp, 1);
		if (!segment->has_timestamp) /* RFC 7323 3.2 */
			return false;
	} else if (!(segment->flags & TCP_FLAG_ACK)) {
		counter_add(&tcp->counters.bad_header, 1);
		return false;
	} else if (!linger->fin_received) {
		fin_wait_2_input(tcp, linger, segment, now_us);
	} else if (fin && segment->seq + segment->length + 1 == linger->rcv_nxt) {
		linger->due_ms = due_ms(tcp, now_us);
		linger->put_off = true;
	}
	/* never what takes no sequence number: two ends that linger would go on for ever */
	if (segment->length > 0 || (segment->flags & (TCP_FLAG_FIN | TCP_FLAG_SYN)))
		acknowledge(tcp, linger, tuple, now_us);
	return false;
}

void lingers_advance(struct tcp *tcp, uint64_t now_us)
{
	struct lingers *lingers = &tcp->lingers;

	for (uint32_t i = 0; i < EXPIRE_COUNT_MAX && lingers->count > 0; i++) {
		struct linger linger = lingers->ring[lingers->oldest];
		bool due = !seq_after(linger.due_ms, now_ms_from(now_us));

		if (linger.live && !due && !linger.put_off)
			return;
		oldest_end(tcp);
		if (linger.live && !due)
			linger_append(tcp, linger);
	}
}

bool lingers_next_ms(const struct tcp *tcp, uint32_t *ret_ms)
{
	const struct lingers *lingers = &tcp->lingers;
	const struct linger *oldest;

	if (lingers->count == 0)
		return false;
	oldest = &lingers->ring[lingers->oldest];
	/* a dead one, or one that was put off, is moved out of the way at once */
	*ret_ms = oldest->live && !oldest->put_off ? oldest->due_ms : tcp->wheel.now_ms;
	return true;
}

void lingers_check(const struct tcp *tcp)
{
	const struct lingers *lingers = &tcp->lingers;
	uint64_t live = 0, chained = 0;

	ASSERT(lingers->count <= lingers->count_max);
	for (uint32_t i = 0; i < lingers->count; i++)
		live += lingers->ring[(lingers->oldest + i) % lingers->count_max].live;
	for (uint32_t i = 0; i <= lingers->bucket_mask; i++) {
		for (uint32_t at = lingers->buckets[i]; at != 0; chained++) {
			ASSERT(lingers->ring[at - 1].live);
			at = lingers->ring[at - 1].next;
		}
	}
	ASSERT(live == chained);
	ASSERT(live ==
	       counter_read(&tcp->counters.time_wait) + counter_read(&tcp->counters.fin_wait_2));
}
