/* SPDX-License-Identifier: Apache-2.0 */
/* What the XDP program does with frames that are malformed, unusual, or of somebody else: a hot
 * key's GET, changed in one place. And who is answered, how much, and when. */
#include "xdp_rig.h"

#include "base/checksum.h"
#include "net/blocked.h"
#include "seed.h"

static struct xdp_rig *rig;
static uint32_t case_count;

#define L3        14 /* where the headers begin */
#define L4        (L3 + 20)
#define L4_OF_IP6 (L3 + 40)

static const struct slice get_hot = {(const uint8_t *)"\x12\x34\0\0\0\1\0\0get hot\r\n", 17};

static void begin4(void)
{
	xdp_rig_path(rig, "192.0.2.1", "192.0.2.2");
	xdp_rig_write(rig, get_hot);
}

static void begin6(void)
{
	xdp_rig_path(rig, "2001:db8::1", "2001:db8::2");
	xdp_rig_write(rig, get_hot);
}

/* The IPv4 header's checksum is right again. */
static void mend_ip4(void)
{
	uint8_t *ip = rig->sent + L3;

	store_be16(ip + 10, 0);
	checksum_store(ip + 10,
	               (uint16_t)~checksum_fold(checksum_add(0, ip, (ip[0] & 0x0fu) * 4u)));
}

static void expect(const char *what, enum xdp_counter expected)
{
	int action = xdp_rig_run(rig);
	uint32_t counted = xdp_rig_counted(rig);
	bool good = counted == expected;

	case_count++;
	if (expected <= XDP_COUNTER_answered_binary)
		good = good && action == XDP_TX && xdp_rig_is_answer(rig, get_hot);
	else
		good = good && action != XDP_TX && rig->frame_bytes == rig->sent_bytes &&
		       memcmp(rig->frame, rig->sent, rig->sent_bytes) == 0 &&
		       action == (expected <= XDP_COUNTER_dropped_changed   ? XDP_DROP
		                  : expected <= XDP_COUNTER_redirected_icmp ? XDP_REDIRECT
		                                                            : XDP_PASS);
	if (good)
		return;
	CU_FAIL("a frame is not dealt with as is right");
	printf("\n%s: action %d, counted as %u, not %u\n", what, action, counted, expected);
}

/* One byte of a good frame, with the IPv4 header's checksum put right or left. */
struct change {
	const char *what;
	uint32_t at;
	uint8_t byte;
	bool mends;
	enum xdp_counter expected;
};

