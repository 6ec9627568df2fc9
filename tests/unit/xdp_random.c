/* SPDX-License-Identifier: Apache-2.0 */
/* Requests made up from a seed, good ones and spoilt ones: whatever the XDP program answers, the
 * worker would have answered with the same bytes. */
#include "xdp_rig.h"

#include "seed.h"

#define KEY_COUNT     40
#define REQUEST_COUNT 60000
#define REQUEST_BYTES 400

struct key {
	uint8_t bytes[XDP_KEY_BYTES_MAX];
	uint32_t length;
};

static struct xdp_rig *rig;
static struct key keys[KEY_COUNT];
static struct random random_state;

static uint32_t below(uint32_t bound)
{
	return (uint32_t)random_below(&random_state, bound);
}

static void make_key(struct key *key)
{
	static const uint32_t lengths[] = {1, 7, 8, 9, 16, 100, 249, 250};
	static const uint8_t odd[] = {0, '\t', '\r', '\n', 0x1f, ' ', 0x7f, 0x80, 0xff};

	key->length = lengths[below(8)];
	for (uint32_t i = 0; i < key->length; i++)
		key->bytes[i] = (uint8_t)('!' + below(94));
	if (below(3) == 0) /* what text may not have */
		key->bytes[below(key->length)] = odd[below(sizeof(odd))];
}

static void store(const struct key *key)
{
	static const uint32_t lengths[] = {0,  1,   2,    3,    8,
	                                   31, 100, 1000, 1300, SLOT_VALUE_BYTES_MAX};
	static uint8_t value[SLOT_VALUE_BYTES_MAX];
	uint32_t length = lengths[below(10)];
	uint32_t flags = below(2) ? below(100) : (uint32_t)random_u64(&random_state);

	for (uint32_t i = 0; i < length; i++)
		value[i] = (uint8_t)below(256);
	xdp_rig_store(rig, (struct slice){key->bytes, key->length}, (struct slice){value, length},
	              flags, below(2) ? 0 : 10 + below(1000000));
}

static uint32_t append(uint8_t *to, uint32_t length, const void *bytes, size_t count)
{
	memcpy(to + length, bytes, count);
	return length + (uint32_t)count;
}

static uint32_t make_meta_flags(uint8_t *to, uint32_t length)
{
	static const char letters[] = "vftskcqOvftskcqOhlbuxTNRE";

	for (uint32_t i = below(8); i > 0; i--) {
		char letter = letters[below(below(10) == 0 ? sizeof(letters) - 1 : 16)];

		to[length++] = ' ';
		to[length++] = (uint8_t)letter;
		if (letter == 'O' || letter == 'T' || letter == 'N')
			for (uint32_t j = below(40); j > 0; j--)
				to[length++] = (uint8_t)(letter == 'O' ? '!' + below(94) : '1');
	}
	return length;
}

static uint32_t make_request(uint8_t *to)
{
	const struct key *key = &keys[below(KEY_COUNT)];
	uint32_t length = append(to, 0, "\x12\x34\0\0\0\1\0\0", 8);
	static const uint8_t opcodes[] = {0x00, 0x09, 0x0c, 0x0d, 0x0c, 0x0a, 0x1d, 0x01};

	store_be16(to, (uint16_t)below(65536));
	switch (below(4)) {
	case 0: length = append(to, length, "get ", 4); break;
	case 1: length = append(to, length, "gets ", 5); break;
	case 2: length = append(to, length, "mg ", 3); break;
	default:
		memset(to + length, 0, 24);
		to[length] = 0x80;
		to[length + 1] = opcodes[below(below(10) == 0 ? 8 : 4)];
		store_be16(to + length + 2, (uint16_t)key->length);
		store_be32(to + length + 8, key->length);
		store_be32(to + length + 12, (uint32_t)random_u64(&random_state));
		return append(to, length + 24, key->bytes, key->length);
	}
	length = append(to, length, key->bytes, key->length);
	if (to[8] == 'm')
		length = make_meta_flags(to, length);
	return append(to, length, "\r\n", 2);
}

static uint32_t spoil(uint8_t *request, uint32_t length)
{
	static const uint8_t bytes[] = " \r\n\0vkO0x\x7f\x80";
	uint32_t at = below(length);

	switch (below(4)) {
	case 0: request[at] = (uint8_t)below(256); return length;
	case 1: request[at] = bytes[below(sizeof(bytes))]; return length;
	case 2: memmove(request + at, request + at + 1, length - at - 1); return length - 1;
	default:
		memmove(request + at + 1, request + at, length - at);
		request[at] = bytes[below(sizeof(bytes))];
		return length + 1;
	}
}

static void choose_path(void)
{
	if (below(2))
		xdp_rig_path(rig, "192.0.2.1", "192.0.2.2");
	else
		xdp_rig_path(rig, "2001:db8::1", "2001:db8::2");
	rig->path.vlan = below(4) == 0 ? 42 : FRAME_NO_VLAN;
}

static uint32_t now_s(void)
{
	return (uint32_t)((xdp_rig_now_ns() - rig->clock_start_ns) / 1000000000);
}

static void test_the_worker_would_have_said_the_same(void)
{
	uint64_t seed = seed_of_this_run();
	uint8_t request[2 * REQUEST_BYTES + 64];
	uint32_t answered = 0, wrong = 0;

	random_state = random_seeded(seed);
	for (uint32_t i = 0; i < KEY_COUNT; i++)
		make_key(&keys[i]);
	for (uint32_t i = 0; i < REQUEST_COUNT; i++) {
		uint32_t length = make_request(request);
		struct slice payload;

		/* the server goes by the kernel's clock */
		rig->worker->time.now_s = now_s();
		if (i < KEY_COUNT || below(20) == 0)
			store(&keys[i < KEY_COUNT ? i : below(KEY_COUNT)]);
		if (below(3) == 0)
			for (uint32_t j = below(3) + 1; j > 0; j--)
				length = spoil(request, length);
		payload = (struct slice){request, length};
		choose_path();
		xdp_rig_write(rig, payload);
		if (xdp_rig_run(rig) != XDP_TX)
			continue;
		answered++;
		if (xdp_rig_is_answer(rig, payload))
			continue;
		if (rig->worker->time.now_s != now_s())
			continue; /* meanwhile it was another second */
		if (++wrong == 1)
			printf("\nrequest %u is answered wrongly: %.*s\n", i, (int)length - 8,
			       request + 8);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(answered > REQUEST_COUNT / 4);
	printf("%u of %u answered ", answered, REQUEST_COUNT);
}

static const struct unit_case cases[] = {
    {"the worker would have said the same", test_the_worker_would_have_said_the_same},
};

int main(void)
{
	return xdp_rig_main(&rig, NULL, "XDP random", cases, sizeof(cases) / sizeof(cases[0]));
}
