/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes, cut anywhere, sent to a session by clients that read at once or seldom: no invariant
 * breaks, the replies do not depend on the cuts, and nothing is left behind. The same bytes as a
 * datagram: replies stay within their limits.
 *
 * Input: eight bytes of seed, then what the client sends. */
#include "rig.h"

#include "base/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Replies, and whether the client was closed as the last byte. */
static struct bytes run(const uint8_t *data, size_t size, struct random *random)
{
	struct rig_options options = {.block_count = 128,
	                              .line_buffer_count = 1,
	                              .output_bytes_max = 512,
	                              .value_bytes_max = 1024,
	                              .memory_bytes = 1};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	struct bytes replies;

	while (size > 0) {
		size_t part = size;

		if (random != NULL) {
			part = 1 + random_below(random, random_below(random, size) + 1);
			client->reads_not = random_below(random, 4) == 0;
			if (!client->reads_not)
				rig_run(client);
		}
		part = min_u64(part, size);
		rig_send(client, data, part);
		data += part;
		size -= part;
	}
	client->reads_not = false;
	rig_read(client, UINT64_MAX);
	rig_run(client);
	rig_finish(client);
	ASSERT(!client->is_aborted);
	replies = client->replies;
	client->replies = (struct bytes){0};
	rig_disconnect(client);
	rig_destroy(rig);
	return replies;
}

static void run_datagram(const uint8_t *data, size_t size)
{
	static const uint8_t head[] = {0, 1, 0, 0, 0, 1, 0, 0};
	struct rig_options options = {
	    .block_count = 16, .value_bytes_max = 1024, .memory_bytes = 1};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	struct bytes datagram = {0};

	rig_send(client, "set a 0 0 3\r\none\r\nset b 0 0 100\r\n", 34);
	rig_send(client, (uint8_t[102]){[100] = '\r', [101] = '\n'}, 102);
	bytes_append(&datagram, head, sizeof(head));
	bytes_append(&datagram, data, size);
	rig_send_datagram(rig, (struct slice){datagram.data, datagram.length}, false);
	ASSERT(rig->datagrams_sent.length <= 2 + 1400);
	ASSERT(rig->datagrams_sent.length <= 2 + 10 * datagram.length);
	free(datagram.data);
	rig_disconnect(client);
	rig_destroy(rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct random random;
	struct bytes whole, cut;
	uint64_t seed;

	if (size < sizeof(seed))
		return 0;
	memcpy(&seed, data, sizeof(seed));
	data += sizeof(seed);
	size -= sizeof(seed);
	random = random_seeded(seed);
	whole = run(data, size, NULL);
	cut = run(data, size, &random);
	/* stats tells bytes_read, which is counted by burst. */
	if (memmem(data, size, "stats", 5) == NULL) {
		ASSERT(cut.length == whole.length);
		ASSERT(cut.length == 0 || memcmp(cut.data, whole.data, cut.length) == 0);
	}
	free(whole.data);
	free(cut.data);
	run_datagram(data, size);
	return 0;
}
