/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include <stdarg.h>
#include <stdio.h>

#define OPTION_END            0
#define OPTION_NOP            1
#define OPTION_MSS            2
#define OPTION_WINDOW_SCALE   3
#define OPTION_SACK_PERMITTED 4
#define OPTION_SACK           5
#define OPTION_TIMESTAMP      8

static bool wrong(char error[SEGMENT_ERROR_MAX], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, SEGMENT_ERROR_MAX, format, arguments);
	va_end(arguments);
	return false;
}

static bool option_read(struct segment *segment, const uint8_t *option, uint32_t bytes,
                        char error[SEGMENT_ERROR_MAX])
{
	bool syn = (segment->flags & FLAG_SYN) != 0;
	uint32_t blocks = (bytes - 2) / 8;

	if (option[0] == OPTION_MSS && bytes == 4 && syn && !segment->has_mss) {
		segment->has_mss = true;
		segment->mss = load_be16(option + 2);
	} else if (option[0] == OPTION_WINDOW_SCALE && bytes == 3 && syn && !segment->has_wscale) {
		segment->has_wscale = true;
		segment->wscale = option[2];
		if (segment->wscale > 14)
			return wrong(error, "a window scale of %u (RFC 7323 2.2)", option[2]);
	} else if (option[0] == OPTION_SACK_PERMITTED && bytes == 2 && syn &&
	           !segment->sack_permitted) {
		segment->sack_permitted = true;
	} else if (option[0] == OPTION_TIMESTAMP && bytes == 10 && !segment->has_ts) {
		segment->has_ts = true;
		segment->ts_value = load_be32(option + 2);
		segment->ts_echo = load_be32(option + 6);
	} else if (option[0] == OPTION_SACK && bytes == 2 + 8 * blocks && blocks >= 1 &&
	           blocks <= SEGMENT_SACK_MAX && !syn && !segment->has_sack) {
		segment->has_sack = true;
		segment->sack_count = (uint8_t)blocks;
		for (uint32_t i = 0; i < 2 * blocks; i++)
			segment->sack[i / 2][i % 2] = load_be32(option + 2 + 4 * i);
	} else {
		return wrong(error, "option %u of %u bytes does not belong here", option[0], bytes);
	}
	return true;
}

