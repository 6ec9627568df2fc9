/* SPDX-License-Identifier: Apache-2.0 */
/* What goes over a port while kanted serves, as a pcapng file: copies of its frames come from
 * kanted (keeper/capture_relay.h), those that pass the filter go on to the client. One at a time.
 */
#include "control/api.h"
#include "control/gather.h"
#include "control/link.h"
#include "control/pcapng.h"
#include "net/captured.h"
#include "net/port.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONTENT_TYPE     "application/x-pcapng"
#define SECONDS          10
#define SECONDS_MAX      3600
#define PACKETS          1000
#define PACKETS_MAX      10000000
#define BYTES            (64ull << 20)
#define BYTES_MIN        4096
#define BYTES_MAX        (1ull << 30)
#define SNAP             1518 /* a frame with a VLAN tag */
#define FILTER_BYTES_MAX 1024
#define PORTS_BYTES      512

/* Where a filter for Linux finds what the kernel knows of a packet: SKF_AD_OFF. */
#define KERNELS_OFFSET 0xfffff000u

struct recording {
	struct exchange *exchange;
	uint32_t port_index;
	char port[PORT_NAME_BYTES];
	char kind[16];
	const char *filter_text; /* the request's; NULL: none */
	struct bpf_program filter;
	json_int_t seconds, packets_max, bytes_max, snap;
	struct bufferevent *socket; /* where copies come from */
	struct event *timer;
	bool has_begun;
	int64_t ahead_us; /* how far Unix time is ahead of the monotonic clock */
	uint64_t missed;  /* since the packet that was written last */
	uint64_t bytes;   /* written */
	struct pcapng_statistics statistics;
	const char *reason; /* of its end */
	bool has_failed;
};

static void record(const struct recording *recording, const char *action, json_t *after)
{
	const struct exchange *exchange = recording->exchange;
	struct audit_event event = {.kind = AUDIT_read,
	                            .result = recording->has_failed ? AUDIT_FAILED : AUDIT_OK,
	                            .action = action,
	                            .who = &exchange->who,
	                            .target = recording->port,
	                            .after = after,
	                            .reason = recording->reason};

	audit_append(exchange->control->audit, &event, control_now_us());
	json_decref(after);
}

static void record_begin(const struct recording *recording)
{
	record(recording, "capture.begin",
	       json_pack("{s:s?, s:I, s:I, s:I, s:I}", "filter", recording->filter_text, "seconds",
	                 recording->seconds, "packets", recording->packets_max, "bytes",
	                 recording->bytes_max, "snap", recording->snap));
}

static void record_end(const struct recording *recording)
{
	const struct pcapng_statistics *statistics = &recording->statistics;

	record(recording, "capture.end",
	       json_pack("{s:s?, s:I, s:I, s:I}", "filter", recording->filter_text, "packets",
	                 (json_int_t)statistics->written, "bytes", (json_int_t)recording->bytes,
	                 "dropped", (json_int_t)(statistics->missed + statistics->behind)));
}

/* With its exchange: the reply is whole, or the client has gone. */
static void forget(void *data)
{
	struct recording *recording = data;

	if (recording->has_begun) {
		if (recording->reason == NULL)
			recording->reason = "the client has gone";
		record_end(recording);
	}
	recording->exchange->control->capture = NULL;
	pcap_freecode(&recording->filter);
	if (recording->timer != NULL)
		event_free(recording->timer);
	if (recording->socket != NULL)
		bufferevent_free(recording->socket); /* closes it: kanted copies no more */
	free(recording);
}

/* The recording is gone when it returns. */
static void finish(struct recording *recording, const char *reason)
{
	struct evbuffer *last = evbuffer_new();

	recording->reason = reason;
	recording->statistics.end_us = control_now_us();
	if (last != NULL)
		pcapng_statistics(last, &recording->statistics);
	exchange_stream_end(recording->exchange, last);
	if (last != NULL)
		evbuffer_free(last);
}