static const struct change changes4[] = {
    {"nothing", 0, 2, false, XDP_COUNTER_answered_text},
    {"another MAC address", 5, 9, false, XDP_COUNTER_redirected_udp},
    {"a group's MAC address", 0, 3, false, XDP_COUNTER_redirected_udp},
    {"from a group's MAC address", 6, 3, false, XDP_COUNTER_redirected_udp},
    {"ARP", 13, 6, false, XDP_COUNTER_passed_not_ip},
    {"IEEE 802.3", 12, 0, false, XDP_COUNTER_passed_not_ip},
    {"IPv6 in name", 12, 0x86, false, XDP_COUNTER_passed_not_ip},
    {"version 6", L3, 0x65, true, XDP_COUNTER_passed_malformed},
    {"a header of 16 bytes", L3, 0x44, false, XDP_COUNTER_passed_malformed},
    {"a header of none", L3, 0x40, false, XDP_COUNTER_passed_malformed},
    {"a wrong sum", L3 + 10, 0x77, false, XDP_COUNTER_redirected_udp},
    {"a class", L3 + 1, 0xb8, true, XDP_COUNTER_answered_text},
    {"longer than the frame", L3 + 3, 255, true, XDP_COUNTER_redirected_udp},
    {"far longer than the frame", L3 + 2, 255, true, XDP_COUNTER_redirected_udp},
    {"shorter than its header", L3 + 3, 19, true, XDP_COUNTER_redirected_udp},
    {"no longer than its header", L3 + 3, 20, true, XDP_COUNTER_redirected_udp},
    {"shorter than UDP says", L3 + 3, 44, true, XDP_COUNTER_redirected_udp},
    {"an identification", L3 + 5, 1, true, XDP_COUNTER_answered_text},
    {"may be cut up", L3 + 6, 0, true, XDP_COUNTER_answered_text},
    {"a fragment", L3 + 6, 0x20, true, XDP_COUNTER_passed_fragment},
    {"a later fragment", L3 + 7, 1, true, XDP_COUNTER_passed_fragment},
    {"the reserved bit", L3 + 6, 0x80, true, XDP_COUNTER_answered_text},
    {"the last hop", L3 + 8, 1, true, XDP_COUNTER_answered_text},
    {"TCP", L3 + 9, 6, true, XDP_COUNTER_redirected_tcp},
    {"ICMP", L3 + 9, 1, true, XDP_COUNTER_passed_protocol},
    {"SCTP", L3 + 9, 132, true, XDP_COUNTER_passed_protocol},
    {"from this network", L3 + 12, 0, true, XDP_COUNTER_redirected_udp},
    {"from loopback", L3 + 12, 127, true, XDP_COUNTER_redirected_udp},
    {"from a group", L3 + 12, 224, true, XDP_COUNTER_redirected_udp},
    {"from a reserved address", L3 + 12, 240, true, XDP_COUNTER_redirected_udp},
    {"from the network's broadcast address", L3 + 15, 255, true, XDP_COUNTER_redirected_udp},
    {"to another", L3 + 19, 3, true, XDP_COUNTER_passed_other},
    {"to another port", L4 + 3, 0xcc, false, XDP_COUNTER_passed_other},
    {"UDP of another length", L4 + 5, 24, false, XDP_COUNTER_redirected_udp},
    {"UDP longer than its packet", L4 + 5, 26, false, XDP_COUNTER_redirected_udp},
    {"UDP of no length", L4 + 5, 0, false, XDP_COUNTER_redirected_udp},
    {"a wrong UDP sum", L4 + 6, 0x13, false, XDP_COUNTER_redirected_udp},
    {"a changed byte of the key", L4 + 20, 'H', false, XDP_COUNTER_redirected_udp},
};

static const struct change changes6[] = {
    {"nothing", 0, 2, false, XDP_COUNTER_answered_text},
    {"version 4", L3, 0x40, false, XDP_COUNTER_passed_malformed},
    {"a class", L3, 0x6f, false, XDP_COUNTER_answered_text},
    {"a flow", L3 + 3, 0x6f, false, XDP_COUNTER_answered_text},
    {"longer than the frame", L3 + 5, 255, false, XDP_COUNTER_redirected_udp},
    {"far longer than the frame", L3 + 4, 255, false, XDP_COUNTER_redirected_udp},
    {"shorter than UDP says", L3 + 5, 24, false, XDP_COUNTER_redirected_udp},
    {"no payload", L3 + 5, 0, false, XDP_COUNTER_redirected_udp},
    {"the last hop", L3 + 7, 0, false, XDP_COUNTER_answered_text},
    {"hop-by-hop options", L3 + 6, 0, false, XDP_COUNTER_passed_protocol},
    {"a fragment", L3 + 6, 44, false, XDP_COUNTER_passed_protocol},
    {"a routing header", L3 + 6, 43, false, XDP_COUNTER_passed_protocol},
    {"TCP", L3 + 6, 6, false, XDP_COUNTER_redirected_tcp},
    {"ICMP", L3 + 6, 58, false, XDP_COUNTER_passed_protocol},
    {"from a group", L3 + 8, 255, false, XDP_COUNTER_redirected_udp},
    {"from another: the sum is wrong", L3 + 23, 7, false, XDP_COUNTER_redirected_udp},
    {"to another", L3 + 39, 3, false, XDP_COUNTER_passed_other},
    {"a wrong UDP sum", L4_OF_IP6 + 6, 0x13, false, XDP_COUNTER_redirected_udp},
};

