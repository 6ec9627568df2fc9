/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/handshake.h"

#include "tcp/tcp_internal.h"

#define FIRST_WINDOW_BYTES 16384u       /* offered in a SYN-ACK at least, when there are blocks */
#define COOKIE_LIFE_US     (2ull << 26) /* the longest that a cookie is good for */
#define SYN_POOL_SHARE     8            /* below an eighth of the blocks nobody new is let in */
#define RTT_UNKNOWN        UINT32_MAX
#define GIVE_UP_COUNT      2 /* SYN-ACKs each, while the cache is more than half full */

size_t half_opens_bytes(uint32_t count_max)
{
	return memory_rounded(count_max * sizeof(struct half_open)) +
	       memory_rounded(table_bucket_count(count_max) * sizeof(uint32_t));
}

void half_opens_create(struct tcp *tcp, struct memory *memory)
{
	uint32_t count_max = tcp->options.half_open_count_max;
	uint32_t buckets = table_bucket_count(count_max);

	tcp->half_opens = (struct half_opens){
	    .cache = memory_take(memory, count_max * sizeof(struct half_open)),
	    .buckets = memory_take(memory, buckets * sizeof(uint32_t)),
	    .bucket_mask = buckets - 1,
	};
}

static struct half_open *half_open_at(struct tcp *tcp, uint32_t reference)
{
	return &tcp->half_opens.cache[reference - 1];
}

static uint32_t reference_of(const struct tcp *tcp, const struct half_open *half_open)
{
	return (uint32_t)(half_open - tcp->half_opens.cache) + 1;
}

struct half_open *half_open_find(struct tcp *tcp, const struct tuple *tuple)
{
	uint32_t at = tcp->half_opens.buckets[tuple->hash & tcp->half_opens.bucket_mask];

	while (at != 0) {
		struct half_open *half_open = half_open_at(tcp, at);

		if (tuple_is(tuple, &half_open->path, half_open->local_port,
		             half_open->remote_port))
			return half_open;
		at = half_open->next_in_bucket;
	}
	return NULL;
}

static void queue_append(struct tcp *tcp, struct half_open *half_open, uint64_t now_us)
{
	uint32_t index = half_open->sent_count - 1u;
	struct half_open_queue *queue = &tcp->half_opens.queues[index];

	/* RFC 6298: a second, then twice as long each time */
	half_open->due_ms = now_ms_from(now_us + 999) + (TCP_RTO_INITIAL_MS << index);
	half_open->older = queue->newest;
	half_open->newer = 0;
	if (queue->newest != 0)
		half_open_at(tcp, queue->newest)->newer = reference_of(tcp, half_open);
	else
		queue->oldest = reference_of(tcp, half_open);
	queue->newest = reference_of(tcp, half_open);
}

static void queue_remove(struct tcp *tcp, struct half_open *half_open)
{
	struct half_open_queue *queue = &tcp->half_opens.queues[half_open->sent_count - 1];

	if (half_open->older != 0)
		half_open_at(tcp, half_open->older)->newer = half_open->newer;
	else
		queue->oldest = half_open->newer;
	if (half_open->newer != 0)
		half_open_at(tcp, half_open->newer)->older = half_open->older;
	else
		queue->newest = half_open->older;
}

static void half_open_end(struct tcp *tcp, struct half_open *half_open)
{
	struct half_opens *half_opens = &tcp->half_opens;
	struct tuple tuple =
	    tuple_of(tcp, &half_open->path, half_open->local_port, half_open->remote_port);
	uint32_t *link = &half_opens->buckets[tuple.hash & half_opens->bucket_mask];

	while (*link != reference_of(tcp, half_open))
		link = &half_open_at(tcp, *link)->next_in_bucket;
	*link = half_open->next_in_bucket;
	queue_remove(tcp, half_open);
	half_open->sent_count = 0;
	half_open->next_in_bucket = half_opens->free;
	half_opens->free = reference_of(tcp, half_open);
	counter_subtract(&tcp->counters.half_open, 1);
}

