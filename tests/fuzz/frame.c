/* SPDX-License-Identifier: Apache-2.0 */
/* One Ethernet frame given to a whole worker, which then takes a few turns: no invariant breaks,
 * all that it sends is well-formed and goes to who has asked, and no frame is lost.
 *
 * Input: a byte of MODE_…, then the frame. */
#include "frame_mend.h"
#include "input.h"

#include "load/frame.h"
#include "net/memory_netif.h"
#include "worker/worker.h"

#include <sys/mman.h>

#define START_US        1000000ull
#define FRAME_COUNT     64
#define BLOCK_COUNT     64
#define VALUE_BYTES_MAX 1024
#define SERVER_PORT     11211
#define CLIENT_PORT     40000
#define MTU             1500
#define FRAMES_SENT_MAX 64 /* in answer to one; SYN-ACKs are sent five times */

#define MODE_MEND_CHECKSUMS 0x01u
#define MODE_MEND_LENGTHS   0x02u
#define MODE_MEND_ADDRESSES 0x04u /* it is for us */
#define MODE_PROBING        0x08u /* our addresses are still being looked for */
#define MODE_CONNECTED      0x10u /* two clients are; sequence numbers are relative to theirs */
#define MODE_CHECKSUM_KNOWN 0x20u /* the device has verified it */
#define MODE_TWICE          0x40u
#define MODE_DEVICE_FULL    0x80u /* at first */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t server_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t client_mac[6] = {2, 0, 0, 0, 0, 9};

struct scene {
	uint8_t mode;
	uint64_t now_us;
	struct memory_netif netif;
	struct port_options port;
	struct workers workers;
	struct worker *worker;
	struct stats_worker published;
	struct frame_path paths[2]; /* of the clients: IPv4, IPv6 */
	uint32_t iss[2];
	uint32_t sent_count;
	bool judging;         /* the frame has come */
	const uint8_t *asked; /* the frame */
};

static void facts(void *context, struct stats_facts *ret_facts)
{
	*ret_facts = (struct stats_facts){.version = "fuzz", .interface = "fuzz"};
}

/* RFC 1122 3.2.2, RFC 4443 2.4 (e): no error about an error, nor about what went to many. */
static void judge_icmp(const struct scene *scene, struct slice icmp, bool ip4)
{
	bool is_error = ip4 ? icmp.data[0] == 3 || icmp.data[0] == 11 || icmp.data[0] == 12
	                    : icmp.data[0] < 128;
	struct slice quoted = {icmp.data + 8, icmp.length - 8};

	if (scene->asked[0] & 1)
		FUZZ_FAIL("ICMP in answer to what was sent to many");
	if (!is_error) {
		if (icmp.data[0] != (ip4 ? 0 : 129) || icmp.data[1] != 0)
			FUZZ_FAIL("ICMP of type %u, code %u", icmp.data[0], icmp.data[1]);
		return;
	}
	if (quoted.length < (ip4 ? 20 : 40))
		FUZZ_FAIL("an ICMP error that quotes %zu bytes", quoted.length);
	if (ip4 ? quoted.data[0] >> 4 != 4 : quoted.data[0] >> 4 != 6)
		FUZZ_FAIL("an ICMP error that quotes no IP packet");
	if (ip4 && quoted.data[9] == 1)
		FUZZ_FAIL("an ICMP error about ICMP");
}

/* What load/frame.h does not read: ICMP. */
static void judge_other(const struct scene *scene, const uint8_t *frame, uint16_t length)
{
	struct mend_view view;

	if (!mend_find(&view, frame, length))
		FUZZ_FAIL("a frame that is malformed");
	if (view.protocol != (view.ip4 ? 1 : 58))
		FUZZ_FAIL("a packet of protocol %u", view.protocol);
	if (view.packet_end != length)
		FUZZ_FAIL("bytes behind the packet");
	if (!mend_checksums_good(&view, frame))
		FUZZ_FAIL("a wrong checksum");
	if (view.packet_end - view.l4 < 8)
		FUZZ_FAIL("ICMP of %u bytes", view.packet_end - view.l4);
	judge_icmp(scene, (struct slice){frame + view.l4, view.packet_end - view.l4}, view.ip4);
}