static void test_a_frame_changed_in_one_byte(void)
{
	for (size_t i = 0; i < sizeof(changes4) / sizeof(changes4[0]); i++) {
		begin4();
		rig->sent[changes4[i].at] = changes4[i].byte;
		if (changes4[i].mends)
			mend_ip4();
		expect(changes4[i].what, changes4[i].expected);
	}
	for (size_t i = 0; i < sizeof(changes6) / sizeof(changes6[0]); i++) {
		begin6();
		rig->sent[changes6[i].at] = changes6[i].byte;
		expect(changes6[i].what, changes6[i].expected);
	}
}

/* Of a frame with a tag, too. Whatever is cut off, nothing is read that is not there. */
static void test_frames_that_are_cut_short(void)
{
	for (uint32_t tagged = 0; tagged < 2; tagged++) {
		rig->path.vlan = tagged ? 7 : FRAME_NO_VLAN;
		begin4();
		for (uint32_t whole = rig->sent_bytes; rig->sent_bytes > 14;) {
			rig->sent_bytes--;
			/* as long as the ports are there, it is ours */
			expect("IPv4, cut short", rig->sent_bytes >= whole - 21
			                              ? XDP_COUNTER_redirected_udp
			                              : XDP_COUNTER_passed_malformed);
		}
		begin6();
		for (uint32_t whole = rig->sent_bytes; rig->sent_bytes > 14;) {
			rig->sent_bytes--;
			expect("IPv6, cut short", rig->sent_bytes >= whole - 21
			                              ? XDP_COUNTER_redirected_udp
			                              : XDP_COUNTER_passed_malformed);
		}
	}
	rig->path.vlan = FRAME_NO_VLAN;
}

/* Puts options of IPv4 in, as many bytes as a multiple of four. */
static void put_options(const void *options, uint32_t bytes)
{
	begin4();
	memmove(rig->sent + L4 + bytes, rig->sent + L4, rig->sent_bytes - L4);
	memcpy(rig->sent + L4, options, bytes);
	rig->sent_bytes += bytes;
	rig->sent[L3] = (uint8_t)(0x45 + bytes / 4);
	store_be16(rig->sent + L3 + 2, (uint16_t)(rig->sent_bytes - L3));
	mend_ip4();
}

struct options {
	const char *what;
	uint8_t bytes[40];
	uint32_t length;
	enum xdp_counter expected;
};

static const struct options options4[] = {
    {"nothing", {1, 1, 1, 1}, 4, XDP_COUNTER_answered_text},
    {"an end", {0, 0, 0, 0}, 4, XDP_COUNTER_answered_text},
    {"an end, and whatever follows", {0, 131, 200, 1}, 4, XDP_COUNTER_answered_text},
    {"router alert", {148, 4, 0, 0}, 4, XDP_COUNTER_answered_text},
    {"a timestamp", {68, 8, 5, 0, 0, 0, 0, 0}, 8, XDP_COUNTER_answered_text},
    {"all that there may be", {7, 39, 4}, 40, XDP_COUNTER_answered_text},
    {"the same, one too long", {7, 41, 4}, 40, XDP_COUNTER_redirected_udp},
    {"a loose source route", {131, 3, 4, 0}, 4, XDP_COUNTER_redirected_udp},
    {"a strict source route", {1, 137, 3, 4}, 4, XDP_COUNTER_redirected_udp},
    {"a length of 1", {148, 1, 0, 0}, 4, XDP_COUNTER_redirected_udp},
    {"a length of 0", {148, 0, 0, 0}, 4, XDP_COUNTER_redirected_udp},
    {"a length beyond the header", {148, 5, 0, 0}, 4, XDP_COUNTER_redirected_udp},
    {"no length", {1, 1, 1, 148}, 4, XDP_COUNTER_redirected_udp},
};

static void test_options_of_ip4(void)
{
	for (size_t i = 0; i < sizeof(options4) / sizeof(options4[0]); i++) {
		put_options(options4[i].bytes, options4[i].length);
		expect(options4[i].what, options4[i].expected);
	}
	put_options("\1\1\1\1", 4);
	rig->sent[L3 + 20] = 0; /* the sum is wrong now */
	expect("a wrong sum with options", XDP_COUNTER_redirected_udp);
	put_options("\1\1\1\1", 4);
	rig->sent[L3] = 0x4f; /* the header goes on into what follows */
	mend_ip4();
	expect("a header that is longer than its packet", XDP_COUNTER_passed_malformed);
}