/* A place in the cache, or NULL: it is full. */
static struct half_open *half_open_take(struct tcp *tcp)
{
	struct half_opens *half_opens = &tcp->half_opens;
	struct half_open *half_open;

	if (half_opens->free == 0 && half_opens->used_count == tcp->options.half_open_count_max)
		return NULL;
	if (half_opens->free == 0)
		return &half_opens->cache[half_opens->used_count++];
	half_open = half_open_at(tcp, half_opens->free);
	half_opens->free = half_open->next_in_bucket;
	return half_open;
}

static uint8_t receive_shift(const struct tcp *tcp, const struct handshake *agreed)
{
	return agreed->window_scaling ? tcp->receive_shift : 0;
}

/* False: no packet memory. */
static bool syn_ack_send(struct tcp *tcp, const struct tuple *tuple, const struct handshake *agreed,
                         uint32_t ts_value)
{
	struct bare_segment bare = {
	    .seq = agreed->iss,
	    .ack = agreed->irs + 1,
	    .window = agreed->window, /* never scaled in a SYN */
	    .flags = TCP_FLAG_SYN | TCP_FLAG_ACK,
	};

	bare.option_bytes =
	    (uint8_t)tcp_options_write_syn_ack(agreed, tcp_options_receive_mss(tuple->path),
	                                       receive_shift(tcp, agreed), ts_value, bare.options);
	return output_bare(tcp, tuple, &bare);
}

static bool half_open_answer(struct tcp *tcp, const struct half_open *half_open, uint64_t now_us)
{
	struct tuple tuple = {&half_open->path, half_open->local_port, half_open->remote_port, 0};

	return syn_ack_send(tcp, &tuple, &half_open->agreed,
	                    now_ms_from(now_us) + half_open->agreed.ts_offset);
}

/* RFC 9293 3.7.1: what the peer takes, or the least we are willing to send. */
static uint16_t peer_mss(const struct tuple *tuple, const struct tcp_segment *segment)
{
	uint32_t mss = ip_address_is_ip4(&tuple->path->local) ? TCP_MSS_MIN : TCP_MSS_DEFAULT_IP6;

	return (uint16_t)(segment->has_mss ? max_u32(segment->mss, TCP_MSS_MIN) : mss);
}

/* RFC 6528: a clock of 4 µs plus a keyed hash of who talks to whom. */
static uint32_t initial_sequence(const struct tcp *tcp, const struct tuple *tuple, uint64_t now_us)
{
	return (uint32_t)(now_us / 4) + (uint32_t)tuple_hash(&tcp->secrets.sequence, tuple);
}

/* Likewise, so that two connections' timestamps say nothing of each other (RFC 7323 5.4), and those
 * of a connection that follows another between the same two go on. */
static uint32_t timestamp_offset(const struct tcp *tcp, const struct tuple *tuple)
{
	return (uint32_t)tuple_hash(&tcp->secrets.timestamp, tuple);
}

static void half_open_add(struct tcp *tcp, struct half_open *half_open, const struct tuple *tuple,
                          const struct handshake *agreed, uint64_t now_us)
{
	uint32_t *bucket = &tcp->half_opens.buckets[tuple->hash & tcp->half_opens.bucket_mask];

	*half_open = (struct half_open){
	    .path = *tuple->path,
	    .local_port = tuple->local_port,
	    .remote_port = tuple->remote_port,
	    .next_in_bucket = *bucket,
	    .sent_us = (uint32_t)now_us,
	    .sent_count = 1,
	    .agreed = *agreed,
	};
	*bucket = reference_of(tcp, half_open);
	queue_append(tcp, half_open, now_us);
	counter_add(&tcp->counters.half_open, 1);
	half_open_answer(tcp, half_open, now_us);
}

/* Room for a first flight of ten segments (RFC 6928 3). */
static uint16_t first_window(const struct tcp *tcp, const struct tuple *tuple)
{
	uint32_t flight = max_u32(FIRST_WINDOW_BYTES, 10u * tcp_options_receive_mss(tuple->path));

	return (uint16_t)min_u32(min_u32(flight, UINT16_MAX), output_receive_cap(tcp));
}

