/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_US 60000000 /* of one that was blocked */

static const uint8_t server_mac[6] = {2, 0, 0, 0, 0, 1};

static uint8_t *reserve(void *context)
{
	struct client *client = context;

	return client->frame;
}

static void send_frame(void *context, uint32_t length)
{
	struct client *client = context;

	wire_send(&client->sim->wire, SERVER, client->frame, (uint16_t)length, client->sim->now_us);
}

static uint32_t received(void *context, struct client_tcp *tcp, const uint8_t *bytes,
                         uint32_t length)
{
	struct client *client = context;
	uint32_t taken = length;

	if (client->slow_reader)
		taken = min_u32(length, client->read_budget);
	if (!talk_hear(&client->talk, bytes, taken, client->sim->now_us))
		client_tcp_abort(tcp);
	client->read_budget -= client->slow_reader ? taken : 0;
	return taken;
}

void client_create(struct client *client, struct sim *sim, uint32_t index)
{
	struct random random = random_seeded(sim->seed * 31 + index);
	uint8_t address4[4] = {10, 1, 0, (uint8_t)(10 + index)};
	uint8_t server4[4] = {10, 1, 0, 1};
	uint8_t address6[16] = {0xfd, [15] = (uint8_t)(10 + index)};
	uint8_t server6[16] = {0xfd, [15] = 1};
	bool ip4 = random_below(&random, 2) == 0;
	bool tagged = random_below(&random, 4) == 0;

	*client = (struct client){
	    .sim = sim,
	    .index = index,
	    .rings = malloc(SEND_RING_BYTES + VERIFY_RING_BYTES + SEND_RING_BYTES),
	};
	client->path = (struct frame_path){
	    .local = ip4 ? ip_address_from_ip4(address4) : ip_address_from_ip6(address6),
	    .remote = ip4 ? ip_address_from_ip4(server4) : ip_address_from_ip6(server6),
	    .local_mac = {2, 0, 0, 0, 1, (uint8_t)index},
	    .vlan = tagged ? 42 : FRAME_NO_VLAN,
	};
	memcpy(client->path.remote_mac, server_mac, 6);
	client->local_port = (uint16_t)(1024 + random_below(&random, 60000));
	client->connections_left = 1 + (uint32_t)random_below(&random, 3);
	client->next_action_us = sim->now_us + random_below(&random, 1000000);
	client->random = random;
}

void client_destroy(struct client *client)
{
	if (client->talking)
		talk_destroy(&client->talk);
	free(client->rings);
}

static void connection_open(struct client *client)
{
	struct random *random = &client->random;
	uint32_t receive_bytes = 1024u << random_below(random, 7);
	const struct wire_options *wire = &client->sim->wire.options;
	struct client_tcp_options options = {
	    .path = &client->path,
	    .local_port = ++client->local_port,
	    .remote_port = SERVER_PORT,
	    .mtu = CLIENT_MTU,
	    .ordered_wire = wire->jitter_us == 0 && wire->duplicate_ppm == 0,
	    .receive_window_bytes = receive_bytes,
	    .send = {client->rings, SEND_RING_BYTES},
	    .verify = {client->rings + SEND_RING_BYTES, VERIFY_RING_BYTES},
	    .receive = {client->rings + SEND_RING_BYTES + VERIFY_RING_BYTES, SEND_RING_BYTES},
	    .received = received,
	    .context = client,
	};

	/* one draw a statement: within one, their order would be the compiler's choice */
	options.initial_sequence = (uint32_t)random_u64(random);
	if (random_below(random, 4) == 0) /* its numbers soon wrap */
		options.initial_sequence = 0u - (uint32_t)random_below(random, 20000);
	options.mss = 1440;
	if (random_below(random, 4) == 0)
		options.mss = 536 + (uint16_t)random_below(random, 900);
	options.window_scaling = random_below(random, 3) != 0;
	options.timestamps = random_below(random, 3) != 0;
	options.sack = random_below(random, 3) != 0;
	options.keep_out_of_order = random_below(random, 2) == 0;
	options.delayed_ack_us = random_below(random, 2) == 0 ? 40000 : 0;
	client->connections_left--;
	client->requests_left = 5 + (uint32_t)random_below(random, 120);
	client->pipeline = random_below(random, 2) == 0 ? 2 : 40;
	client->pipeline = 1 + (uint32_t)random_below(random, client->pipeline);
	client->slow_reader = random_below(random, 5) == 0;
	client->aborts = random_below(random, 6) == 0;
	client->half_closes = random_below(random, 3) == 0;
	client->quits = random_below(random, 4) == 0;
	client->awaits_close = false;
	client->blocked_us = client->sim->operations.blocked == client ? client->sim->now_us : 0;
	client->closing = false;
	talk_create(&client->talk, &client->sim->board, random_u64(random));
	client->talking = true;
	client_tcp_open(&client->tcp, &options);
}