static void test_sums_that_are_left_out(void)
{
	begin4();
	store_be16(rig->sent + L4 + 6, 0);
	expect("IPv4 without a UDP sum", XDP_COUNTER_answered_text);
	begin6();
	store_be16(rig->sent + L4_OF_IP6 + 6, 0);
	expect("IPv6 without a UDP sum", XDP_COUNTER_redirected_udp);
}

static void test_what_lies_behind_a_packet_is_padding(void)
{
	for (uint32_t i = 0; i < 2; i++) {
		if (i == 0)
			begin4();
		else
			begin6();
		memset(rig->sent + rig->sent_bytes, 0xa5, 30);
		rig->sent_bytes += 30;
		expect("padding", XDP_COUNTER_answered_text);
	}
}

static void test_vlan_tags(void)
{
	rig->path.vlan = 5;
	begin4();
	rig->sent[14] = 0xe0; /* a priority, which is not given back */
	expect("a priority", XDP_COUNTER_answered_text);
	begin4();
	store_be16(rig->sent + 16, 0x8100);
	expect("two tags", XDP_COUNTER_passed_not_ip);
	begin4();
	store_be16(rig->sent + 12, 0x88a8);
	expect("a service tag", XDP_COUNTER_passed_not_ip);
	rig->path.vlan = FRAME_NO_VLAN;
}

static struct blocked *list_of(const char *const prefixes[], uint32_t count)
{
	struct ip_prefix *parsed = calloc(count + 1, sizeof(*parsed));
	struct blocked *blocked = malloc(blocked_bytes(count));

	for (uint32_t i = 0; i < count; i++)
		CU_ASSERT_EQUAL(ip_prefix_parse(&parsed[i], prefixes[i]), 0);
	blocked_create(blocked, parsed, count);
	free(parsed);
	return blocked;
}

static void block(const char *prefix)
{
	struct blocked *blocked = list_of(&prefix, 1);

	xdp_blocked_write(rig->blocked, blocked);
	free(blocked);
}

static void test_who_is_blocked_is_dropped(void)
{
	begin4();
	expect("nobody is blocked", XDP_COUNTER_answered_text);
	block("192.0.3.0/24");
	expect("another is", XDP_COUNTER_answered_text);
	block("192.0.2.0/24");
	expect("blocked", XDP_COUNTER_dropped_blocked);
	rig->sent[L3 + 9] = 6;
	expect("TCP too", XDP_COUNTER_dropped_blocked);
	rig->sent[L3 + 19] = 3;
	expect("what is not for us is not dropped", XDP_COUNTER_passed_other);
	begin4();
	rig->blocked->sequence++; /* it is being written */
	expect("the worker knows better now", XDP_COUNTER_answered_text);
	rig->blocked->sequence++;
	begin6();
	expect("the other family is not blocked", XDP_COUNTER_answered_text);
	block("2001:db8::/127");
	expect("an IPv6 range", XDP_COUNTER_dropped_blocked);
	block("0.0.0.0/0");
	expect("all of IPv4, but this is IPv6", XDP_COUNTER_answered_text);
	begin4();
	expect("all of IPv4", XDP_COUNTER_dropped_blocked);
	block("::/0");
	expect("all that there is", XDP_COUNTER_dropped_blocked);
	xdp_blocked_write(rig->blocked, NULL);
	expect("an empty list", XDP_COUNTER_answered_text);
}

