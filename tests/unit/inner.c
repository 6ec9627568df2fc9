/* SPDX-License-Identifier: Apache-2.0 */
#include "net/inner.h"

#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

#define BLOCK_COUNT  256
#define MEMORY_BYTES (4u * 1024 * 1024)
#define THREAD_BYTES 3000000u

/* A user that keeps what it gets, up to a limit, and can be told to say it again. */
struct rig {
	struct inners *inners;
	struct block_pool pool;
	struct stream_user user;
	uint8_t *memory;
	uint8_t got[65536];
	uint32_t got_bytes;
	uint32_t limit; /* bytes in all that it takes */
	uint32_t opened, finished, drained, closed;
	bool refuses; /* to open */
	bool echoes;  /* says what it gets */
	bool aborts;  /* as soon as it gets something */
	bool goes;    /* closes when it is told of the end */
	struct stream *stream;
};

static bool opened(void *context, struct stream *stream)
{
	struct rig *rig = context;

	rig->opened++;
	rig->stream = stream;
	return !rig->refuses;
}

static uint32_t received(void *context, struct stream *stream, const uint8_t *bytes,
                         uint32_t length)
{
	struct rig *rig = context;
	uint32_t count = min_u32(length, rig->limit - rig->got_bytes);

	if (rig->aborts)
		stream->ops->abort(stream);
	if (rig->echoes) {
		if (stream->out.length > BLOCK_COUNT / 2 * BLOCK_CAPACITY)
			return 0; /* drained() will ask for it again */
		CU_ASSERT_TRUE(chain_append(&stream->out, bytes, length));
		return length;
	}
	memcpy(rig->got + rig->got_bytes, bytes, count);
	rig->got_bytes += count;
	return count;
}

static void finished(void *context, struct stream *stream)
{
	struct rig *rig = context;

	rig->finished++;
	if (rig->goes)
		stream->ops->close(stream);
}

static void drained(void *context, struct stream *stream)
{
	struct rig *rig = context;

	rig->drained++;
	stream->ops->resume(stream);
}

static void closed(void *context, struct stream *stream)
{
	struct rig *rig = context;

	rig->closed++;
}

static void set_up(struct rig *rig)
{
	struct memory memory = {.bytes = MEMORY_BYTES};

	*rig = (struct rig){.limit = sizeof(rig->got)};
	rig->memory = aligned_alloc(CACHE_LINE_BYTES, MEMORY_BYTES);
	memset(rig->memory, 0, MEMORY_BYTES);
	memory.base = rig->memory;
	rig->user = (struct stream_user){opened, received, finished, drained, closed, rig};
	block_pool_create(&rig->pool, BLOCK_COUNT, &memory, NULL);
	rig->inners = memory_take(&memory, sizeof(*rig->inners));
	inners_create(rig->inners, &rig->pool, &rig->user, &memory);
	CU_ASSERT_TRUE(memory_rounded(sizeof(*rig->inners)) + inners_bytes() +
	                   block_pool_bytes(BLOCK_COUNT) >=
	               memory.used_bytes);
}

static void tear_down(struct rig *rig)
{
	CU_ASSERT_EQUAL(rig->pool.free_count, BLOCK_COUNT);
	free(rig->memory);
}

static void write_text(struct inner *inner, const char *text)
{
	CU_ASSERT_EQUAL(inner_write(inner, (const uint8_t *)text, (uint32_t)strlen(text)),
	                strlen(text));
}

static bool reads(struct inner *inner, const char *text)
{
	bool ended;
	struct slice slice = inner_read(inner, &ended);
	bool same = slice.length == strlen(text) && memcmp(slice.data, text, slice.length) == 0;

	if (slice.length > 0)
		inner_read_drop(inner);
	return same && !ended;
}

static bool has_ended(struct inner *inner)
{
	bool ended;

	return inner_read(inner, &ended).length == 0 && ended;
}

static void bytes_go_both_ways(void)
{
	struct rig rig;
	struct inner *inner;

	set_up(&rig);
	rig.echoes = true;
	CU_ASSERT_EQUAL(inners_poll(rig.inners), 0);
	inner = inner_open(rig.inners);
	write_text(inner, "stats\r\n");
	CU_ASSERT_EQUAL(inners_poll(rig.inners), 1);
	CU_ASSERT_EQUAL(rig.opened, 1);
	CU_ASSERT_TRUE(reads(inner, "stats\r\n"));
	CU_ASSERT_EQUAL(rig.drained, 1);
	CU_ASSERT_EQUAL(inners_poll(rig.inners), 0);
	inner_hang(inner);
	CU_ASSERT_FALSE(inner_close(inner));
	inners_poll(rig.inners);
	CU_ASSERT_EQUAL(rig.closed, 1);
	CU_ASSERT_TRUE(has_ended(inner));
	CU_ASSERT_TRUE(inner_close(inner));
	tear_down(&rig);
}