static bool options_read(struct segment *segment, const uint8_t *options, uint32_t length,
                         char error[SEGMENT_ERROR_MAX])
{
	uint32_t at = 0;

	while (at < length) {
		if (options[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (options[at] == OPTION_END) {
			for (; at < length; at++)
				if (options[at] != 0)
					return wrong(error, "option padding is not zero");
			return true;
		}
		if (at + 1 == length || options[at + 1] < 2 || at + options[at + 1] > length)
			return wrong(error, "option %u does not fit its header", options[at]);
		if (!option_read(segment, options + at, options[at + 1], error))
			return false;
		at += options[at + 1];
	}
	return true;
}

bool segment_read(struct segment *ret_segment, const struct frame_path *path, const uint8_t *data,
                  size_t length, char ret_error[SEGMENT_ERROR_MAX])
{
	struct frame frame;
	const uint8_t *tcp;
	uint32_t header_bytes;

	if (!frame_parse(&frame, data, length))
		return wrong(ret_error, "a frame that is malformed");
	if (!frame.checksum_good)
		return wrong(ret_error, "a wrong checksum");
	if (frame.kind != FRAME_TCP)
		return wrong(ret_error, "a frame that is not TCP");
	tcp = frame.l4.data;
	if (tcp + frame.l4.length != data + length)
		return wrong(ret_error, "bytes behind the packet");
	if (memcmp(frame.source_mac, path->remote_mac, 6) != 0)
		return wrong(ret_error, "another source MAC address");
	if (!ip_address_equal(&frame.source, &path->remote) ||
	    !ip_address_equal(&frame.destination, &path->local))
		return wrong(ret_error, "other IP addresses");
	header_bytes = (tcp[12] >> 4) * 4u;
	if (header_bytes < SEGMENT_HEADER_BYTES || header_bytes > frame.l4.length)
		return wrong(ret_error, "a data offset of %u", tcp[12] >> 4);
	if ((tcp[12] & 0x0f) != 0)
		return wrong(ret_error, "reserved bits are set");
	*ret_segment = (struct segment){
	    .source_port = load_be16(tcp),
	    .destination_port = load_be16(tcp + 2),
	    .seq = load_be32(tcp + 4),
	    .ack = load_be32(tcp + 8),
	    .flags = tcp[13],
	    .window = load_be16(tcp + 14),
	    .urgent = load_be16(tcp + 18),
	    .payload = tcp + header_bytes,
	    .length = (uint32_t)frame.l4.length - header_bytes,
	};
	memcpy(ret_segment->destination_mac, frame.destination_mac, 6);
	ret_segment->dont_fragment =
	    !ip_address_is_ip4(&path->local) || (frame.l4.data[-14] & 0x40);
	if (ret_segment->urgent != 0)
		return wrong(ret_error, "an urgent pointer of %u", ret_segment->urgent);
	if (!(ret_segment->flags & FLAG_ACK) && ret_segment->ack != 0)
		return wrong(ret_error, "an acknowledgement number without ACK");
	return options_read(ret_segment, tcp + SEGMENT_HEADER_BYTES,
	                    header_bytes - SEGMENT_HEADER_BYTES, ret_error);
}

/* As Linux orders them. Returns their bytes, not padded. */
static uint32_t options_write(uint8_t *to, const struct segment *segment)
{
	uint32_t bytes = 0;

	if (segment->has_mss) {
		memcpy(to + bytes, (uint8_t[2]){OPTION_MSS, 4}, 2);
		store_be16(to + bytes + 2, segment->mss);
		bytes += 4;
	}
	if (segment->sack_permitted) {
		memcpy(to + bytes, (uint8_t[2]){OPTION_SACK_PERMITTED, 2}, 2);
		bytes += 2;
	}
	if (segment->has_ts) {
		memcpy(to + bytes, (uint8_t[2]){OPTION_TIMESTAMP, 10}, 2);
		store_be32(to + bytes + 2, segment->ts_value);
		store_be32(to + bytes + 6, segment->ts_echo);
		bytes += 10;
	}
	if (segment->has_wscale) {
		memcpy(to + bytes,
		       (uint8_t[4]){OPTION_NOP, OPTION_WINDOW_SCALE, 3, segment->wscale}, 4);
		bytes += 4;
	}
	if (segment->has_sack) {
		memcpy(to + bytes, (uint8_t[2]){OPTION_SACK, 2 + 8 * segment->sack_count}, 2);
		for (uint32_t i = 0; i < 2u * segment->sack_count; i++)
			store_be32(to + bytes + 2 + 4 * i, segment->sack[i / 2][i % 2]);
		bytes += 2 + 8u * segment->sack_count;
	}
	memcpy(to + bytes, segment->raw_options, segment->raw_option_bytes);
	return bytes + segment->raw_option_bytes;
}

uint32_t segment_write(uint8_t frame[SEGMENT_FRAME_MAX], const struct frame_path *path,
                       const struct segment *segment)
{
	uint8_t *tcp = frame_begin(frame, path, FRAME_PROTOCOL_TCP);
	uint8_t options[4 * SEGMENT_OPTIONS_MAX] = {OPTION_END};
	uint32_t option_bytes = (options_write(options, segment) + 3) / 4 * 4;
	uint32_t header_bytes = SEGMENT_HEADER_BYTES + option_bytes;
	uint32_t l4_bytes = header_bytes + segment->length;
	uint32_t frame_bytes;

	if (option_bytes > SEGMENT_OPTIONS_MAX || segment->length > SEGMENT_PAYLOAD_MAX)
		return 0;
	memset(tcp, 0, SEGMENT_HEADER_BYTES);
	store_be16(tcp, segment->source_port);
	store_be16(tcp + 2, segment->destination_port);
	store_be32(tcp + 4, segment->seq);
	store_be32(tcp + 8, segment->ack);
	tcp[12] = (uint8_t)(header_bytes / 4 << 4);
	if (segment->data_offset >= 0)
		tcp[12] = (uint8_t)(segment->data_offset << 4);
	tcp[13] = segment->flags;
	store_be16(tcp + 14, segment->window);
	store_be16(tcp + 18, segment->urgent);
	memcpy(tcp + SEGMENT_HEADER_BYTES, options, option_bytes);
	memcpy(tcp + header_bytes, segment->payload, segment->length);
	if (segment->cut >= 0)
		l4_bytes = min_u32(l4_bytes, (uint32_t)segment->cut);
	frame_bytes = frame_finish(frame, path, FRAME_PROTOCOL_TCP, l4_bytes);
	if (segment->bad_checksum)
		tcp[16] ^= 0x01;
	return frame_bytes;
}

uint32_t segment_sequence_length(const struct segment *segment)
{
	return segment->length + ((segment->flags & FLAG_SYN) != 0) +
	       ((segment->flags & FLAG_FIN) != 0);
}

static void add(char text[SEGMENT_TEXT_MAX], const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, SEGMENT_TEXT_MAX - length, format, arguments);
	va_end(arguments);
}

void segment_format(char text[SEGMENT_TEXT_MAX], const struct segment *segment,
                    const struct segment_base *base)
{
	static const char *names[8] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
	static const uint8_t order[8] = {1, 2, 0, 4, 3, 5, 6, 7};

	text[0] = 0;
	for (int i = 0; i < 8; i++)
		if (segment->flags & (1u << order[i]))
			add(text, "%s ", names[order[i]]);
	add(text, "%sseq %d", segment->flags == 0 ? "- " : "", (int32_t)(segment->seq - base->seq));
	if (segment->flags & FLAG_ACK)
		add(text, " ack %d", (int32_t)(segment->ack - base->ack));
	add(text, " win %u", segment->window);
	if (segment->length > 0)
		add(text, " len %u", segment->length);
	if (segment->has_mss)
		add(text, " mss %u", segment->mss);
	if (segment->sack_permitted)
		add(text, " sack");
	if (segment->has_ts)
		add(text, " ts %d:%d", (int32_t)(segment->ts_value - base->ts_value),
		    (int32_t)(segment->ts_echo - base->ts_echo));
	if (segment->has_wscale)
		add(text, " wscale %u", segment->wscale);
	for (uint32_t i = 0; i < segment->sack_count; i++)
		add(text, "%s%d:%d", i == 0 ? " sack " : ",",
		    (int32_t)(segment->sack[i][0] - base->ack),
		    (int32_t)(segment->sack[i][1] - base->ack));
	if (segment->raw_option_bytes > 0)
		add(text, " opts of %u bytes", segment->raw_option_bytes);
}