static void syn_input(struct tcp *tcp, const struct tuple *tuple, const struct tcp_segment *segment,
                      const uint32_t *snd_nxt_before, uint64_t now_us)
{
	struct half_open *half_open;
	struct handshake agreed;
	uint32_t ts_value;

	if (!net_allows(tuple->path->net, &tuple->path->remote)) {
		counter_add(&tcp->counters.not_allowed, 1);
		return;
	}
	if (tcp->pool->free_count < tcp->pool->block_count / SYN_POOL_SHARE) {
		counter_add(&tcp->counters.syn_no_memory, 1);
		return;
	}
	if (!table_has_room(tcp)) {
		counter_add(&tcp->counters.syn_over_limit, 1);
		return;
	}
	if (!source_has_room(tcp, &tuple->path->remote)) {
		counter_add(&tcp->counters.source_over_limit, 1);
		return;
	}
	/* a SYN may carry data (RFC 9293 3.10.7.2): not acknowledged here, so it comes again */
	agreed = (struct handshake){
	    .irs = segment->seq,
	    .iss = initial_sequence(tcp, tuple, now_us),
	    .ts_recent = segment->ts_value,
	    .ts_offset = timestamp_offset(tcp, tuple),
	    .window = first_window(tcp, tuple),
	    .mss = peer_mss(tuple, segment),
	    .send_shift = segment->window_shift,
	    .timestamps = segment->has_timestamp,
	    .sack_permitted = segment->sack_permitted,
	    .window_scaling = segment->has_window_shift,
	};
	/* beyond all that the old connection has sent (RFC 9293 3.6.1 MAY-2 (1)) */
	if (snd_nxt_before != NULL && seq_before(agreed.iss, *snd_nxt_before + UINT16_MAX))
		agreed.iss = *snd_nxt_before + UINT16_MAX;
	half_open = half_open_take(tcp);
	if (half_open != NULL) {
		half_open_add(tcp, half_open, tuple, &agreed, now_us);
		return;
	}
	agreed.window = TCP_RECEIVE_BYTES_MIN; /* whatever it is when the cookie comes back */
	ts_value = cookie_make(tcp, tuple, &agreed, now_us);
	tcp->half_opens.cookies_until_us = now_us + COOKIE_LIFE_US;
	if (syn_ack_send(tcp, tuple, &agreed, ts_value))
		counter_add(&tcp->counters.cookies_sent, 1);
}

/* The user decides; the connection then goes on with the segment that has completed it. `rtt_us`:
 * of the SYN-ACK. `lost_count`: SYN-ACKs that were sent without an answer. */
static void handshake_complete(struct tcp *tcp, const struct tuple *tuple,
                               const struct handshake *agreed, const struct tcp_segment *segment,
                               uint32_t rtt_us, uint32_t lost_count, uint64_t now_us)
{
	struct tcp_connection *connection = NULL;

	if (source_has_room(tcp, &tuple->path->remote))
		connection = table_add(tcp, tuple);
	if (connection == NULL) {
		counter_add(&tcp->counters.accept_over_limit, 1);
		output_reset_for(tcp, tuple, segment);
		return;
	}
	connection_open(connection, agreed, receive_shift(tcp, agreed), lost_count, now_us);
	connection->snd_wnd = segment->window << connection->send_shift;
	connection->snd_wnd_max = connection->snd_wnd;
	if (rtt_us != RTT_UNKNOWN)
		rtt_sample(connection, rtt_us);
	connection->open = tcp->user.opened(tcp->user.context, &connection->stream);
	if (connection->open) {
		connection_input(connection, tuple, segment, now_us);
	} else {
		output_reset(connection, now_us);
		connection_end(connection);
	}
}