static void on_time(evutil_socket_t fd, short events, void *context)
{
	finish(context, "its time was over");
}

/* False: it has ended, and is gone. */
static bool begin(struct recording *recording)
{
	char description[PORT_NAME_BYTES + 64];
	struct pcapng_interface interface = {.name = recording->port,
	                                     .description = description,
	                                     .filter = recording->filter_text,
	                                     .snap = (uint32_t)recording->snap};
	struct timeval length = {.tv_sec = (time_t)recording->seconds};
	struct evbuffer *head = evbuffer_new();
	struct timespec now;

	snprintf(description, sizeof(description), "%s port %u of kanted", recording->kind,
	         recording->port_index);
	recording->timer = evtimer_new(recording->exchange->control->base, on_time, recording);
	if (head == NULL || recording->timer == NULL || pcapng_begin(head, &interface) < 0) {
		exchange_refuse(recording->exchange, HTTP_SERVUNAVAIL,
		                "no memory is left: try again");
		if (head != NULL)
			evbuffer_free(head);
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	recording->statistics.begin_us = control_now_us();
	recording->ahead_us = (int64_t)recording->statistics.begin_us -
	                      (int64_t)now.tv_sec * 1000000 - now.tv_nsec / 1000;
	recording->has_begun = true;
	record_begin(recording);
	recording->bytes = evbuffer_get_length(head);
	bufferevent_set_timeouts(recording->socket, NULL, NULL);
	event_add(recording->timer, &length);
	exchange_stream_begin(recording->exchange, CONTENT_TYPE);
	exchange_stream_add(recording->exchange, head);
	evbuffer_free(head);
	return true;
}

/* Whether the client gets it. */
static bool passes(const struct recording *recording, const struct captured *captured,
                   const uint8_t *bytes)
{
	struct pcap_pkthdr head = {.caplen = captured->kept, .len = captured->length};

	return recording->filter_text == NULL ||
	       pcap_offline_filter(&recording->filter, &head, bytes) != 0;
}

/* False: there is no room for it in what was asked for. */
static bool write_packet(struct recording *recording, const struct captured *captured,
                         const uint8_t *bytes)
{
	struct pcapng_packet packet = {
	    .time_us = captured->time_us + (uint64_t)recording->ahead_us,
	    .length = captured->length,
	    .kept = captured->kept,
	    .bytes = bytes,
	    .is_sent = captured->is_sent,
	    .missed = recording->missed,
	};
	struct evbuffer *piece = evbuffer_new();
	uint64_t length = 0;
	bool fits = true;

	if (piece != NULL && pcapng_packet(piece, &packet) == 0)
		length = evbuffer_get_length(piece);
	fits = recording->bytes + length <= (uint64_t)recording->bytes_max;
	if (fits && length > 0 && exchange_stream_add(recording->exchange, piece)) {
		recording->missed = 0;
		recording->bytes += length;
		recording->statistics.written++;
	} else if (fits) {
		recording->missed++;
		recording->statistics.behind++;
		counter_add(&recording->exchange->control->counters.capture_behind, 1);
	}
	if (piece != NULL)
		evbuffer_free(piece);
	return fits;
}

/* False: it has ended, and is gone. */
static bool take(struct recording *recording, const struct captured *captured, const uint8_t *bytes)
{
	struct pcapng_statistics *statistics = &recording->statistics;

	if (!recording->has_begun && !begin(recording))
		return false;
	if (captured->length == 0) {
		recording->missed += captured->missed;
		statistics->missed += captured->missed;
		statistics->received += captured->missed;
		return true;
	}
	statistics->received++;
	if (!passes(recording, captured, bytes))
		return true;
	statistics->accepted++;
	if (!write_packet(recording, captured, bytes)) {
		finish(recording, "it had as many bytes as were asked for");
		return false;
	}
	if (statistics->written < (uint64_t)recording->packets_max)
		return true;
	finish(recording, "it had as many packets as were asked for");
	return false;
}

static void on_copies(struct bufferevent *socket, void *context)
{
	struct evbuffer *input = bufferevent_get_input(socket);
	struct captured captured;

	while (evbuffer_copyout(input, &captured, sizeof(captured)) == sizeof(captured)) {
		size_t length = sizeof(captured) + captured.kept;

		if (evbuffer_get_length(input) < length)
			return;
		if (!take(context, &captured,
		          evbuffer_pullup(input, (ev_ssize_t)length) + sizeof(captured)))
			return;
		evbuffer_drain(input, length);
	}
}

/* kanted has closed it, or says nothing. */
static void on_end(struct bufferevent *socket, short events, void *context)
{
	struct recording *recording = context;

	recording->has_failed = true;
	if (recording->has_begun)
		finish(recording, "kanted has ended it");
	else
		exchange_refuse(recording->exchange, HTTP_SERVUNAVAIL,
		                "kanted does not copy packets now: try again, and see its log");
}

/* The request. Each returns false when it was refused, and is gone. */

static bool check_range(struct exchange *exchange, const char *name, json_int_t value,
                        json_int_t min, json_int_t max)
{
	if (value >= min && value <= max)
		return true;
	exchange_refuse(exchange, 400, "\"%s\" is %lld: from %lld to %lld it can be", name,
	                (long long)value, (long long)min, (long long)max);
	return false;
}

static bool port_is(const struct fact_port *port, const json_t *wanted)
{
	if (json_is_integer(wanted))
		return json_integer_value(wanted) == (json_int_t)port->index;
	return json_is_string(wanted) && strcmp(json_string_value(wanted), port->name) == 0;
}

static bool find_port(struct exchange *exchange, const char *facts, const json_t *wanted,
                      struct fact_port *ret_port)
{
	char list[PORTS_BYTES] = "";
	size_t used = 0;

	for (const char *at = facts; fact_port_next(&at, ret_port);) {
		bool is_socket = strcmp(ret_port->kind, port_kind_name(PORT_SOCKET)) == 0;

		if (port_is(ret_port, wanted) && !is_socket)
			return true;
		if (port_is(ret_port, wanted)) {
			exchange_refuse(exchange, 400,
			                "port %u is of the kind socket, whose packets only the "
			                "kernel sees: use tcpdump on the node",
			                ret_port->index);
			return false;
		}
		if (!is_socket && used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%u (%s)",
			                         used == 0 ? "" : ", ", ret_port->index,
			                         ret_port->name);
	}
	exchange_refuse(exchange, 404, "no such port: %s%s",
	                used == 0 ? "all that there are are kernel sockets, use tcpdump on the node"
	                          : "name one of ",
	                list);
	return false;
}

/* As `inbound` does: nothing would ever pass. */
static bool asks_kernel(const struct bpf_program *filter)
{
	for (uint32_t i = 0; i < filter->bf_len; i++)
		if (BPF_CLASS(filter->bf_insns[i].code) == BPF_LD &&
		    BPF_MODE(filter->bf_insns[i].code) == BPF_ABS &&
		    filter->bf_insns[i].k >= KERNELS_OFFSET)
			return true;
	return false;
}

static bool compile_filter(struct exchange *exchange, struct recording *recording)
{
	pcap_t *handle;
	bool good;

	if (recording->filter_text == NULL)
		return true;
	if (strlen(recording->filter_text) > FILTER_BYTES_MAX) {
		exchange_refuse(exchange, 400, "the filter has %zu bytes: at most %u it can have",
		                strlen(recording->filter_text), FILTER_BYTES_MAX);
		return false;
	}
	handle = pcap_open_dead(DLT_EN10MB, (int)recording->snap);
	if (handle == NULL) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
		return false;
	}
	good = pcap_compile(handle, &recording->filter, recording->filter_text, 1,
	                    PCAP_NETMASK_UNKNOWN) == 0;
	if (!good)
		exchange_refuse(exchange, 400, "the filter \"%s\": %s: see pcap-filter(7)",
		                recording->filter_text, pcap_geterr(handle));
	pcap_close(handle);
	if (!good || !asks_kernel(&recording->filter))
		return good;
	pcap_freecode(&recording->filter);
	exchange_refuse(exchange, 400,
	                "the filter \"%s\" asks for what only a kernel's packets have, such as "
	                "inbound and outbound: name addresses or ports",
	                recording->filter_text);
	return false;
}

