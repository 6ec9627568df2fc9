/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#include "rig.h"

#include "base/random.h"

/* Replies, and whether the client was closed as the last byte. `random` NULL: in one piece. */
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
	bytes_append(&client->replies, client->is_closed ? "c" : "o", 1);
	rig_finish(client);
	ASSERT(!client->is_aborted);
	replies = client->replies;
	client->replies = (struct bytes){0};
	rig_disconnect(client);
	rig_destroy(rig);
	return replies;
}

/* Figures tell of bytes_read, which is counted by burst. */
static bool may_ask_figures(const struct input *input)
{
	return memmem(input->data, input->length, "stats", 5) != NULL ||
	       memmem(input->data, input->length, "\x80\x10", 2) != NULL;
}

void raw_stream(struct input *input)
{
	uint64_t seed = (uint64_t)input_u32(input) << 32 | input_u32(input);
	struct random random = random_seeded(seed);
	struct bytes whole = run(input->data, input->length, NULL);
	struct bytes cut = run(input->data, input->length, &random);

	if (!may_ask_figures(input)) {
		ASSERT(cut.length == whole.length);
		ASSERT(memcmp(cut.data, whole.data, cut.length) == 0);
	}
	free(whole.data);
	free(cut.data);
}

void raw_datagram(struct input *input)
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
	bytes_append(&datagram, input->data, input->length);
	rig_send_datagram(rig, (struct slice){datagram.data, datagram.length}, false);
	ASSERT(rig->datagrams_sent.length <= 2 + 1400);
	ASSERT(rig->datagrams_sent.length <= 2 + 10 * datagram.length);
	free(datagram.data);
	rig_disconnect(client);
	rig_destroy(rig);
}