void listen_input(struct tcp *tcp, const struct tuple *tuple, const struct tcp_segment *segment,
                  const uint32_t *snd_nxt_before, uint64_t now_us)
{
	const struct port_options *port = tuple->path->net->port;
	bool ours = port->tcp_port != 0 && tuple->local_port == port->tcp_port;
	struct handshake agreed;

	if (segment->flags & TCP_FLAG_RST) {
		counter_add(&tcp->counters.resets_ignored, 1);
		return;
	}
	if (ours && !(segment->flags & TCP_FLAG_ACK)) {
		if ((segment->flags & (TCP_FLAG_SYN | TCP_FLAG_FIN)) == TCP_FLAG_SYN)
			syn_input(tcp, tuple, segment, snd_nxt_before, now_us);
		else
			counter_add(&tcp->counters.bad_header, 1);
		return;
	}
	if (ours && !(segment->flags & TCP_FLAG_SYN) && now_us < tcp->half_opens.cookies_until_us) {
		if (cookie_read(tcp, tuple, segment, now_us, &agreed)) {
			counter_add(&tcp->counters.cookies_accepted, 1);
			agreed.ts_offset = timestamp_offset(tcp, tuple);
			agreed.window = TCP_RECEIVE_BYTES_MIN;
			handshake_complete(tcp, tuple, &agreed, segment, RTT_UNKNOWN, 0, now_us);
			return;
		}
		counter_add(&tcp->counters.bad_cookie, 1);
		/* perhaps the second segment of one whose first was lost and comes again */
		if (segment->length > 0)
			return;
	}
	counter_add(&tcp->counters.no_connection, 1);
	output_reset_for(tcp, tuple, segment);
}

/* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>: what all is answered by that does not fit. */
static void half_open_challenge(struct tcp *tcp, struct half_open *half_open,
                                const struct tuple *tuple, uint64_t now_us)
{
	const struct handshake *agreed = &half_open->agreed;
	struct bare_segment bare = {
	    .seq = agreed->iss + 1,
	    .ack = agreed->irs + 1,
	    .window = (uint16_t)(agreed->window >> receive_shift(tcp, agreed)),
	    .flags = TCP_FLAG_ACK,
	};

	if (!challenge_take(tcp, &half_open->challenges, now_us))
		return;
	if (agreed->timestamps)
		bare.option_bytes = (uint8_t)tcp_options_write_timestamp(
		    now_ms_from(now_us) + agreed->ts_offset, agreed->ts_recent, bare.options);
	output_bare(tcp, tuple, &bare);
}

static void half_open_acknowledged(struct tcp *tcp, struct half_open *half_open,
                                   const struct tuple *tuple, const struct tcp_segment *segment,
                                   uint64_t now_us)
{
	struct handshake agreed = half_open->agreed;
	uint32_t lost_count = max_u32(half_open->sent_count - 1u, half_open->repeated);
	uint32_t rtt_us = lost_count == 0 ? (uint32_t)now_us - half_open->sent_us : RTT_UNKNOWN;

	half_open_end(tcp, half_open);
	handshake_complete(tcp, tuple, &agreed, segment, rtt_us, lost_count, now_us);
}