static void what_is_refused_is_offered_again_when_there_is_room(void)
{
	struct rig rig;
	struct inner *inner;

	set_up(&rig);
	rig.limit = 3;
	inner = inner_open(rig.inners);
	write_text(inner, "abcdef");
	inners_poll(rig.inners);
	CU_ASSERT_EQUAL(rig.got_bytes, 3);
	rig.limit = 100;
	inners_poll(rig.inners);
	CU_ASSERT_EQUAL(rig.got_bytes, 3);
	rig.stream->ops->resume(rig.stream);
	inners_poll(rig.inners);
	CU_ASSERT_EQUAL(rig.got_bytes, 6);
	CU_ASSERT_EQUAL(memcmp(rig.got, "abcdef", 6), 0);
	inner_hang(inner);
	inners_poll(rig.inners);
	tear_down(&rig);
}

static void a_full_ring_takes_no_more_and_loses_nothing(void)
{
	static uint8_t bytes[100000];
	struct rig rig;
	struct inner *inner;
	uint32_t first, second;

	set_up(&rig);
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	inner = inner_open(rig.inners);
	first = inner_write(inner, bytes, sizeof(bytes));
	CU_ASSERT_TRUE(first > 0 && first < sizeof(bytes));
	CU_ASSERT_EQUAL(inner_write(inner, bytes + first, 1), 0);
	inners_poll(rig.inners);
	second = inner_write(inner, bytes + first, sizeof(bytes) - first);
	CU_ASSERT_EQUAL(second, first);
	inners_poll(rig.inners);
	CU_ASSERT_EQUAL(rig.got_bytes, first + second);
	CU_ASSERT_EQUAL(memcmp(rig.got, bytes, rig.got_bytes), 0);
	inner_hang(inner);
	inners_poll(rig.inners);
	tear_down(&rig);
}

static void the_end_is_told_after_the_last_byte(void)
{
	struct rig rig;
	struct inner *inner;

	set_up(&rig);
	rig.limit = 2;
	rig.goes = true;
	inner = inner_open(rig.inners);
	write_text(inner, "quit");
	inner_end(inner);
	inners_poll(rig.inners);
	CU_ASSERT_EQUAL(rig.finished, 0);
	rig.limit = 4;
	rig.stream->ops->resume(rig.stream);
	inners_poll(rig.inners);
	CU_ASSERT_EQUAL(rig.finished, 1);
	CU_ASSERT_EQUAL(rig.closed, 1);
	CU_ASSERT_TRUE(has_ended(inner));
	CU_ASSERT_TRUE(inner_close(inner));
	tear_down(&rig);
}

static void close_sends_what_waits_and_then_ends(void)
{
	static uint8_t bytes[200000];
	struct rig rig;
	struct inner *inner;
	uint32_t count = 0;

	set_up(&rig);
	inner = inner_open(rig.inners);
	inners_poll(rig.inners);
	CU_ASSERT_TRUE(chain_append(&rig.stream->out, bytes, sizeof(bytes)));
	rig.stream->ops->push(rig.stream);
	rig.stream->ops->close(rig.stream);
	for (uint32_t i = 0; i < 10 && !has_ended(inner); i++) {
		bool ended;
		struct slice slice;

		inners_poll(rig.inners);
		while ((slice = inner_read(inner, &ended)).length > 0) {
			count += (uint32_t)slice.length;
			inner_read_drop(inner);
		}
	}
	CU_ASSERT_EQUAL(count, sizeof(bytes));
	CU_ASSERT_EQUAL(rig.closed, 1);
	CU_ASSERT_TRUE(inner_close(inner));
	tear_down(&rig);
}

static void who_is_not_let_in_or_aborts_is_ended(void)
{
	struct rig rig;
	struct inner *inner;

	set_up(&rig);
	rig.refuses = true;
	inner = inner_open(rig.inners);
	inners_poll(rig.inners);
	CU_ASSERT_TRUE(has_ended(inner));
	CU_ASSERT_EQUAL(rig.closed, 0);
	CU_ASSERT_TRUE(inner_close(inner));
	rig.refuses = false;
	rig.aborts = true;
	inner = inner_open(rig.inners);
	write_text(inner, "x");
	inners_poll(rig.inners);
	CU_ASSERT_TRUE(has_ended(inner));
	CU_ASSERT_EQUAL(rig.closed, 1);
	CU_ASSERT_TRUE(inner_close(inner));
	tear_down(&rig);
}