static void connection_finish(struct client *client)
{
	struct sim *sim = client->sim;
	enum client_tcp_state state = client->tcp.state;

	talk_hear(&client->talk, NULL, 0, sim->now_us);
	if (client->tcp.counters.violations > 0) {
		char text[CLIENT_TCP_VIOLATION_TEXT_MAX];

		client_tcp_format_violation(&client->tcp, text);
		board_fail(&sim->board, "client %u: server's TCP: %s", client->index, text);
	}
	if (state == CLIENT_TCP_RESET || state == CLIENT_TCP_FAILED) {
		sim->broken_count++;
		if (!sim->connections_may_break && client->blocked_us == 0)
			board_fail(&sim->board, "client %u: connection lost: %s", client->index,
			           client_tcp_state_name(state));
	} else if (state == CLIENT_TCP_CLOSED && client->talk.said_count > 0) {
		board_fail(&sim->board, "client %u: closed with %u requests unanswered",
		           client->index, client->talk.said_count);
	}
	sim->answered_count += client->talk.answered_count;
	talk_destroy(&client->talk);
	client->talking = false;
	client->next_action_us = sim->now_us + random_below(&client->random, 2000000);
}

static void udp_ask(struct client *client)
{
	struct sim *sim = client->sim;
	uint8_t payload[64] = {0};
	uint32_t length;
	int line;

	client->udp_key = (uint32_t)random_below(&client->random, sim->board.shared_count);
	client->udp_acknowledged = sim->board.shared_acknowledged[client->udp_key];
	client->udp_id++;
	store_be16(payload, client->udp_id);
	store_be16(payload + 4, 1);
	line = snprintf((char *)payload + 8, 56, "get s%u\r\n", client->udp_key);
	length = frame_build_udp(client->frame, &client->path, 5353, SERVER_PORT,
	                         (struct slice){payload, 8 + (size_t)line});
	send_frame(client, length);
}

static void udp_answer(struct client *client, struct slice payload)
{
	struct sim *sim = client->sim;
	unsigned key, flags, length;
	char head[64] = {0};
	const uint8_t *data;

	if (payload.length < 8 || load_be16(payload.data) != client->udp_id)
		return; /* an older question's: its key is forgotten */
	memcpy(head, payload.data + 8, min_u64(payload.length - 8, 63));
	if (strncmp(head, "SERVER_ERROR ", 13) == 0)
		return; /* too long for a datagram */
	if (strcmp(head, "END\r\n") == 0) {
		if (client->udp_acknowledged > 0 && !sim->board.keys_may_vanish)
			board_fail(&sim->board, "UDP: shared key %u is not there", client->udp_key);
		return;
	}
	data = memchr(payload.data + 8, '\n', payload.length - 8);
	if (data == NULL || sscanf(head, "VALUE s%u %u %u", &key, &flags, &length) != 3 ||
	    key != client->udp_key ||
	    (size_t)(data + 1 - payload.data) + length + 7 != payload.length) {
		board_fail(&sim->board, "UDP: malformed reply \"%.40s\"", head);
		return;
	}
	shared_check(&sim->board, key, data + 1, length, client->udp_acknowledged);
}