void half_open_input(struct tcp *tcp, struct half_open *half_open, const struct tuple *tuple,
                     const struct tcp_segment *segment, uint64_t now_us)
{
	struct handshake *agreed = &half_open->agreed;
	uint32_t offset = segment->seq - (agreed->irs + 1);
	uint32_t length = segment->length + ((segment->flags & TCP_FLAG_FIN) != 0);
	bool acceptable =
	    offset < agreed->window || (length > 0 && offset + length - 1 < agreed->window);
	bool old = agreed->timestamps && segment->has_timestamp &&
	           seq_before(segment->ts_value, agreed->ts_recent);

	if (segment->flags & TCP_FLAG_RST) {
		if (offset == 0) {
			counter_add(&tcp->counters.resets_received, 1);
			half_open_end(tcp, half_open);
		} else if (offset < agreed->window) { /* RFC 5961 3.2 */
			half_open_challenge(tcp, half_open, tuple, now_us);
		} else {
			counter_add(&tcp->counters.out_of_window, 1);
		}
		return;
	}
	if ((segment->flags & TCP_FLAG_SYN) && !(segment->flags & TCP_FLAG_ACK) &&
	    segment->seq == agreed->irs) { /* ours was lost, or comes late */
		if (agreed->timestamps && segment->has_timestamp && !old)
			agreed->ts_recent = segment->ts_value;
		half_open->repeated = true;
		counter_add(&tcp->counters.retransmitted, 1);
		half_open_answer(tcp, half_open, now_us);
		return;
	}
	if ((segment->flags & TCP_FLAG_SYN) || old || !acceptable) {
		if (old)
			counter_add(&tcp->counters.old_timestamp, 1);
		else if (!acceptable)
			counter_add(&tcp->counters.out_of_window, 1);
		half_open_challenge(tcp, half_open, tuple, now_us);
		return;
	}
	if (!(segment->flags & TCP_FLAG_ACK))
		counter_add(&tcp->counters.bad_header, 1);
	else if (agreed->timestamps && !segment->has_timestamp) /* RFC 7323 3.2 */
		counter_add(&tcp->counters.old_timestamp, 1);
	else if (segment->ack == agreed->iss + 1)
		half_open_acknowledged(tcp, half_open, tuple, segment, now_us);
	else
		output_reset_for(tcp, tuple, segment);
}

static void half_open_expired(struct tcp *tcp, struct half_open *half_open, uint64_t now_us)
{
	bool crowded =
	    counter_read(&tcp->counters.half_open) * 2 > tcp->options.half_open_count_max;

	if (half_open->sent_count >= (crowded ? GIVE_UP_COUNT : SYN_ACK_COUNT_MAX)) {
		counter_add(&tcp->counters.timed_out, 1);
		half_open_end(tcp, half_open);
		return;
	}
	queue_remove(tcp, half_open);
	half_open->sent_count++;
	queue_append(tcp, half_open, now_us);
	if (half_open_answer(tcp, half_open, now_us))
		counter_add(&tcp->counters.retransmitted, 1);
}

void half_opens_advance(struct tcp *tcp, uint64_t now_us)
{
	for (uint32_t i = 0; i < SYN_ACK_COUNT_MAX; i++) {
		const struct half_open_queue *queue = &tcp->half_opens.queues[i];

		while (queue->oldest != 0 &&
		       !seq_after(half_open_at(tcp, queue->oldest)->due_ms, now_ms_from(now_us)))
			half_open_expired(tcp, half_open_at(tcp, queue->oldest), now_us);
	}
}

bool half_opens_next_ms(const struct tcp *tcp, uint32_t *ret_ms)
{
	bool known = false;

	for (uint32_t i = 0; i < SYN_ACK_COUNT_MAX; i++) {
		uint32_t oldest = tcp->half_opens.queues[i].oldest;
		uint32_t due_ms;

		if (oldest == 0)
			continue;
		due_ms = tcp->half_opens.cache[oldest - 1].due_ms;
		if (!known || seq_before(due_ms, *ret_ms))
			*ret_ms = due_ms;
		known = true;
	}
	return known;
}

void half_opens_check(const struct tcp *tcp)
{
	const struct half_opens *half_opens = &tcp->half_opens;
	uint64_t queued = 0, chained = 0;

	for (uint32_t i = 0; i < SYN_ACK_COUNT_MAX; i++) {
		uint32_t older = 0;

		for (uint32_t at = half_opens->queues[i].oldest; at != 0; queued++) {
			const struct half_open *half_open = &half_opens->cache[at - 1];

			ASSERT(half_open->sent_count == i + 1);
			ASSERT(half_open->older == older);
			older = at;
			at = half_open->newer;
		}
		ASSERT(half_opens->queues[i].newest == older);
	}
	for (uint32_t i = 0; i <= half_opens->bucket_mask; i++)
		for (uint32_t at = half_opens->buckets[i]; at != 0; chained++)
			at = half_opens->cache[at - 1].next_in_bucket;
	ASSERT(queued == counter_read(&tcp->counters.half_open));
	ASSERT(chained == queued);
}
