/* SPDX-License-Identifier: Apache-2.0 */
#include "net/capture.h"

#include "net/memory_netif.h"
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

#define FRAME_COUNT  256
#define BLOCK_COUNT  64
#define MEMORY_BYTES (4u << 20)
#define PORT         3u
#define NOW_US       123456789ull
#define ALL          CAPTURED_SNAP_MAX
#define MANY         200000u

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

struct rig {
	struct memory_netif netif;
	struct capture capture;
	struct block_pool pool;
	struct memory memory;
	uint8_t sent[65536 + 64];
	uint32_t sent_length; /* of the newest */
	uint32_t sent_count;
	uint32_t released; /* references */
	uint8_t got[65536 + 64];
	struct captured captured; /* the newest taken; its bytes are in `got` */
};

static void sent(void *context, const uint8_t *frame, uint16_t length)
{
	struct rig *rig = context;

	memcpy(rig->sent, frame, length);
	rig->sent_length = length;
	rig->sent_count++;
}

static bool retain(void *context, void *reference)
{
	return true;
}

static void release(void *context, void *reference)
{
	struct rig *rig = context;

	rig->released++;
}

static struct rig *rig_new(void)
{
	struct rig *rig = aligned_alloc(CACHE_LINE_BYTES, memory_rounded(sizeof(*rig)));
	struct references references = {.retain = retain, .release = release, .context = rig};

	memset(rig, 0, sizeof(*rig));
	rig->memory.base = aligned_alloc(CACHE_LINE_BYTES, MEMORY_BYTES);
	rig->memory.bytes = MEMORY_BYTES;
	memory_netif_create(&rig->netif, FRAME_COUNT, &rig->memory, mac, 1500, sent, rig);
	block_pool_create(&rig->pool, BLOCK_COUNT, &rig->memory, &references);
	capture_create(&rig->capture, &rig->memory);
	capture_add_netif(&rig->capture, &rig->netif.netif, PORT);
	return rig;
}

static void rig_free(struct rig *rig)
{
	CU_ASSERT_EQUAL(rig->netif.free_count, FRAME_COUNT);
	free(rig->memory.base);
	free(rig);
}

static void fill(uint8_t *bytes, uint32_t length, uint32_t seed)
{
	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(seed + i * 31 + (i >> 8));
}

static const struct netif_ops *ops_of(struct rig *rig)
{
	return rig->netif.netif.ops;
}

static void receive(struct rig *rig, uint32_t length, uint32_t seed)
{
	struct packet burst[NETIF_BURST_MAX];
	uint8_t frame[MEMORY_NETIF_FRAME_MAX];

	fill(frame, length, seed);
	CU_ASSERT_TRUE_FATAL(memory_netif_inject(&rig->netif, frame, (uint16_t)length));
	CU_ASSERT_EQUAL(ops_of(rig)->receive(&rig->netif.netif, burst, NETIF_BURST_MAX), 1);
	ops_of(rig)->release(&rig->netif.netif, burst, 1);
}

static void transmit(struct rig *rig, uint32_t length, uint32_t seed)
{
	struct packet packet;

	CU_ASSERT_TRUE_FATAL(ops_of(rig)->allocate(&rig->netif.netif, &packet));
	fill(packet.data, length, seed);
	packet.length = (uint16_t)length;
	ops_of(rig)->transmit(&rig->netif.netif, &packet);
}

/* Takes the next copy. False: there is none. */
static bool take(struct rig *rig, uint16_t number)
{
	const struct captured *captured = capture_peek(&rig->capture, number);
	struct slice piece;
	uint32_t length = 0;

	if (captured == NULL)
		return false;
	rig->captured = *captured;
	for (uint32_t i = 0; (piece = capture_piece(&rig->capture, captured, i)).length > 0; i++) {
		memcpy(rig->got + length, piece.data, piece.length);
		length += (uint32_t)piece.length;
	}
	CU_ASSERT_EQUAL(length, captured->kept);
	capture_drop(&rig->capture);
	return true;
}

/* Whether the next copy is of that frame, and all of it. */
static bool takes(struct rig *rig, uint16_t number, uint32_t length, uint32_t seed, bool is_sent)
{
	uint8_t wanted[MEMORY_NETIF_FRAME_MAX];

	fill(wanted, length, seed);
	return take(rig, number) && rig->captured.length == length &&
	       rig->captured.kept == length && memcmp(rig->got, wanted, length) == 0 &&
	       rig->captured.is_sent == is_sent && rig->captured.number == number &&
	       rig->captured.time_us == NOW_US;
}

static void begin(struct rig *rig, uint32_t snap, uint16_t number)
{
	capture_begin(&rig->capture, PORT, snap, number);
	capture_turn(&rig->capture, NOW_US);
}

