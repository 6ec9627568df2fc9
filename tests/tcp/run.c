/* SPDX-License-Identifier: Apache-2.0 */
/* Runs scenarios: TCP segments in time, from the client's view, against src/tcp in this process.
 *
 *   run FILE...
 *
 * Every file is run over IPv4 and over IPv6, with a server that cuts up segments itself and with
 * one whose network card does it, with no clock but the scenario's; see `wrap` for more runs. A
 * failure is one line of where and what, and below it what the server has sent since.
 *
 * SEGMENTS
 *   >>> SEGMENT      the client sends it; the server takes its turn
 *   >>+ SEGMENT      likewise, but the burst goes on with the next line: no turn yet
 *   <<< SEGMENT      the next segment the server has sent
 *   <<|              the server has sent nothing more
 * All that the server sends must be expected, in order, before time passes or the scenario ends.
 *
 *   SEGMENT: [@TIME] [c:] [Nx] FLAGS FIELDS
 *   @TIME            <<< only: when it was sent, in seconds after the start of the last `-->`, to
 *                    1 ms; @0.2..0.3 is a range. Without it: now
 *   c:               which connection, a … z, each with a port of its own; without it a:
 *   Nx               so many of them, each `step` sequence numbers behind the one before; without
 *                    `step` one behind the other
 *   FLAGS            SYN ACK FIN RST PSH URG ECE CWR, exactly these; - for none. PSH is not
 *                    compared on a segment without data
 * FIELDS are not looked at when they are not said, but `len`, which is 0 then. Numbers are decimal
 * or 0x…, with + - * (1+3*1000); in a <<< also * (it is there) and A..B. Sequence numbers are
 * relative: the client's to its initial one, the server's to that of its SYN-ACK, so a SYN has 0
 * and the first byte 1; before a SYN-ACK was seen the server's are absolute.
 *   seq N  ack N  win N     win as in the header, not scaled (>>>: 65535 when not said)
 *   len N  data N           bytes of payload. What goes on at `seq` of a known stream: the content
 *                           is right of itself, and checked, in both directions
 *   bytes "text"            >>>: these bytes; escapes are \r \n \" \\ \xNN
 *   fill 0xNN               >>>: the data is this byte, again and again
 *   mss N  wscale N  sack   options; `sack` alone: permitted
 *   ts VALUE:ECHO           the client's times are as written (and moved so that they wrap by
 *                           `wrap`), the server's relative to that of its SYN-ACK; >>> echo *: the
 *                           server's newest. In a SYN the echo is written as it is
 *   sack 11:21,31:41        blocks, in this order; after a last ,... there may be more
 *   no mss|wscale|sack|ts   <<<: this option is not there
 *   port N  mac N           the server's port; the last byte of the client's MAC address
 *   df 0|1                  <<<: whether routers may not cut it up (IPv6: never)
 *   rawseq N                a sequence number that is absolute
 *   >>> only, and wrong on purpose:
 *   opts 0x…                option bytes, behind the others, padded with zeros
 *   badsum                  a wrong checksum
 *   doff N                  the header's data offset, in words
 *   cut N                   the IP packet ends after so many bytes of the segment
 *   urg N                   urgent pointer
 *
 * TIME
 *   --> SECONDS      time passes; timers run at their deadlines, so what they send has its time
 *   --> ..SECONDS    likewise, but at most till the server sends something
 *
 * THE APPLICATION: === [c:] COMMANDS, a comma between them, then the server takes its turn
 *   reply N|"text"   appends to its output      close, abort, resume   as in net/stream.h
 *   refuse           takes no more bytes        accept N               takes so many, then refuses
 *   resume           takes all again            take N                 resumes, but takes only N
 *   on EVENT COMMANDS       does so inside the callback, once: on opened|received|finished|
 *                           drained|closed; `on opened reject` has no room for the client
 *   received N|"text"       has got exactly so many more bytes, the right ones
 *   opened finished drained closed      was told so; not EVENT: was not
 *   out N                   so many bytes wait in its output, unacknowledged ones included
 * What was received, finished and closed must have been asked for by the end.
 *
 * OTHERS
 *   +++ COUNTER N    the counter (TCP_COUNTERS) has grown by N since asked last
 *   handshake [c:] FIELDS   SYN, SYN-ACK, ACK. FIELDS of the SYN (mss, sack, ts V, wscale) and of
 *                    both (win); rtt_ms N passes before the ACK
 *   new [c:] N|+N    the next connection of this client: ISN N, or N beyond the last
 *   icmp [c:] KIND [NAME N]…   an ICMP error about a segment of the server's. KIND: too_big,
 *                    unreachable, port, exceeded, parameter, quench. NAME: mtu, seq, packet (its
 *                    length, 1500), quoted (bytes of it), protocol (of it); of IPv4, 20 more for 6
 *   netif full       the device takes no more frames; netif free: it does
 *   pool take N      N blocks are gone from the pool; pool give: they are back
 *   pool left N      the pool has N free blocks
 *   option NAME N    before all else: a field of struct tcp_options; blocks, frames, mtu (of
 *                    IPv4; 20 more for IPv6), clock_ms (when the scenario starts), allow_any,
 *                    keepalive_s
 *   ip 4, ip 6       only over this
 *   isn N            the client's initial sequence number
 *   wrap [N…]        also with client's numbers so that relative N (1 when none is said) is 0, and
 *                    2^31, and with timestamps that wrap at 150
 *   wrap_server [N…] also with the server's numbers so: by when it starts (RFC 6528)
 *   # …              for people
 *
 * RULES that hold for every segment sent: addresses, lengths, checksums, well-formed options that
 * were agreed on; timestamps in all or none; a window whose right edge does not move back; payload
 * that the application replied, within the client's window (a probe's byte aside). At the end of
 * a scenario the invariants hold (tcp_check) and, with the connections gone, all blocks and frames
 * are back. */