static void sent(void *context, const uint8_t *data, uint16_t length)
{
	struct scene *scene = context;
	struct frame frame;
	bool to_many;

	if (memcmp(data + 6, server_mac, 6) != 0)
		FUZZ_FAIL("another source MAC address");
	if (length > MTU + 18)
		FUZZ_FAIL("a frame of %u bytes", length);
	if (++scene->sent_count > FRAMES_SENT_MAX)
		FUZZ_FAIL("more than %u frames in answer to one", FRAMES_SENT_MAX);
	if (!frame_parse(&frame, data, length)) {
		judge_other(scene, data, length);
		return;
	}
	if (!frame.checksum_good)
		FUZZ_FAIL("a wrong checksum");
	if (frame.l4.data + frame.l4.length != data + length)
		FUZZ_FAIL("bytes behind the packet");
	if (frame.kind == FRAME_TCP && !scene->judging && frame.l4.data[13] == 0x12)
		scene->iss[!ip_address_is_ip4(&frame.source)] = load_be32(frame.l4.data + 4);
	if (frame.kind == FRAME_ARP || frame.kind == FRAME_NEIGHBOUR || !scene->judging)
		return;
	to_many = (scene->asked[0] & 1) != 0;
	if (memcmp(data, client_mac, 6) != 0 && (to_many || memcmp(data, scene->asked + 6, 6) != 0))
		FUZZ_FAIL("an answer to nobody who has asked");
	if (frame.kind == FRAME_TCP &&
	    ((frame.l4.data[12] >> 4) < 5 || (frame.l4.data[12] >> 4) * 4u > frame.l4.length))
		FUZZ_FAIL("a data offset of %u", frame.l4.data[12] >> 4);
}

static struct worker_options options_of(struct scene *scene)
{
	struct worker_options options = {
	    .workers = &scene->workers,
	    .shard = {.memory_bytes = shard_memory_bytes_min(VALUE_BYTES_MAX, 1),
	              .value_bytes_max = VALUE_BYTES_MAX,
	              .hash_seed = 1,
	              .unix_time_at_start_s = 1700000000},
	    .sessions = {.value_bytes_max = VALUE_BYTES_MAX,
	                 .output_bytes_max = 4096,
	                 .line_buffer_count = 1,
	                 .request_timeout_us = 10000000,
	                 .version = "fuzz"},
	    .datagrams = {.reply_bytes_max = 1400, .amplification_max = 10},
	    .tcp = tcp_options_default(),
	    .stats = {.workers = &scene->published,
	              .worker_count = 1,
	              .read_facts = facts,
	              .context = scene},
	    .connection_count_max = 4,
	    .block_count = BLOCK_COUNT,
	    .idle_timeout_us = 20000000,
	};

	options.tcp.connection_count_max = 8;
	options.tcp.half_open_count_max = 4;
	options.tcp.receive_window_bytes = 16384;
	options.tcp.user_timeout_us = 5000000;
	options.tcp.linger_count_max = 4;
	options.tcp.time_wait_us = 3000000;
	options.tcp.secret.k0 = 0x0123456789abcdef;
	return options;
}