static void test_both_directions_are_copied(void)
{
	struct rig *rig = rig_new();

	begin(rig, ALL, 7);
	receive(rig, 60, 1);
	transmit(rig, 100, 2);
	CU_ASSERT_TRUE(takes(rig, 7, 60, 1, false));
	CU_ASSERT_TRUE(takes(rig, 7, 100, 2, true));
	CU_ASSERT_FALSE(take(rig, 7));
	CU_ASSERT_EQUAL(rig->sent_count, 1);
	CU_ASSERT_EQUAL(counter_read(&rig->capture.counters.frames), 2);
	CU_ASSERT_EQUAL(counter_read(&rig->capture.counters.missed), 0);
	rig_free(rig);
}

static void test_frames_of_any_length_are_copied_whole(void)
{
	struct rig *rig = rig_new();

	begin(rig, ALL, 1);
	for (uint32_t length = 1; length <= MEMORY_NETIF_FRAME_MAX; length++) {
		receive(rig, length, length);
		CU_ASSERT_TRUE(takes(rig, 1, length, length, false));
	}
	rig_free(rig);
}

static void test_no_more_than_was_asked_for_is_kept(void)
{
	struct rig *rig = rig_new();
	uint8_t wanted[CAPTURED_SNAP_MIN];

	begin(rig, CAPTURED_SNAP_MIN, 1);
	receive(rig, 1514, 5);
	fill(wanted, sizeof(wanted), 5);
	CU_ASSERT_TRUE(take(rig, 1));
	CU_ASSERT_EQUAL(rig->captured.length, 1514);
	CU_ASSERT_EQUAL(rig->captured.kept, CAPTURED_SNAP_MIN);
	CU_ASSERT_EQUAL(memcmp(rig->got, wanted, sizeof(wanted)), 0);
	receive(rig, CAPTURED_SNAP_MIN - 1, 6);
	CU_ASSERT_TRUE(takes(rig, 1, CAPTURED_SNAP_MIN - 1, 6, false));
	rig_free(rig);
}

static void test_who_is_not_asked_for_is_not_copied(void)
{
	struct rig *rig = rig_new();
	const struct netif_ops *own = ops_of(rig);

	receive(rig, 60, 1);
	capture_begin(&rig->capture, PORT + 1, ALL, 1); /* this worker has nothing of it */
	capture_turn(&rig->capture, NOW_US);
	receive(rig, 60, 1);
	CU_ASSERT_PTR_EQUAL(ops_of(rig), own);
	begin(rig, ALL, 2);
	CU_ASSERT_PTR_NOT_EQUAL(ops_of(rig), own);
	capture_end(&rig->capture);
	receive(rig, 60, 3); /* in the turn that has begun before */
	capture_turn(&rig->capture, NOW_US);
	CU_ASSERT_PTR_EQUAL(ops_of(rig), own);
	receive(rig, 60, 4);
	CU_ASSERT_TRUE(takes(rig, 2, 60, 3, false));
	CU_ASSERT_FALSE(take(rig, 2));
	rig_free(rig);
}

static void test_a_capture_has_no_copies_of_another(void)
{
	struct rig *rig = rig_new();

	begin(rig, ALL, 1);
	receive(rig, 1000, 1);
	receive(rig, 60, 2);
	begin(rig, ALL, 2); /* without a turn in which nothing was captured */
	receive(rig, 900, 3);
	CU_ASSERT_TRUE(takes(rig, 2, 900, 3, false));
	CU_ASSERT_FALSE(take(rig, 2));
	rig_free(rig);
}

static void test_a_full_ring_loses_copies_and_never_frames(void)
{
	struct rig *rig = rig_new();
	uint32_t kept = 0;

	begin(rig, ALL, 1);
	for (uint32_t i = 0; i < CAPTURE_SLOT_COUNT; i++)
		transmit(rig, 1000, i);
	CU_ASSERT_EQUAL(rig->sent_count, CAPTURE_SLOT_COUNT);
	kept = (uint32_t)counter_read(&rig->capture.counters.frames);
	CU_ASSERT_EQUAL(kept, CAPTURE_SLOT_COUNT / 5); /* that many slots has one */
	CU_ASSERT_EQUAL(counter_read(&rig->capture.counters.missed), CAPTURE_SLOT_COUNT - kept);
	for (uint32_t i = 0; i < kept; i++)
		CU_ASSERT_TRUE(takes(rig, 1, 1000, i, true));
	CU_ASSERT_FALSE(take(rig, 1));
	transmit(rig, 1000, 9);
	CU_ASSERT_TRUE(takes(rig, 1, 1000, 9, true));
	rig_free(rig);
}

/* Sends a packet whose payload is of two pieces, one referred to, by a card that can do that.
 * Returns whether the copy is what has been sent. */