#include "scenario.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_SECONDS_MAX 30
#define TS_WRAPS_AT     150

/* What a run, in a process of its own, tells the one that started it. */
struct shared {
	struct progress progress;
	uint32_t passed;
};

/* One run in a child: a broken invariant costs the scenario, and not the others. */
static bool run_apart(const struct scenario_file *file, const struct variant *variant,
                      struct shared *shared)
{
	pid_t child;
	int status;

	*shared = (struct shared){0};
	fflush(NULL);
	child = fork();
	if (child == 0) {
		alarm(RUN_SECONDS_MAX);
		shared->passed = scenario_run(file, variant, &shared->progress);
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		fprintf(stderr, "%s: %m\n", file->path);
		return false;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fprintf(stderr, "%s:%u (%s): the server died here: %s\n", file->path,
		        shared->progress.line_number, variant->name,
		        WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit");
	return shared->passed != 0;
}

static bool run_client_wraps(const struct scenario_file *file, struct variant variant,
                             struct shared *shared)
{
	size_t plain = strlen(variant.name);

	for (uint32_t i = 0; i < file->client_wrap_count; i++) {
		uint32_t at = file->client_wraps[i];

		variant.ts_base = 0u - TS_WRAPS_AT;
		variant.isn = 0u - at;
		snprintf(variant.name + plain, sizeof(variant.name) - plain,
		         ", the client's %u is 0", at);
		if (!run_apart(file, &variant, shared))
			return false;
		variant.isn = 0x80000000u - at;
		snprintf(variant.name + plain, sizeof(variant.name) - plain,
		         ", the client's %u is 2^31", at);
		if (!run_apart(file, &variant, shared))
			return false;
	}
	return true;
}

/* The server's clock counts its initial sequence numbers up, one each 4 µs. */
static bool run_server_wraps(const struct scenario_file *file, struct variant variant,
                             struct shared *shared)
{
	uint32_t iss = shared->progress.iss;
	size_t plain = strlen(variant.name);

	for (uint32_t i = 0; i < file->server_wrap_count; i++) {
		variant.server_zero = file->server_wraps[i];
		variant.later_us = 4ull * (0u - variant.server_zero - iss);
		snprintf(variant.name + plain, sizeof(variant.name) - plain,
		         ", the server's %u is 0", variant.server_zero);
		if (!run_apart(file, &variant, shared))
			return false;
	}
	return true;
}

static bool run_file(const char *path, struct shared *shared)
{
	struct scenario_file file;
	bool passed;

	if (!scenario_read(&file, path))
		return false;
	passed = true;
	for (uint32_t way = 0; way < 4 && passed; way++) {
		struct variant variant = {
		    .ip6 = (way & 1) != 0, .card = (way & 2) != 0, .isn = file.isn};

		if (variant.ip6 ? file.only_ip4 : file.only_ip6)
			continue;
		snprintf(variant.name, sizeof(variant.name), "IPv%c%s", variant.ip6 ? '6' : '4',
		         variant.card ? ", with a network card" : "");
		passed = run_apart(&file, &variant, shared) &&
		         run_server_wraps(&file, variant, shared) &&
		         run_client_wraps(&file, variant, shared);
	}
	scenario_free(&file);
	return passed;
}

int main(int argc, char **argv)
{
	struct shared *shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t passed_count = 0, failed_count = 0;

	if (shared == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		if (run_file(argv[i], shared))
			passed_count++;
		else
			failed_count++;
	}
	printf("%u passed, %u failed\n", passed_count, failed_count);
	return failed_count == 0 && passed_count > 0 ? 0 : 1;
}
