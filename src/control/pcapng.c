/* SPDX-License-Identifier: Apache-2.0 */
#include "control/pcapng.h"

#include <errno.h>
#include <string.h>

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LENGTH_UNKNOWN   UINT64_MAX
#define LINK_ETHERNET    1

enum block {
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a,
};

enum option {
	OPTION_END = 0,
	SECTION_APPLICATION = 4,
	INTERFACE_NAME = 2,
	INTERFACE_DESCRIPTION = 3,
	INTERFACE_RESOLUTION = 9,
	INTERFACE_FILTER = 11,
	PACKET_FLAGS = 2,
	PACKET_MISSED = 4,
	STATISTICS_BEGIN = 2,
	STATISTICS_END = 3,
	STATISTICS_RECEIVED = 4,
	STATISTICS_MISSED = 5,
	STATISTICS_ACCEPTED = 6,
	STATISTICS_BEHIND = 7,
	STATISTICS_WRITTEN = 8,
};

enum direction {
	DIRECTION_RECEIVED = 1,
	DIRECTION_SENT = 2,
};

/* Of a whole block; numbers are in the machine's order, which the section's head tells. */
struct frame {
	struct evbuffer *body;
	bool failed;
};

static void add(struct frame *frame, const void *bytes, size_t length)
{
	static const uint8_t zeros[3];

	if (length == 0)
		return;
	frame->failed |= evbuffer_add(frame->body, bytes, length) < 0 ||
	                 evbuffer_add(frame->body, zeros, -length & 3) < 0;
}

static void add_u32(struct frame *frame, uint32_t number)
{
	add(frame, &number, sizeof(number));
}

/* Its high half first, whatever the order of bytes. */
static void add_time(struct frame *frame, uint64_t us)
{
	add_u32(frame, (uint32_t)(us >> 32));
	add_u32(frame, (uint32_t)us);
}

static void add_option(struct frame *frame, enum option option, const void *value, size_t length)
{
	uint16_t head[2] = {(uint16_t)option, (uint16_t)length};

	add(frame, head, sizeof(head));
	add(frame, value, length);
}

static void add_text(struct frame *frame, enum option option, const char *text)
{
	add_option(frame, option, text, strlen(text));
}

static void add_count(struct frame *frame, enum option option, uint64_t count)
{
	add_option(frame, option, &count, sizeof(count));
}

static struct frame begin(void)
{
	struct evbuffer *body = evbuffer_new();

	return (struct frame){.body = body, .failed = body == NULL};
}

static int end(struct frame *frame, enum block block, struct evbuffer *to)
{
	uint32_t head[2] = {block, (uint32_t)evbuffer_get_length(frame->body) + 12};

	if (!frame->failed && evbuffer_prepend(frame->body, head, sizeof(head)) == 0 &&
	    evbuffer_add(frame->body, &head[1], sizeof(head[1])) == 0)
		frame->failed = evbuffer_add_buffer(to, frame->body) < 0;
	else
		frame->failed = true;
	evbuffer_free(frame->body);
	return frame->failed ? -ENOMEM : 0;
}

static int add_section(struct evbuffer *to)
{
	static const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint64_t length;
	} head = {BYTE_ORDER_MAGIC, 1, 0, LENGTH_UNKNOWN};
	struct frame frame = begin();

	if (frame.body == NULL)
		return -ENOMEM;
	add(&frame, &head, sizeof(head));
	add_text(&frame, SECTION_APPLICATION, "kante " KANTE_VERSION);
	add_option(&frame, OPTION_END, NULL, 0);
	return end(&frame, BLOCK_SECTION, to);
}

int pcapng_begin(struct evbuffer *to, const struct pcapng_interface *interface)
{
	static const uint8_t microseconds = 6; /* ten to the power of minus so much */
	static const uint16_t link[2] = {LINK_ETHERNET, 0};
	char filter[UINT8_MAX * 16] = ""; /* a filter as text begins with a zero */
	struct frame frame;
	int r = add_section(to);

	if (r < 0)
		return r;
	frame = begin();
	if (frame.body == NULL)
		return -ENOMEM;
	add(&frame, link, sizeof(link));
	add_u32(&frame, interface->snap);
	add_text(&frame, INTERFACE_NAME, interface->name);
	add_text(&frame, INTERFACE_DESCRIPTION, interface->description);
	add_option(&frame, INTERFACE_RESOLUTION, &microseconds, sizeof(microseconds));
	if (interface->filter != NULL) {
		size_t length = strnlen(interface->filter, sizeof(filter) - 1);

		memcpy(filter + 1, interface->filter, length);
		add_option(&frame, INTERFACE_FILTER, filter, length + 1);
	}
	add_option(&frame, OPTION_END, NULL, 0);
	return end(&frame, BLOCK_INTERFACE, to);
}

int pcapng_packet(struct evbuffer *to, const struct pcapng_packet *packet)
{
	uint32_t flags = packet->is_sent ? DIRECTION_SENT : DIRECTION_RECEIVED;
	struct frame frame = begin();

	if (frame.body == NULL)
		return -ENOMEM;
	add_u32(&frame, 0); /* the interface */
	add_time(&frame, packet->time_us);
	add_u32(&frame, packet->kept);
	add_u32(&frame, packet->length);
	add(&frame, packet->bytes, packet->kept);
	add_option(&frame, PACKET_FLAGS, &flags, sizeof(flags));
	if (packet->missed > 0)
		add_count(&frame, PACKET_MISSED, packet->missed);
	add_option(&frame, OPTION_END, NULL, 0);
	return end(&frame, BLOCK_PACKET, to);
}

static void add_moment(struct frame *frame, enum option option, uint64_t us)
{
	uint32_t halves[2] = {(uint32_t)(us >> 32), (uint32_t)us};

	add_option(frame, option, halves, sizeof(halves));
}

int pcapng_statistics(struct evbuffer *to, const struct pcapng_statistics *statistics)
{
	struct frame frame = begin();

	if (frame.body == NULL)
		return -ENOMEM;
	add_u32(&frame, 0);
	add_time(&frame, statistics->end_us);
	add_moment(&frame, STATISTICS_BEGIN, statistics->begin_us);
	add_moment(&frame, STATISTICS_END, statistics->end_us);
	add_count(&frame, STATISTICS_RECEIVED, statistics->received);
	add_count(&frame, STATISTICS_MISSED, statistics->missed);
	add_count(&frame, STATISTICS_ACCEPTED, statistics->accepted);
	add_count(&frame, STATISTICS_BEHIND, statistics->behind);
	add_count(&frame, STATISTICS_WRITTEN, statistics->written);
	add_option(&frame, OPTION_END, NULL, 0);
	return end(&frame, BLOCK_STATISTICS, to);
}