static void port_set(struct scene *scene)
{
	static const char *const ours[2] = {"198.18.0.2/24", "fd00:198::2/64"};
	static const char *const theirs[2] = {"198.18.0.9", "fd00:198::9"};

	scene->port = (struct port_options){
	    .kind = PORT_TAP,
	    .name = "fuzz",
	    .address_count = 2,
	    .tcp_port = SERVER_PORT,
	    .udp_port = SERVER_PORT,
	    .allow_count = 2,
	};
	for (int i = 0; i < 2; i++) {
		ip_prefix_parse(&scene->port.addresses[i], ours[i]);
		scene->port.allow[i] = scene->port.addresses[i];
		scene->paths[i] = (struct frame_path){
		    .remote = scene->port.addresses[i].address,
		    .vlan = FRAME_NO_VLAN,
		};
		ip_address_parse(&scene->paths[i].local, theirs[i]);
		memcpy(scene->paths[i].local_mac, client_mac, 6);
		memcpy(scene->paths[i].remote_mac, server_mac, 6);
	}
}

static void scene_create(struct scene *scene, uint8_t mode, struct memory memory)
{
	struct worker_options options = options_of(scene);
	int r;

	scene->mode = mode;
	scene->now_us = START_US;
	port_set(scene);
	/* most of it is never touched: zeroed pages are had for less than zeros */
	r = madvise(memory.base, memory.bytes, MADV_DONTNEED);
	ASSERT(r == 0);
	workers_create(&scene->workers, 1, &memory, scene->now_us);
	memory_netif_create(&scene->netif, FRAME_COUNT, &memory, server_mac, MTU, sent, scene);
	r = worker_create(&scene->worker, &options, &memory, scene->now_us);
	ASSERT(r == 0);
	worker_add_netif(scene->worker, &scene->netif.netif, &scene->port, 0,
	                 (mode & MODE_PROBING) != 0, 1, scene->now_us);
	scene->published = worker_published(scene->worker);
}

static void turn(struct scene *scene, uint64_t us)
{
	scene->now_us += us;
	worker_turn(scene->worker, scene->now_us, 0);
}

/* One client's segment. */
static void say(struct scene *scene, int client, uint8_t flags, uint32_t seq, uint32_t ack,
                struct slice payload)
{
	uint8_t frame[512];
	uint8_t *tcp = frame_begin(frame, &scene->paths[client], FRAME_PROTOCOL_TCP);
	uint32_t length;

	memset(tcp, 0, 20);
	store_be16(tcp, CLIENT_PORT);
	store_be16(tcp + 2, SERVER_PORT);
	store_be32(tcp + 4, seq);
	store_be32(tcp + 8, ack);
	tcp[12] = 0x50;
	tcp[13] = flags;
	store_be16(tcp + 14, 8192);
	memcpy(tcp + 20, payload.data, payload.length);
	length = frame_finish(frame, &scene->paths[client], FRAME_PROTOCOL_TCP,
	                      20 + (uint32_t)payload.length);
	memory_netif_inject(&scene->netif, frame, (uint16_t)length);
	turn(scene, 0);
}

/* Two clients connect; both have asked for a value and not acknowledged it, and one is in the
 * middle of a value. */
static void clients_connect(struct scene *scene)
{
	for (int i = 0; i < 2; i++) {
		say(scene, i, 0x02, 0, 0, SLICE_LITERAL(""));
		say(scene, i, 0x10, 1, scene->iss[i] + 1, SLICE_LITERAL(""));
		say(scene, i, 0x18, 1, scene->iss[i] + 1,
		    SLICE_LITERAL("set a 0 0 3\r\none\r\nget a\r\n"));
	}
	say(scene, 1, 0x18, 27, scene->iss[1] + 1, SLICE_LITERAL("set b 0 0 900\r\n"));
}

/* Numbers of the frame count from those of the connections that are there: what it acknowledges,
 * and what an ICMP error quotes. */
static void relate(const struct scene *scene, const struct mend_view *view, uint8_t *frame)
{
	uint32_t base = scene->iss[!view->ip4] + 1;
	uint32_t quoted = view->l4 + 8 + (view->ip4 ? 20 : 40);
	uint8_t *number = NULL;

	if (view->protocol == 6 && view->packet_end - view->l4 >= 20)
		number = frame + view->l4 + 8;
	else if (view->protocol == (view->ip4 ? 1 : 58) && view->packet_end >= quoted + 8)
		number = frame + quoted + 4;
	if (number != NULL)
		store_be32(number, load_be32(number) + base);
}