static bool read_wishes(struct exchange *exchange, struct recording *recording,
                        const json_t **ret_port)
{
	json_error_t wrong;

	*recording = (struct recording){.exchange = exchange,
	                                .seconds = SECONDS,
	                                .packets_max = PACKETS,
	                                .bytes_max = BYTES,
	                                .snap = SNAP};
	if (json_unpack_ex(exchange->body, &wrong, JSON_STRICT,
	                   "{s:o, s?:s, s?:I, s?:I, s?:I, s?:I}", "port", ret_port, "filter",
	                   &recording->filter_text, "seconds", &recording->seconds, "packets",
	                   &recording->packets_max, "bytes", &recording->bytes_max, "snap",
	                   &recording->snap) < 0) {
		exchange_refuse(exchange, 400,
		                "not a capture: %s: give \"port\" (its name or number) and perhaps "
		                "\"filter\", \"seconds\", \"packets\", \"bytes\" and \"snap\"",
		                exchange->body == NULL ? "there is no body" : wrong.text);
		return false;
	}
	return check_range(exchange, "seconds", recording->seconds, 1, SECONDS_MAX) &&
	       check_range(exchange, "packets", recording->packets_max, 1, PACKETS_MAX) &&
	       check_range(exchange, "bytes", recording->bytes_max, BYTES_MIN, BYTES_MAX) &&
	       check_range(exchange, "snap", recording->snap, CAPTURED_SNAP_MIN, CAPTURED_SNAP_MAX);
}

