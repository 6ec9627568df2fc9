/* SPDX-License-Identifier: Apache-2.0 */
/* One server's TCP on a netif in memory, a clock that only the test moves, up to 26 clients, and an
 * application that does what it is told. Everything the server sends is caught with its time, and
 * judged by the rules that hold for every segment of every scenario.
 * Owner: the test. */
#pragma once

#include "describe.h"
#include "icmp.h"
#include "net/memory_netif.h"
#include "tcp/tcp.h"

#define RIG_CLIENT_COUNT 26
#define RIG_PORT         11211
#define RIG_CLIENT_PORT  40000 /* of client a */

struct rig_options {
	struct tcp_options tcp;
	uint32_t block_count;
	uint32_t frame_count;
	uint32_t mtu;       /* over IPv6 20 more, so that segments have the same size */
	uint32_t allow_any; /* 0: the port lets nobody in */
	uint64_t clock_us;
	uint32_t isn;
	uint32_t ts_base; /* what a client's timestamps are counted from */
	bool ip6;
	bool card; /* the netif has one that cuts up segments */
};

/* What the application is told. */
enum told {
	TOLD_OPENED,
	TOLD_RECEIVED,
	TOLD_FINISHED,
	TOLD_DRAINED,
	TOLD_CLOSED,
	TOLD_COUNT,
};

/* Bytes that grow. */
struct content {
	uint8_t *data;
	size_t length;
	size_t capacity;
};

/* One connection, seen from both of its ends. */
struct client {
	struct rig *rig;
	uint8_t index;
	uint16_t port;

	/* the client's end */
	uint32_t isn;
	uint32_t iss; /* the server's, once its SYN-ACK was seen */
	bool iss_known;
	bool offered_ts; /* in its SYN */
	bool offered_sack;
	bool offered_wscale;
	uint8_t offered_shift;
	bool ts; /* both want it */
	bool sack;
	uint8_t send_shift;    /* of windows the server sends */
	uint8_t receive_shift; /* of windows the client sends */
	uint32_t server_edge;  /* right edge of the window the server has offered; absolute */
	uint32_t client_edge;
	uint32_t server_ts_first;
	uint32_t server_ts_last;
	uint64_t server_ts_us; /* when that came */
	uint32_t server_ack;   /* the server's last acknowledgement number; absolute */
	bool ack_known;

	/* the application's end */
	struct stream *stream; /* NULL: none, or closed */
	struct content received;
	size_t received_asked; /* bytes of it that the scenario knows of */
	struct content replied;
	uint64_t accept_bytes;     /* what it takes before it refuses */
	uint32_t told[TOLD_COUNT]; /* how often since the scenario asked */
	bool finished_asked;
	struct words *on[TOLD_COUNT]; /* commands to be run then, once; NULL: none */
};

/* A segment the server has sent. Its payload is gone: it was judged. */
struct sent_segment {
	uint64_t time_us;
	uint8_t client;
	struct segment segment;
};

struct rig {
	struct memory_netif netif;
	struct block_pool blocks;
	struct port_options port;
	struct net net;
	struct tcp *tcp;
	struct frame_path path;
	struct rig_options options;
	void *region;
	size_t region_bytes;
	uint64_t now_us;
	struct client clients[RIG_CLIENT_COUNT];
	struct client *speaker; /* whose segment is being taken in */
	struct block *held;     /* blocks the test has taken out of the pool */
	struct sent_segment *sent;
	uint32_t sent_count;
	uint32_t sent_capacity;
	uint32_t sent_matched; /* of them the scenario has expected */
	struct tcp_counters seen;
	bool winding_up;       /* what is sent need not be expected any more */
	char error[ERROR_MAX]; /* the first rule that was broken; "": none */
};

struct rig *rig_create(const struct rig_options *options);
void rig_destroy(struct rig *rig);

/* The first word stands: the rig's error, for whoever looks next. */
void rig_fail(struct rig *rig, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The byte at an offset of what a client sends, of what the application replies. */
uint8_t rig_client_byte(uint64_t offset);
uint8_t rig_server_byte(uint64_t offset);

/* A segment comes in; `more`: the burst goes on, so nothing is sent yet. mac: the last byte of
 * the client's MAC address. */
void rig_say(struct rig *rig, struct client *client, const struct segment *segment, uint8_t mac,
             bool more);

/* An ICMP error comes in. */
void rig_icmp(struct rig *rig, const struct icmp_error *error);

/* The worker's turns at this moment, until nothing is left to do. */
void rig_settle(struct rig *rig);

/* Time passes; timers run at their deadlines. until_sent: only till the server sends something. */
void rig_pass(struct rig *rig, uint64_t us, bool until_sent);

/* Ends all connections, by their clients' resets or by the application and time, and says by
 * rig_fail() what was not given back. */
void rig_wind_up(struct rig *rig, bool by_reset);

/* A new incarnation of the client's connection. */
void client_renew(struct client *client, uint32_t isn);
struct segment_base client_base(const struct client *client); /* of what the server sends */
uint32_t client_acknowledges(const struct client *client, uint32_t ack);

/* user.c: the application */
extern const struct stream_user rig_stream_user; /* its context is the rig */
/* Runs the commands from word `first` on; what does not hold is told by rig_fail(). */
void user_run(struct rig *rig, struct client *client, const struct words *words, int first);
/* What the application was told and the scenario has not mentioned, by rig_fail(). */
void user_check_silence(struct rig *rig);
void content_add(struct content *content, const void *data, size_t length);