static void mend(const struct scene *scene, uint8_t *frame, uint16_t length)
{
	struct mend_view view;

	if (scene->mode & MODE_MEND_LENGTHS)
		mend_lengths(frame, length);
	if (scene->mode & MODE_MEND_ADDRESSES)
		mend_addresses(frame, length, server_mac, &scene->paths[0].remote,
		               &scene->paths[1].remote);
	if (!mend_find(&view, frame, length))
		return;
	if (scene->mode & MODE_CONNECTED)
		relate(scene, &view, frame);
	if (scene->mode & MODE_MEND_CHECKSUMS)
		mend_checksums(&view, frame);
}

static void give(struct scene *scene, const uint8_t *frame, uint16_t length)
{
	if (!memory_netif_inject(&scene->netif, frame, length))
		FUZZ_FAIL("the netif takes no frame");
	if (scene->mode & MODE_CHECKSUM_KNOWN)
		scene->netif.ring[scene->netif.ring_count - 1].flags = PACKET_CHECKSUM_GOOD;
}

static void scene_run(struct scene *scene, const uint8_t *frame, uint16_t length)
{
	static const uint32_t later_ms[] = {0, 1, 50, 300, 1000, 3000, 7000, 15000, 31000};
	const struct tcp_counters *tcp = tcp_counters(worker_tcp(scene->worker));
	const struct block_pool *blocks = worker_blocks(scene->worker);

	uint64_t read_bytes = counter_read(&scene->published.sessions->bytes_read);

	scene->judging = true;
	scene->sent_count = 0;
	give(scene, frame, length);
	if (scene->mode & MODE_TWICE)
		give(scene, frame, length);
	if (scene->mode & MODE_DEVICE_FULL)
		scene->netif.withheld_count = FRAME_COUNT;
	for (size_t i = 0; i < sizeof(later_ms) / sizeof(later_ms[0]); i++) {
		turn(scene, later_ms[i] * 1000ull);
		tcp_check(worker_tcp(scene->worker));
		scene->netif.withheld_count = 0;
		if (scene->netif.free_count != FRAME_COUNT)
			FUZZ_FAIL("%u frames are lost", FRAME_COUNT - scene->netif.free_count);
	}
	/* walks all of the store: slow, and only a session's client changes what is there */
	if (counter_read(&scene->published.sessions->bytes_read) != read_bytes)
		worker_check(scene->worker);
	if (counter_read(&tcp->connections) != 0)
		return; /* clients that are only idle may stay for longer */
	if (blocks->free_count != blocks->block_count)
		FUZZ_FAIL("%u blocks are lost", blocks->block_count - blocks->free_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct memory memory; /* made once: the fuzzer's time is for the fuzzed */
	struct scene *scene = calloc(1, sizeof(*scene));
	uint16_t length;
	uint8_t *frame;

	ASSERT(scene != NULL);
	if (memory.base == NULL) {
		struct worker_options options = options_of(scene);

		memory.bytes = memory_netif_bytes(FRAME_COUNT) + worker_memory_bytes(&options, 1);
		memory.base = mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE,
		                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT(memory.base != MAP_FAILED);
	}
	if (size > 1) {
		length = (uint16_t)min_u64(size - 1, MTU + 18);
		frame = malloc(length);
		ASSERT(frame != NULL);
		memcpy(frame, data + 1, length);
		scene_create(scene, data[0], memory);
		if (scene->mode & MODE_CONNECTED)
			clients_connect(scene);
		mend(scene, frame, length);
		scene->asked = frame;
		if (length >= 12)
			scene_run(scene, frame, length);
		worker_destroy(scene->worker);
		free(frame);
	}
	free(scene);
	return 0;
}
