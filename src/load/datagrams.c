/* SPDX-License-Identifier: Apache-2.0 */
#include "load/datagrams.h"

#define FRAME_HEADER_BYTES 8

size_t datagram_shelf_bytes(uint32_t held_count)
{
	return memory_rounded(held_count * sizeof(struct datagram_held));
}

void datagram_shelf_create(struct datagram_shelf *shelf, uint32_t held_count, struct memory *memory)
{
	struct datagram_held *all = memory_take(memory, held_count * sizeof(*all));

	shelf->free = NULL;
	for (uint32_t i = 0; i < held_count; i++) {
		all[i].next = shelf->free;
		shelf->free = &all[i];
	}
}

size_t datagrams_bytes(uint32_t pipeline)
{
	return memory_rounded(pipeline * sizeof(struct datagram_slot));
}

void datagrams_create(struct datagrams *datagrams, struct workload *workload,
                      struct datagram_shelf *shelf, uint32_t pipeline, struct memory *memory)
{
	ASSERT(pipeline >= 1 && pipeline <= CONVERSATION_PIPELINE_MAX);
	ASSERT(workload->options.padding_bytes <= DATAGRAM_PADDING_BYTES_MAX);
	memset(datagrams, 0, sizeof(*datagrams));
	datagrams->workload = workload;
	datagrams->shelf = shelf;
	datagrams->slot_count = pipeline;
	datagrams->slots = memory_take(memory, pipeline * sizeof(struct datagram_slot));
	memset(datagrams->slots, 0, pipeline * sizeof(struct datagram_slot));
	for (uint32_t i = pipeline; i > 0; i--) {
		datagrams->slots[i - 1].next = datagrams->free;
		datagrams->free = &datagrams->slots[i - 1];
	}
}

static void shelf_give_back(struct datagram_shelf *shelf, struct datagram_held *held)
{
	held->next = shelf->free;
	shelf->free = held;
}

static void slot_release(struct datagrams *datagrams, struct datagram_slot *slot)
{
	while (slot->held != NULL) {
		struct datagram_held *held = slot->held;

		slot->held = held->next;
		shelf_give_back(datagrams->shelf, held);
	}
	slot->is_busy = false;
	slot->next = datagrams->free;
	datagrams->free = slot;
	datagrams->busy_count--;
}

/* The padding is the id's low byte again and again: cheap, since the way is to be measured rather
 * than us, and another than that of the datagrams before, should a buffer still hold theirs. */
static size_t put_datagram(const struct datagrams *datagrams, const struct datagram_slot *slot,
                           uint8_t to[DATAGRAM_REQUEST_BYTES_MAX])
{
	uint32_t padding_bytes = datagrams->workload->options.padding_bytes;
	size_t length = FRAME_HEADER_BYTES + slot->request.bytes;

	store_be16(to, slot->id);
	store_be16(to + 2, 0);
	store_be16(to + 4, 1);
	store_be16(to + 6, 0);
	request_fill(&slot->request, 0, to + FRAME_HEADER_BYTES, slot->request.bytes);
	memset(to + length, slot->id & 0xff, padding_bytes);
	return length + padding_bytes;
}

size_t datagrams_ask(struct datagrams *datagrams, uint64_t intended_ns, uint64_t now_ns,
                     uint8_t to[DATAGRAM_REQUEST_BYTES_MAX])
{
	struct datagram_slot *slot = datagrams->free;
	uint32_t index = (uint32_t)(slot - datagrams->slots);

	ASSERT(slot != NULL);
	datagrams->free = slot->next;
	datagrams->busy_count++;
	slot->request = workload_next(datagrams->workload, intended_ns);
	ASSERT(slot->request.kind == REQUEST_GET);
	reply_begin(&slot->reply);
	/* An id tells its slot, and comes again as late as can be: a reply that is late beyond its
	 * time-out must not be taken for that to the slot's next request. */
	slot->generation = (uint16_t)((slot->generation + 1) % (65536 / datagrams->slot_count));
	slot->id = (uint16_t)(slot->generation * datagrams->slot_count + index);
	slot->sent_ns = now_ns;
	slot->sequence_next = 0;
	slot->datagram_count = 0;
	slot->is_busy = true;
	return put_datagram(datagrams, slot, to);
}

static void refuse(struct datagrams *datagrams, const char *what)
{
	datagrams->workload->counters.protocol_errors++;
	workload_note_fault(datagrams->workload, "%s", what);
}

/* Checks the payload that is next in order. False: the reply is over, the slot released. */
static bool slot_check(struct datagrams *datagrams, struct datagram_slot *slot,
                       struct slice payload, uint64_t now_ns)
{
	enum reply_verdict verdict = reply_check(&slot->reply, &slot->request, &payload);
	bool is_last = ++slot->sequence_next == slot->datagram_count;

