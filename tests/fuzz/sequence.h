/* SPDX-License-Identifier: Apache-2.0 */
/* The world of the target tcp_sequence: the server's TCP on a netif in memory, an application that
 * does what it is told, and a few peers that may send anything. Whatever the server sends and tells
 * its application is judged at once, by what the peers have sent and the application has replied.
 *
 * Offsets count the bytes of a stream: the first byte behind a SYN has offset 0. The content of
 * both streams follows from the offset (struct contents), so that every byte can be checked
 * wherever it turns up. */
#pragma once

#include "input.h"

#include "../tcp/segment.h"
#include "net/memory_netif.h"
#include "tcp/tcp.h"

#define PEER_COUNT         4
#define SERVER_PORT        11211
#define PEER_PORT          40000  /* of peer 0 */
#define PEER_VLAN          7      /* of peer 1 */
#define STREAM_BYTES_MAX   196608 /* offsets that are kept account of */
#define TALK_BYTES_MAX     49152  /* what a peer says on purpose, what an application replies */
#define RECEIVE_WINDOW_MAX 65536
#define BLOCK_COUNT        64
#define FRAME_COUNT        48
#define SPAN_COUNT_MAX     16
#define HELLO_COUNT_MAX    16
#define ECHO_COUNT_MAX     256
#define SAID_COUNT         8
#define SECOND_US          1000000ull
#define QUOTE_BYTES_MAX    128

/* What has been sent at one offset of a peer's stream. */
#define MARK_TRUE  0x01u /* the right byte … */
#define MARK_FALSE 0x02u /* … and another one: either may arrive, whichever came first */
#define MARK_FIN   0x04u
#define MARK_HELD  0x08u /* the server has it, by a selective acknowledgement */
#define MARK_DATA  (MARK_TRUE | MARK_FALSE)
#define FALSE_XOR  0x55u

/* Offset 0 stands at CONTENT_HEAD: a segment may begin before it, and end behind the last. */
#define CONTENT_HEAD  SEGMENT_PAYLOAD_MAX
#define CONTENT_BYTES (CONTENT_HEAD + STREAM_BYTES_MAX + SEGMENT_PAYLOAD_MAX)
struct contents {
	uint8_t from_peer[CONTENT_BYTES];
	uint8_t from_peer_false[CONTENT_BYTES];
	uint8_t from_server[CONTENT_BYTES];
};

/* A SYN that a peer has sent; several with one number are taken together. */
struct offer {
	uint32_t isn;
	bool ts;
	bool sack;
	bool scaling;
	uint8_t shift; /* the largest */
	uint16_t mss;  /* likewise; 0: none was said */
};

/* A SYN-ACK that the server has sent. */
struct hello {
	uint32_t isn; /* the peer's */
	uint32_t iss;
	bool ts;
	bool sack;
	bool scaling;
	uint8_t server_shift;
	uint8_t peer_shift;
	uint32_t edge; /* right edge of the window, as an offset */
	uint16_t mss;  /* that the peer has said, or has to be taken for it */
	uint32_t ts_value;
	uint64_t time_us;
	/* The segment that completed the handshake did not bring back what the SYN-ACK said: if
	 * that was a cookie, what the two have agreed on is anybody's guess. */
	bool is_guess;
};

struct span {
	uint32_t begin;
	uint32_t end;
};

/* One connection, as it must look from outside. */
struct connection {
	struct hello hello;
	struct stream *stream; /* NULL: closed */
	bool known;            /* there was one */
	bool lied;             /* the peer did what a right one would not: it may get stuck */

	/* from the peer */
	uint32_t said_end;   /* behind the highest offset it has sent on purpose */
	uint32_t marked_end; /* behind the highest offset with a mark */
	uint32_t acked;      /* by the server, its FIN included */
	uint32_t edge;       /* of the server's window */
	uint32_t delivered;  /* to the application */
	bool fin_said;       /* on purpose, at said_end */
	bool fin_acked;

	/* from the server */
	uint32_t replied;   /* by the application */
	uint32_t sent_end;  /* behind the highest offset that was sent, FIN included */
	uint32_t confirmed; /* the most the peer has acknowledged */
	uint32_t peer_edge; /* of the peer's window, the largest ever offered */
	uint32_t got;       /* by the peer, in order; FIN included */
	struct span ahead[SPAN_COUNT_MAX]; /* by the peer, behind a gap; sorted */
	uint32_t ahead_count;
	struct span twice; /* by the peer */
	bool twice_known;
	bool answer_owed; /* the peer should acknowledge */
	uint32_t ts_last;
	uint64_t ts_last_us;

	/* the application */
	bool closing;
	bool aborted;
	bool finished;
	bool in_callback_close; /* close when something is received */
	bool in_callback_abort;
	uint64_t accept_bytes; /* what it takes before it refuses */
	uint32_t echo_bytes;   /* replied to whatever comes */
	uint32_t references;   /* of its replies that blocks and the network card hold */
};