/* As any host does for a connection that it does not know (RFC 9293 3.10.7.1). */
static void answer_by_reset(struct client *client, const struct frame *frame)
{
	uint8_t *tcp;

	if (frame->l4.data[13] & 0x04)
		return;
	tcp = frame_begin(client->frame, &client->path, FRAME_PROTOCOL_TCP);
	memset(tcp, 0, 20);
	store_be16(tcp, frame->destination_port);
	store_be16(tcp + 2, frame->source_port);
	memcpy(tcp + 4, frame->l4.data + 8, 4); /* the sequence number it expects */
	tcp[12] = 0x50;
	tcp[13] = 0x04;
	send_frame(client, frame_finish(client->frame, &client->path, FRAME_PROTOCOL_TCP, 20));
}

void client_receive(struct client *client, const uint8_t *data, uint16_t length)
{
	struct frame frame;

	if (!frame_parse(&frame, data, length))
		return;
	/* on a wire that damages, a wrong checksum is not the server's */
	if (!frame.checksum_good && client->sim->wire.options.damage_ppm > 0)
		return;
	if (frame.kind == FRAME_TCP && client->talking &&
	    frame.destination_port == client->local_port)
		client_tcp_input(&client->tcp, &frame, client->sim->now_us);
	else if (frame.kind == FRAME_TCP && frame.checksum_good)
		answer_by_reset(client, &frame);
	else if (frame.kind == FRAME_UDP && frame.checksum_good)
		udp_answer(client, frame.payload);
}

/* One of the two closes first; with a half-closing client that quits, both may. */
static void connection_close(struct client *client)
{
	if (client->quits) {
		talk_quit(&client->talk);
		client->quits = false;
		client->awaits_close = !client->half_closes;
	} else if (!client->awaits_close || client->tcp.state == CLIENT_TCP_PEER_CLOSED) {
		client_tcp_close(&client->tcp);
		client->closing = true;
	}
}

static void talk_on(struct client *client)
{
	struct random *random = &client->random;
	struct talk *talk = &client->talk;
	struct client_tcp *tcp = &client->tcp;

	/* what gets no reply counts as done when nothing before it is due */
	talk_hear(talk, NULL, 0, client->sim->now_us);
	while (client->requests_left > 0 && talk->said_count < client->pipeline) {
		talk_say(talk, client->sim->now_us);
		client->requests_left--;
	}
	while (talk->out_length > 0) {
		uint32_t part = (uint32_t)min_u64(talk->out_length, 1 + random_below(random, 4000));
		uint32_t taken = client_tcp_write(tcp, talk->out, part);

		talk_took(talk, taken);
		if (taken < part || random_below(random, 3) == 0)
			break;
	}
	if (client->aborts && client->requests_left < 5 && random_below(random, 10) == 0)
		client_tcp_abort(tcp);
	if (!client->closing && client->requests_left == 0 && talk->out_length == 0 &&
	    (client->half_closes || talk->said_count == 0))
		connection_close(client);
}

bool client_act(struct client *client)
{
	struct sim *sim = client->sim;
	struct client_tcp_emitter emitter = {reserve, send_frame, client};

	if (!client->talking) {
		if (client->connections_left == 0)
			return false;
		if (sim->now_us < client->next_action_us)
			return true;
		connection_open(client);
	}
	if (sim->now_us >= client->next_action_us) {
		/* a slow reader's window is at times closed for seconds */
		client->read_budget =
		    (uint32_t)random_below(&client->random, 6000 + sim->board.value_bytes_max / 4);
		if (client->slow_reader)
			client_tcp_resume(&client->tcp);
		talk_on(client);
		if (random_below(&client->random, 8) == 0 && sim->board.shared_count > 0)
			udp_ask(client);
		client->next_action_us =
		    sim->now_us +
		    random_below(&client->random, client->slow_reader ? 1000000 : 20000);
	}
	if (client->blocked_us != 0 && sim->now_us - client->blocked_us > PATIENCE_US)
		client_tcp_abort(&client->tcp);
	client_tcp_output(&client->tcp, &emitter, sim->now_us);
	if (client_tcp_ended(&client->tcp))
		connection_finish(client);
	return true;
}

uint64_t client_next_us(const struct client *client)
{
	if (!client->talking)
		return client->connections_left == 0 ? UINT64_MAX : client->next_action_us;
	return min_u64(client->next_action_us, client_tcp_next_deadline_us(&client->tcp));
}