static bool sends_pieces(struct rig *rig, uint32_t head, uint32_t copied, uint32_t referred)
{
	static uint8_t value[65536];
	struct chain chain;
	struct chain_cursor cursor = {0};
	struct packet packet;
	uint8_t small[2000];

	fill(small, copied, 1);
	fill(value, referred, 2);
	chain_create(&chain, &rig->pool);
	CU_ASSERT_TRUE_FATAL(chain_append(&chain, small, copied));
	CU_ASSERT_TRUE_FATAL(chain_append_reference(&chain, value, referred, value));
	CU_ASSERT_TRUE_FATAL(ops_of(rig)->allocate(&rig->netif.netif, &packet));
	fill(packet.data, head, 3);
	packet.length = (uint16_t)head;
	/* one that comes to nothing leaves no trace */
	CU_ASSERT_TRUE(
	    ops_of(rig)->append(&rig->netif.netif, &packet, &chain, &cursor, copied + referred));
	packet.l2_length = 14;
	packet.l3_length = 20;
	ops_of(rig)->transmit(&rig->netif.netif, &packet);
	ops_of(rig)->flush(&rig->netif.netif);
	chain_clear(&chain);
	return take(rig, 1) && rig->captured.length == rig->sent_length &&
	       rig->captured.length == head + copied + referred &&
	       rig->captured.kept == rig->captured.length &&
	       memcmp(rig->got, rig->sent, rig->sent_length) == 0;
}

static void test_pieces_that_a_card_puts_together_are_copied_in_order(void)
{
	struct rig *rig = rig_new();

	memory_netif_add_nic(&rig->netif, 0, true, &rig->memory);
	begin(rig, ALL, 1);
	CU_ASSERT_TRUE(sends_pieces(rig, 66, 10, 1424));
	CU_ASSERT_TRUE(sends_pieces(rig, 54, 1, 600));
	CU_ASSERT_TRUE(sends_pieces(rig, 54, 1446, 1));
	CU_ASSERT_TRUE(sends_pieces(rig, 54, 700, 700));
	CU_ASSERT_TRUE(rig->netif.nic->referred_bytes > 0);
	rig_free(rig);
}

struct threads {
	struct rig *rig;
	_Atomic bool is_over;
};

static void *send_many(void *context)
{
	struct threads *threads = context;

	for (uint32_t i = 0; i < MANY; i++) {
		capture_turn(&threads->rig->capture, i + 1);
		transmit(threads->rig, 8 + i % 700, i);
	}
	atomic_store_explicit(&threads->is_over, true, memory_order_release);
	return NULL;
}

/* Checks the newest one taken: frames are numbered by their time. */
static void check_taken(struct rig *rig, uint64_t *last_us)
{
	uint32_t i = (uint32_t)rig->captured.time_us - 1;
	uint8_t wanted[MEMORY_NETIF_FRAME_MAX];
	uint32_t length = 8 + i % 700;

	fill(wanted, length, i);
	CU_ASSERT_TRUE(rig->captured.time_us > *last_us);
	CU_ASSERT_EQUAL(rig->captured.kept, length);
	CU_ASSERT_EQUAL(memcmp(rig->got, wanted, length), 0);
	*last_us = rig->captured.time_us;
}

static void test_a_worker_and_the_keeper_disturb_each_other_in_nothing(void)
{
	struct threads threads = {.rig = rig_new()};
	struct rig *rig = threads.rig;
	uint64_t taken = 0, last_us = 0;
	pthread_t thread;
	bool is_over;

	capture_begin(&rig->capture, PORT, ALL, 1);
	pthread_create(&thread, NULL, send_many, &threads);
	do {
		is_over = atomic_load_explicit(&threads.is_over, memory_order_acquire);
		while (take(rig, 1)) {
			check_taken(rig, &last_us);
			taken++;
		}
	} while (!is_over);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(taken, counter_read(&rig->capture.counters.frames));
	CU_ASSERT_EQUAL(taken + counter_read(&rig->capture.counters.missed), MANY);
	CU_ASSERT_EQUAL(rig->sent_count, MANY);
	rig_free(rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"both directions are copied", test_both_directions_are_copied},
	    {"frames of any length are copied whole", test_frames_of_any_length_are_copied_whole},
	    {"no more than was asked for is kept", test_no_more_than_was_asked_for_is_kept},
	    {"who is not asked for is not copied", test_who_is_not_asked_for_is_not_copied},
	    {"a capture has no copies of another", test_a_capture_has_no_copies_of_another},
	    {"a full ring loses copies and never frames",
	     test_a_full_ring_loses_copies_and_never_frames},
	    {"pieces that a card puts together are copied in order",
	     test_pieces_that_a_card_puts_together_are_copied_in_order},
	    {"a worker and the keeper disturb each other in nothing",
	     test_a_worker_and_the_keeper_disturb_each_other_in_nothing},
	};

	return UNIT_RUN("capture", cases);
}