/* Has kanted copy. It begins when the first answer is there. */
static void ask(struct exchange *exchange, struct recording *recording)
{
	static const struct timeval patience = {.tv_sec = ASK_PATIENCE_S};
	struct control *control = exchange->control;
	char line[LINK_LINE_BYTES_MAX];
	int fd;

	exchange->data = recording;
	exchange->forget = forget;
	control->capture = exchange;
	snprintf(line, sizeof(line), "capture %u %u", recording->port_index,
	         (uint32_t)recording->snap);
	if (link_ask(control->link_fd, line, &fd) == 0) {
		recording->socket =
		    bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
		if (recording->socket == NULL)
			evutil_closesocket(fd);
	}
	if (recording->socket == NULL) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL,
		                "kanted cannot be asked: try again, and see its log");
		return;
	}
	bufferevent_setcb(recording->socket, on_copies, NULL, on_end, recording);
	bufferevent_set_timeouts(recording->socket, &patience, NULL);
	bufferevent_enable(recording->socket, EV_READ);
}

static void prepare(struct exchange *exchange, struct gathered *gathered)
{
	struct recording wishes, *recording;
	const json_t *wanted = NULL;
	struct fact_port port;

	if (!read_wishes(exchange, &wishes, &wanted))
		return;
	if (!gathered_check(exchange, gathered))
		return;
	if (!find_port(exchange, gathered->facts, wanted, &port))
		return;
	if (exchange->control->capture != NULL) {
		exchange_refuse(exchange, 409,
		                "%s captures already: wait for the end, one can at a time",
		                exchange->control->capture->who.name);
		return;
	}
	if (!compile_filter(exchange, &wishes))
		return;
	recording = malloc(sizeof(*recording));
	if (recording == NULL) {
		pcap_freecode(&wishes.filter);
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
		return;
	}
	*recording = wishes;
	recording->port_index = port.index;
	memcpy(recording->port, port.name, sizeof(port.name));
	memcpy(recording->kind, port.kind, sizeof(port.kind));
	ask(exchange, recording);
}

void api_capture(struct exchange *exchange)
{
	gather(exchange, prepare);
}