	if (verdict == REPLY_MORE && !is_last)
		return true;
	if (verdict == REPLY_MORE)
		refuse(datagrams, "a reply is not over in its last datagram");
	else if (verdict != REPLY_BROKEN && (!is_last || payload.length > 0))
		refuse(datagrams, "a reply goes on after its end");
	else
		workload_count_reply(datagrams->workload, &slot->request, &slot->reply, verdict,
		                     now_ns);
	slot_release(datagrams, slot);
	return false;
}

static void slot_hold(struct datagrams *datagrams, struct datagram_slot *slot, uint16_t sequence,
                      struct slice payload)
{
	struct datagram_held *held;

	for (held = slot->held; held != NULL; held = held->next) {
		if (held->sequence == sequence) {
			datagrams->workload->counters.datagrams_late++;
			return;
		}
	}
	held = datagrams->shelf->free;
	if (held == NULL || payload.length > DATAGRAM_HELD_BYTES_MAX) {
		datagrams->workload->counters.datagrams_unstored++;
		return;
	}
	datagrams->shelf->free = held->next;
	held->sequence = sequence;
	held->length = (uint16_t)payload.length;
	memcpy(held->bytes, payload.data, payload.length);
	held->next = slot->held;
	slot->held = held;
}

/* Takes the held datagram that is next in order off the slot; NULL when it has not come. */
static struct datagram_held *slot_take_held(struct datagram_slot *slot)
{
	for (struct datagram_held **at = &slot->held; *at != NULL; at = &(*at)->next) {
		struct datagram_held *held = *at;

		if (held->sequence == slot->sequence_next) {
			*at = held->next;
			return held;
		}
	}
	return NULL;
}

void datagrams_receive(struct datagrams *datagrams, const uint8_t *bytes, size_t length,
                       uint64_t now_ns)
{
	struct slice payload = {bytes + FRAME_HEADER_BYTES, length - FRAME_HEADER_BYTES};
	struct datagram_slot *slot;
	struct datagram_held *held;
	uint16_t sequence, datagram_count;
	bool is_open;

	if (length <= FRAME_HEADER_BYTES) {
		refuse(datagrams, "a datagram without a reply in it");
		return;
	}
	slot = &datagrams->slots[load_be16(bytes) % datagrams->slot_count];
	sequence = load_be16(bytes + 2);
	datagram_count = load_be16(bytes + 4);
	if (!slot->is_busy || slot->id != load_be16(bytes)) {
		datagrams->workload->counters.datagrams_late++;
		return;
	}
	if (slot->datagram_count == 0)
		slot->datagram_count = datagram_count;
	if (datagram_count != slot->datagram_count || sequence >= datagram_count) {
		refuse(datagrams, "a datagram number outside its reply's count");
		slot_release(datagrams, slot);
		return;
	}
	if (sequence < slot->sequence_next) {
		datagrams->workload->counters.datagrams_late++;
		return;
	}
	if (sequence > slot->sequence_next) {
		slot_hold(datagrams, slot, sequence, payload);
		return;
	}
	is_open = slot_check(datagrams, slot, payload, now_ns);
	while (is_open && (held = slot_take_held(slot)) != NULL) {
		is_open =
		    slot_check(datagrams, slot, (struct slice){held->bytes, held->length}, now_ns);
		shelf_give_back(datagrams->shelf, held);
	}
}

void datagrams_reflected(struct datagrams *datagrams, const uint8_t *bytes, size_t length,
                         uint64_t now_ns)
{
	uint8_t sent[DATAGRAM_REQUEST_BYTES_MAX];
	struct datagram_slot *slot;

	if (length < FRAME_HEADER_BYTES) {
		refuse(datagrams, "a datagram came back too short");
		return;
	}
	slot = &datagrams->slots[load_be16(bytes) % datagrams->slot_count];
	if (!slot->is_busy || slot->id != load_be16(bytes)) {
		datagrams->workload->counters.datagrams_late++;
		return;
	}
	if (length != put_datagram(datagrams, slot, sent) || memcmp(bytes, sent, length) != 0)
		refuse(datagrams, "a datagram came back changed");
	else
		workload_count_reply(datagrams->workload, &slot->request, &slot->reply,
		                     REPLY_REFLECTED, now_ns);
	slot_release(datagrams, slot);
}

void datagrams_expire(struct datagrams *datagrams, uint64_t now_ns, uint64_t timeout_ns)
{
	if (datagrams->busy_count == 0)
		return;
	for (uint32_t i = 0; i < datagrams->slot_count; i++) {
		struct datagram_slot *slot = &datagrams->slots[i];

		if (slot->is_busy && now_ns - slot->sent_ns >= timeout_ns) {
			datagrams->workload->counters.unanswered++;
			slot_release(datagrams, slot);
		}
	}
}
