/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of a pcapng file (draft-ietf-opsawg-pcapng) with one Ethernet interface, added to a
 * buffer. Nothing is kept. Each adds all of a block; no memory: nothing, and a negative errno. */
#pragma once

#include <event2/buffer.h>
#include <stdbool.h>
#include <stdint.h>

struct pcapng_interface {
	const char *name;
	const char *description;
	const char *filter; /* NULL: none */
	uint32_t snap;      /* bytes of a packet, at most */
};

struct pcapng_packet {
	uint64_t time_us; /* Unix time */
	uint32_t length;
	uint32_t kept;
	const uint8_t *bytes; /* so many */
	bool is_sent;
	uint64_t missed; /* since the packet before it */
};

struct pcapng_statistics {
	uint64_t begin_us, end_us; /* Unix time */
	uint64_t received;         /* by the interface, in both directions; missed ones too */
	uint64_t missed;           /* of those, before the filter */
	uint64_t accepted;         /* by the filter */
	uint64_t behind;           /* of those, not written, as nobody took them */
	uint64_t written;
};

/* The head of the file. */
int pcapng_begin(struct evbuffer *to, const struct pcapng_interface *interface);
int pcapng_packet(struct evbuffer *to, const struct pcapng_packet *packet);
int pcapng_statistics(struct evbuffer *to, const struct pcapng_statistics *statistics);