/* What a peer sends: the payload follows from the sequence number. */
struct utterance {
	struct segment segment;
	bool falsely; /* other content than what is right at that place */
	bool is_lie;  /* a right peer would not say it */
};

struct peer {
	struct world *world;
	struct frame_path path;
	uint32_t index;
	uint16_t port;
	uint32_t next_isn;
	uint32_t ts_base;
	uint32_t window; /* bytes it offers when it behaves */
	uint16_t loss;   /* bit i: the server's i-th next segment does not arrive */
	struct connection connection;
	struct offer offers[HELLO_COUNT_MAX];
	uint32_t offer_count;
	struct hello hellos[HELLO_COUNT_MAX]; /* a ring */
	uint32_t hello_count;
	uint32_t echoes[ECHO_COUNT_MAX]; /* timestamps it has sent */
	uint32_t echo_count;
	bool echoes_unknown;               /* raw options, or too many to remember */
	struct utterance said[SAID_COUNT]; /* a ring: the network may bring them again */
	uint32_t said_count;
	uint8_t quote[QUOTE_BYTES_MAX]; /* the head of the server's last packet: for ICMP */
	uint32_t quote_bytes;
	uint8_t marks[STREAM_BYTES_MAX];
};

struct world_options {
	struct tcp_options tcp;
	uint32_t block_count;
	uint32_t mtu;
	uint64_t clock_us;
	uint32_t isn;
	uint32_t ts_base;
	bool card; /* the server has a network card that cuts up segments */
};

struct world {
	struct memory_netif netif;
	struct block_pool blocks;
	struct port_options port;
	struct net net;
	struct tcp *tcp;
	uint64_t now_us;
	struct block *held; /* taken out of the pool */
	struct peer peers[PEER_COUNT];
	struct peer *speaker; /* whose segment is being taken in … */
	const struct utterance *speaking;
	bool burst;   /* segments come without the server's turn between them */
	bool rejects; /* the application has no room */
	bool trace;   /* tell what happens, for people */
	uint64_t sent_count;
	uint32_t rounds_left; /* what the program may still have the peers behave */
	struct contents contents;
	/* made once: the fuzzer's time is for the fuzzed. One region for each, so that whoever goes
	 * beyond its end is caught */
	struct memory netif_memory;
	struct memory pool_memory;
	struct memory tcp_memory;
};

static inline uint32_t peer_offset(const struct connection *connection, uint32_t seq)
{
	return seq - connection->hello.isn - 1;
}

static inline uint32_t server_offset(const struct connection *connection, uint32_t seq)
{
	return seq - connection->hello.iss - 1;
}

/* sequence_world.c */
struct world *world_create(void);
/* Everything anew, in the same memory. */
void world_reset(struct world *world, const struct world_options *options);
/* The server's turns at this moment, until nothing is left to do. */
void world_settle(struct world *world);
/* Time passes, in steps that grow: what is due long after is found late. */
void world_pass(struct world *world, uint64_t us);
/* All peers do what is right, until all is said; then the application ends all connections, and
 * nothing must be left after a while. */
void world_wind_up(struct world *world, bool by_abort);
void world_take_blocks(struct world *world, uint32_t count);
void world_give_blocks(struct world *world);

/* sequence_peer.c */
void peer_say(struct peer *peer, const struct utterance *utterance);
/* An utterance at the peer's place in the connection, acknowledging what it has got. */
struct utterance peer_compose(const struct peer *peer, uint8_t flags);
void peer_set_timestamp(const struct peer *peer, struct segment *segment);
void peer_add_sacks(const struct peer *peer, struct segment *segment);
/* One thing that a right peer does now; false: nothing. */
bool peer_behave(struct peer *peer);
/* The next bytes of its stream, as far as the server's window goes. */
void peer_say_data(struct peer *peer, uint32_t bytes, bool fin);
void peer_handshake(struct peer *peer, const struct segment *syn);
/* The server's payload or FIN has arrived. */
void peer_take(struct peer *peer, uint32_t begin, uint32_t end);
/* An ICMP error that quotes the server's last packet. */
void peer_say_icmp(struct peer *peer, uint8_t type, uint8_t code, uint16_t mtu, int32_t seq_moved);
/* What is about to be taken in: marks, offers, windows. */
void peer_note(struct peer *peer, const struct utterance *utterance);

/* sequence_judge.c: a frame that the server has sent. */
void judge_sent(void *context, const uint8_t *frame, uint16_t length);

/* sequence_user.c: the application. */
extern const struct stream_user sequence_user; /* its context is the world */
void application_reply(struct peer *peer, uint32_t bytes, bool by_reference);
void application_close(struct peer *peer);
void application_abort(struct peer *peer);
void application_resume(struct peer *peer, uint64_t accept_bytes);
bool sequence_retain(void *context, void *reference);
void sequence_release(void *context, void *reference);