static void one_that_is_given_back_is_as_new(void)
{
	struct rig rig;
	struct inner *inner;

	set_up(&rig);
	rig.echoes = true;
	for (uint32_t i = 0; i < 100; i++) {
		inner = inner_open(rig.inners);
		write_text(inner, "left in the ring");
		if (i % 3 > 0)
			inners_poll(rig.inners);
		if (i % 3 > 1)
			write_text(inner, "and behind it");
		inner_hang(inner);
		inners_poll(rig.inners);
		CU_ASSERT_TRUE(inner_close(inner));
	}
	inner = inner_open(rig.inners);
	write_text(inner, "new");
	inners_poll(rig.inners);
	CU_ASSERT_TRUE(reads(inner, "new"));
	inner_hang(inner);
	inners_poll(rig.inners);
	tear_down(&rig);
}

static void there_are_so_many_and_no_more(void)
{
	struct rig rig;
	struct inner *list[INNER_COUNT];

	set_up(&rig);
	for (uint32_t i = 0; i < INNER_COUNT; i++) {
		list[i] = inner_open(rig.inners);
		CU_ASSERT_PTR_NOT_NULL(list[i]);
	}
	CU_ASSERT_PTR_NULL(inner_open(rig.inners));
	inner_hang(list[3]);
	inners_poll(rig.inners);
	CU_ASSERT_TRUE(inner_close(list[3]));
	CU_ASSERT_PTR_EQUAL(inner_open(rig.inners), list[3]);
	for (uint32_t i = 0; i < INNER_COUNT; i++)
		inner_hang(list[i]);
	inners_poll(rig.inners);
	tear_down(&rig);
}

struct worker_thread {
	struct rig *rig;
	_Atomic bool stop;
};

static void *worker_loop(void *context)
{
	struct worker_thread *thread = context;

	while (!atomic_load_explicit(&thread->stop, memory_order_relaxed))
		inners_poll(thread->rig->inners);
	return NULL;
}

/* Sends bytes, compares what comes back, and hangs up after so many. */
static void talk(struct inner *inner, uint32_t bytes)
{
	uint32_t sent = 0, heard = 0;
	bool ended = false;

	while (heard < bytes) {
		uint8_t piece[777];
		uint32_t count = min_u32(sizeof(piece), bytes - sent);
		struct slice slice;

		for (uint32_t i = 0; i < count; i++)
			piece[i] = (uint8_t)((sent + i) * 31 >> 3);
		sent += inner_write(inner, piece, count);
		while ((slice = inner_read(inner, &ended)).length > 0) {
			for (uint32_t i = 0; i < slice.length; i++)
				if (slice.data[i] != (uint8_t)((heard + i) * 31 >> 3)) {
					CU_FAIL("a wrong byte");
					return;
				}
			heard += (uint32_t)slice.length;
			inner_read_drop(inner);
		}
	}
	CU_ASSERT_FALSE(ended);
	CU_ASSERT_EQUAL(heard, bytes);
}

static void two_threads_hear_each_byte_in_order(void)
{
	struct rig rig;
	struct worker_thread thread = {.rig = &rig};
	pthread_t id;

	set_up(&rig);
	rig.echoes = true;
	pthread_create(&id, NULL, worker_loop, &thread);
	for (uint32_t i = 0; i < 20; i++) {
		struct inner *inner = inner_open(rig.inners);

		talk(inner, THREAD_BYTES / 20);
		inner_hang(inner);
		while (!inner_close(inner)) {
		}
	}
	atomic_store_explicit(&thread.stop, true, memory_order_relaxed);
	pthread_join(id, NULL);
	tear_down(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"bytes go both ways", bytes_go_both_ways},
	    {"what is refused is offered again when there is room",
	     what_is_refused_is_offered_again_when_there_is_room},
	    {"a full ring takes no more, and loses nothing",
	     a_full_ring_takes_no_more_and_loses_nothing},
	    {"the end is told after the last byte", the_end_is_told_after_the_last_byte},
	    {"close sends what waits and then ends", close_sends_what_waits_and_then_ends},
	    {"who is not let in, or aborts, is ended", who_is_not_let_in_or_aborts_is_ended},
	    {"one that is given back is as new", one_that_is_given_back_is_as_new},
	    {"there are so many and no more", there_are_so_many_and_no_more},
	    {"two threads hear each byte in order", two_threads_hear_each_byte_in_order},
	};

	return UNIT_RUN("inner", cases);
}
