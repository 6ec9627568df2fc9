/* SPDX-License-Identifier: Apache-2.0 */
/* A byte stream from and to one client, whatever carries it: our TCP, or a kernel socket.
 *
 * The carrier (tcp, socket) owns the stream and calls its user; the user (a session) consumes what
 * it is given, appends replies to `out` and tells the carrier. All on one worker. */
#pragma once

#include "base/chain.h"
#include "net/address.h"

#include <stdint.h>

struct stream;

/* Who is at the ends of a stream. */
struct stream_ends {
	uint32_t
	    id; /* of the connection, among all of its carrier: for people to tell them apart */
	bool is_unix; /* a Unix socket: there are no addresses */
	struct ip_address local;
	struct ip_address remote;
	uint16_t local_port;
	uint16_t remote_port;
};

/* What a user may ask of the carrier. None of them calls the user back before returning. */
struct stream_ops {
	/* `out` has grown: send when the burst is done. */
	void (*push)(struct stream *stream);
	/* Send what is in `out`, then end in good order. Nothing is received any more. */
	void (*close)(struct stream *stream);
	/* End at once; what was not sent is lost. */
	void (*abort)(struct stream *stream);
	/* The user refused bytes earlier and can take more now: offer them again soon. */
	void (*resume)(struct stream *stream);
	/* Asks the kernel about a socket of its: not for every request. */
	void (*describe)(const struct stream *stream, struct stream_ends *ret_ends);
};

struct stream {
	const struct stream_ops *ops;
	struct chain out;
	void *user; /* set by the user in opened() */
};

/* What the carrier tells the user. */
struct stream_user {
	/* A client is there. False: no room for it, the carrier ends it. */
	bool (*opened)(void *context, struct stream *stream);
	/* The next bytes in order. Returns how many were taken; the carrier keeps the others (in
	 * bounded memory) and offers them again after resume(). */
	uint32_t (*received)(void *context, struct stream *stream, const uint8_t *bytes,
	                     uint32_t length);
	/* The client has sent its last byte; all of them were taken. */
	void (*finished)(void *context, struct stream *stream);
	/* Bytes left `out`. Called at most once a burst. */
	void (*drained)(void *context, struct stream *stream);
	/* The stream is gone, whoever ended it. The last call; `out` is cleared by the carrier. */
	void (*closed)(void *context, struct stream *stream);
	void *context;
};