/* Lists of random prefixes: the program drops whom the worker would keep out, and no other. */
static void test_the_list_is_the_workers(void)
{
	struct random random = random_seeded(seed_of_this_run());
	struct ip_prefix *prefixes = calloc(BLOCKED_COUNT_MAX, sizeof(*prefixes));
	struct blocked *blocked = malloc(blocked_bytes(BLOCKED_COUNT_MAX));
	uint32_t wrong = 0, kept_out = 0;

	for (uint32_t count = 1; count <= BLOCKED_COUNT_MAX; count *= 4) {
		for (uint32_t i = 0; i < count; i++) {
			uint8_t bytes[16] = {0x20, 1, 0xd, 0xb8, (uint8_t)random_below(&random, 4)};

			store_be32(bytes + 8, (uint32_t)random_u64(&random));
			prefixes[i].address = random_below(&random, 2)
			                          ? ip_address_from_ip4(bytes + 8)
			                          : ip_address_from_ip6(bytes);
			/* neither everybody nor hardly anybody */
			prefixes[i].length = (uint8_t)(ip_address_is_ip4(&prefixes[i].address)
			                                   ? 108 + random_below(&random, 21)
			                                   : 68 + random_below(&random, 40));
		}
		blocked_create(blocked, prefixes, count);
		xdp_blocked_write(rig->blocked, blocked);
		for (uint32_t i = 0; i < 2000; i++) {
			struct ip_address source = prefixes[random_below(&random, count)].address;
			bool is_ip4 = ip_address_is_ip4(&source);
			bool is_dropped;

			source.bytes[is_ip4 ? 12 + random_below(&random, 4)
			                    : 8 + random_below(&random, 8)] ^=
			    (uint8_t)(1 << random_below(&random, 8));
			rig->path.local = source;
			ip_address_parse(&rig->path.remote, is_ip4 ? "192.0.2.2" : "2001:db8::2");
			xdp_rig_write(rig, get_hot);
			is_dropped = xdp_rig_run(rig) == XDP_DROP;
			wrong += is_dropped != blocked_contain(blocked, &source);
			kept_out += is_dropped;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(kept_out > 2000);
	xdp_blocked_write(rig->blocked, NULL);
	free(prefixes);
	free(blocked);
}

static void allow(const char *address, uint32_t length)
{
	struct xdp_prefix prefix = {.length = length};
	struct ip_address parsed;
	uint32_t value = 0;

	ip_address_parse(&parsed, address);
	memcpy(prefix.address, parsed.bytes, 16);
	CU_ASSERT_EQUAL(bpf_map_update_elem(rig->allow_fd, &prefix, &value, BPF_ANY), 0);
}

static void test_limits_hold_for_whom_the_list_does_not_have(void)
{
	begin4();
	rig->settings->amplification_max = 2; /* 30 bytes for 17 */
	expect("within amplification_max", XDP_COUNTER_answered_text);
	rig->settings->amplification_max = 1;
	expect("over amplification_max", XDP_COUNTER_redirected_limit);
	rig->settings->allow_any = 0;
	expect("not on the list", XDP_COUNTER_redirected_limit);
	allow("192.0.2.0", 96 + 24);
	expect("on the list", XDP_COUNTER_answered_text);
	rig->settings->reply_bytes_max = 30;
	expect("over reply_bytes_max", XDP_COUNTER_redirected_limit);
	rig->settings->reply_bytes_max = 34;
	expect("within reply_bytes_max", XDP_COUNTER_answered_text);
	begin6();
	expect("the other family is not on the list", XDP_COUNTER_redirected_limit);
	allow("2001:db8::", 32);
	expect("now it is", XDP_COUNTER_answered_text);
	rig->settings->allow_any = 1;
	rig->settings->amplification_max = 1000;
	rig->settings->reply_bytes_max = 0;
	expect("hot keys are off", XDP_COUNTER_redirected_udp);
	rig->settings->reply_bytes_max = 1400;
}

static void test_a_source_has_so_many_a_second(void)
{
	uint32_t answered = 0, tries = 0;
	uint64_t second = xdp_rig_now_ns() / 1000000000;

	rig->settings->rate_max = 3;
	do { /* all within one second */
		answered = 0;
		second = xdp_rig_now_ns() / 1000000000;
		begin4();
		rig->sent[L3 + 14] = (uint8_t)(100 + tries);
		mend_ip4();
		store_be16(rig->sent + L4 + 6, 0);
		for (uint32_t i = 0; i < 10; i++)
			answered += xdp_rig_run(rig) == XDP_TX;
	} while (second != xdp_rig_now_ns() / 1000000000 && ++tries < 100);
	CU_ASSERT_EQUAL(answered, 3);
	begin6();
	expect("others are answered meanwhile", XDP_COUNTER_answered_text);
	rig->settings->rate_max = 0;
}

static void test_a_slot_that_is_out_is_not_told(void)
{
	struct xdp_slot *slot =
	    xdp_rig_store(rig, SLICE_LITERAL("hot"), SLICE_LITERAL("one"), 0, 0);
	uint32_t sequence = slot->sequence;
	uint64_t hits = 0;

	begin4();
	expect("shown", XDP_COUNTER_answered_text);
	slot_retract(slot);
	expect("retracted", XDP_COUNTER_redirected_key);
	slot_retract(slot);
	CU_ASSERT_EQUAL(slot->sequence, sequence + 1);
	slot = xdp_rig_store(rig, SLICE_LITERAL("hot"), SLICE_LITERAL("two, longer"), 0, 0);
	CU_ASSERT_EQUAL(slot->sequence, sequence + 2);
	expect("shown again", XDP_COUNTER_answered_text);
	slot->line[XDP_LINE_KEY] = 'H'; /* the hash is the same */
	expect("another key", XDP_COUNTER_redirected_key);
	slot->line[XDP_LINE_KEY] = 'h';
	for (uint32_t i = 0; i < XDP_HITS_COUNT; i++)
		hits += rig->hits[i].counts[slot - rig->slots];
	CU_ASSERT_TRUE(hits >= 2);
	for (uint32_t i = 0; i < 5; i++)
		expect("counted", XDP_COUNTER_answered_text);
	for (uint32_t i = 0; i < XDP_HITS_COUNT; i++)
		hits -= rig->hits[i].counts[slot - rig->slots];
	CU_ASSERT_EQUAL(hits, (uint64_t)-5);
}

static void test_what_has_expired_is_not_told(void)
{
	struct xdp_slot *slot = xdp_rig_store(rig, SLICE_LITERAL("hot"), SLICE_LITERAL("x"), 0, 2);
	uint32_t now_s = rig->worker->time.now_s;

	begin4();
	/* the end of its last second, give or take what the test takes */
	slot->clock_start_ns = xdp_rig_now_ns() - (now_s + 2) * 1000000000ull + 200000000;
	expect("in its last second", XDP_COUNTER_answered_text);
	slot->clock_start_ns = xdp_rig_now_ns() - (now_s + 2) * 1000000000ull;
	expect("expired", XDP_COUNTER_redirected_key);
	xdp_rig_set_clock(rig);
	xdp_rig_store(rig, SLICE_LITERAL("hot"), SLICE_LITERAL("x"), 0, 0);
}

static const struct unit_case cases[] = {
    {"a frame changed in one byte", test_a_frame_changed_in_one_byte},
    {"frames that are cut short", test_frames_that_are_cut_short},
    {"options of IPv4", test_options_of_ip4},
    {"sums that are left out", test_sums_that_are_left_out},
    {"what lies behind a packet is padding", test_what_lies_behind_a_packet_is_padding},
    {"VLAN tags", test_vlan_tags},
    {"who is blocked is dropped", test_who_is_blocked_is_dropped},
    {"the block list is the worker's", test_the_list_is_the_workers},
    {"limits hold for whom the allow list does not have",
     test_limits_hold_for_whom_the_list_does_not_have},
    {"a source has so many a second", test_a_source_has_so_many_a_second},
    {"a slot that is out is not told", test_a_slot_that_is_out_is_not_told},
    {"what has expired is not told", test_what_has_expired_is_not_told},
};

static void store_hot(void)
{
	xdp_rig_store(rig, SLICE_LITERAL("hot"), SLICE_LITERAL("x"), 0, 0);
}

int main(void)
{
	int r =
	    xdp_rig_main(&rig, store_hot, "XDP frames", cases, sizeof(cases) / sizeof(cases[0]));

	printf("%u frames\n", case_count);
	return r;
}
