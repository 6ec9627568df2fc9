/* SPDX-License-Identifier: Apache-2.0 */
/* What the XDP program does with a frame, for each branch of its parsers: run by the kernel that is
 * here. Whatever it answers is compared with what the worker would have said. */
#include "xdp_rig.h"

#include <sys/utsname.h>

#define FRAME_ID "\x12\x34\0\0\0\1\0\0" /* memcached's header of a request of one datagram */

static struct xdp_rig *rig;
static uint32_t case_count;

#define HOT_VALUE "hello world"
#define K50       "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define LONG_KEY  K50 K50 K50 K50 K50 /* as long as a key may be */

struct datagram {
	const char *bytes;
	size_t length;
	enum xdp_counter counted;
};

#define DATAGRAM(text, counted)                                                                    \
	{                                                                                          \
		FRAME_ID text, sizeof(FRAME_ID text) - 1, XDP_COUNTER_##counted                    \
	}
#define RAW(text, counted)                                                                         \
	{                                                                                          \
		text, sizeof(text) - 1, XDP_COUNTER_##counted                                      \
	}
#define BINARY(opcode, key_bytes, extras, vbucket, body, rest)                                     \
	"\x80" opcode "\0" key_bytes extras "\0" vbucket "\0\0\0" body "opaq\0\0\0\0\0\0\0\0" rest

static const struct datagram datagrams[] = {
    DATAGRAM("get hot\r\n", answered_text),
    DATAGRAM("gets hot\r\n", answered_text),
    DATAGRAM("get empty\r\n", answered_text),
    DATAGRAM("gets empty\r\n", answered_text),
    DATAGRAM("get large\r\n", answered_text),
    DATAGRAM("get odd\r\n", answered_text),
    DATAGRAM("gets odd\r\n", answered_text),
    DATAGRAM("get " LONG_KEY "\r\n", answered_text),
    DATAGRAM("gets " LONG_KEY "\r\n", answered_text),
    DATAGRAM("get timed\r\n", answered_text),
    DATAGRAM("get largest\r\n", redirected_limit), /* its reply is two datagrams */
    DATAGRAM("get cold\r\n", redirected_key),
    DATAGRAM("get ho\r\n", redirected_key),
    DATAGRAM("get hott\r\n", redirected_key),
    DATAGRAM("get " LONG_KEY "k\r\n", redirected_udp),
    DATAGRAM("get hot cold\r\n", redirected_udp),
    DATAGRAM("get hot \r\n", redirected_udp),
    DATAGRAM("get  hot\r\n", redirected_udp),
    DATAGRAM("get hot\n", redirected_udp),
    DATAGRAM("get hot\r", redirected_udp),
    DATAGRAM("get hot", redirected_udp),
    DATAGRAM("get hot\r\nget hot\r\n", redirected_udp),
    DATAGRAM("get hot\r\n\r\n", redirected_udp),
    DATAGRAM("get hot\0\r\n", redirected_udp),
    DATAGRAM("get hot\x7f\r\n", redirected_udp),
    DATAGRAM("mg hot v O\x7f\r\n", redirected_udp),
    DATAGRAM("get \r\n", redirected_udp),
    DATAGRAM("get\r\n", redirected_udp),
    DATAGRAM("GET hot\r\n", redirected_udp),
    DATAGRAM("gat 0 hot\r\n", redirected_udp),
    DATAGRAM("getx hot\r\n", redirected_udp),
    DATAGRAM("set hot 0 0 1\r\n", redirected_udp),
    DATAGRAM("delete hot\r\n", redirected_udp),
    DATAGRAM("mn\r\n", redirected_udp),
    DATAGRAM("me hot\r\n", redirected_udp),
    DATAGRAM("mg hot\r\n", answered_meta),
    DATAGRAM("mg hot v\r\n", answered_meta),
    DATAGRAM("mg hot v f t s k c q Oabc\r\n", answered_meta),
    DATAGRAM("mg hot Oabc c k s t f v\r\n", answered_meta),
    DATAGRAM("mg hot t\r\n", answered_meta),
    DATAGRAM("mg hot O\r\n", answered_meta),
    DATAGRAM("mg hot O12345678901234567890123456789012 v\r\n", answered_meta),
    DATAGRAM("mg hot O123456789012345678901234567890123 v\r\n", redirected_udp),
    DATAGRAM("mg hot q\r\n", answered_meta),
    DATAGRAM("mg hot q v k\r\n", answered_meta),
    DATAGRAM("mg timed t v\r\n", answered_meta),
    DATAGRAM("mg timed t\r\n", answered_meta),
    DATAGRAM("mg empty v s\r\n", answered_meta),
    DATAGRAM("mg odd v s f\r\n", answered_meta),
    DATAGRAM("mg large v k f\r\n", answered_meta),
    DATAGRAM("mg " LONG_KEY " v k c f s t\r\n", answered_meta),
    DATAGRAM("mg " LONG_KEY " k O12345678901234567890123456789012 c t f s\r\n", answered_meta),
    DATAGRAM("mg cold v\r\n", redirected_key),
    DATAGRAM("mg hot v v\r\n", redirected_udp),
    DATAGRAM("mg hot k k\r\n", redirected_udp),
    DATAGRAM("mg hot h\r\n", redirected_udp),
    DATAGRAM("mg hot l\r\n", redirected_udp),
    DATAGRAM("mg hot b\r\n", redirected_udp),
    DATAGRAM("mg hot T30\r\n", redirected_udp),
    DATAGRAM("mg hot N30\r\n", redirected_udp),
    DATAGRAM("mg hot R30\r\n", redirected_udp),
    DATAGRAM("mg hot E1\r\n", redirected_udp),
    DATAGRAM("mg hot vx\r\n", redirected_udp),
    DATAGRAM("mg hot v  f\r\n", redirected_udp),
    DATAGRAM("mg hot v \r\n", redirected_udp),
    DATAGRAM("mg hot v\n", redirected_udp),
    DATAGRAM("mg hot v\rx", redirected_udp),
    DATAGRAM("mg hot v\r\nmn\r\n", redirected_udp),
    DATAGRAM("mg hot v", redirected_udp),
    DATAGRAM("mg hot", redirected_udp),
    DATAGRAM("mg \r\n", redirected_udp),
    DATAGRAM(BINARY("\x00", "\x03", "\0", "\0\0", "\x03", "hot"), answered_binary),
    DATAGRAM(BINARY("\x09", "\x03", "\0", "\0\0", "\x03", "hot"), answered_binary),
    DATAGRAM(BINARY("\x0c", "\x03", "\0", "\0\0", "\x03", "hot"), answered_binary),
    DATAGRAM(BINARY("\x0d", "\x03", "\0", "\0\0", "\x03", "hot"), answered_binary),
    DATAGRAM(BINARY("\x00", "\x05", "\0", "\0\0", "\x05", "empty"), answered_binary),
    DATAGRAM(BINARY("\x0c", "\x05", "\0", "\0\0", "\x05", "empty"), answered_binary),
    DATAGRAM(BINARY("\x0c", "\x03", "\0", "\0\0", "\x03", "odd"), answered_binary),
    DATAGRAM(BINARY("\x00", "\x05", "\0", "\0\0", "\x05", "large"), answered_binary),
    DATAGRAM(BINARY("\x0c", "\xfa", "\0", "\0\0", "\xfa", LONG_KEY), answered_binary),
    DATAGRAM(BINARY("\x0c", "\x03", "\0", "\0\0", "\x03", "\0 \r"), answered_binary),
    DATAGRAM(BINARY("\x00", "\x04", "\0", "\0\0", "\x04", "cold"), redirected_key),
    DATAGRAM(BINARY("\x0a", "\x03", "\0", "\0\0", "\x03", "hot"), redirected_udp),
    DATAGRAM(BINARY("\x1d", "\x03", "\4", "\0\0", "\x07", "\0\0\0\0hot"), redirected_udp),
    DATAGRAM(BINARY("\x00", "\x03", "\1", "\0\0", "\x03", "hot"), redirected_udp),
    DATAGRAM(BINARY("\x00", "\x03", "\0", "\0\1", "\x03", "hot"), redirected_udp),
    DATAGRAM(BINARY("\x00", "\x03", "\0", "\0\0", "\x04", "hot"), redirected_udp),
    DATAGRAM(BINARY("\x00", "\x03", "\0", "\0\0", "\x03", "hots"), redirected_udp),
    DATAGRAM(BINARY("\x00", "\x03", "\0", "\0\0", "\x03", "ho"), redirected_udp),
    DATAGRAM(BINARY("\x00", "\x00", "\0", "\0\0", "\x00", ""), redirected_udp),
    DATAGRAM(BINARY("\x00", "\xfb", "\0", "\0\0", "\xfb", LONG_KEY "k"), redirected_udp),
    DATAGRAM("\x80\0\0\3", redirected_udp),
    DATAGRAM("\x81\0\0\3\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0hot", redirected_udp),
    RAW("\x12\x34\0\1\0\1\0\0get hot\r\n", redirected_udp),
    RAW("\x12\x34\0\0\0\2\0\0get hot\r\n", redirected_udp),
    RAW("\x12\x34\0\0\0\0\0\0get hot\r\n", redirected_udp),
    RAW("\x12\x34\0\0\1\1\0\0get hot\r\n", redirected_udp),
    RAW("\x12\x34\1\0\0\1\0\0get hot\r\n", redirected_udp),
    RAW("\xff\xff\0\0\0\1\xff\xff"
        "get hot\r\n",
        answered_text),
    RAW("\x12\x34\0\0\0\1\0\0", redirected_udp),
    RAW("\x12\x34", redirected_udp),
    RAW("", redirected_udp),
};

/* What it does with the frame at hand is what was expected. */
static bool judge(struct slice payload, enum xdp_counter expected)
{
	int action = xdp_rig_run(rig);
	bool answers = expected <= XDP_COUNTER_answered_binary;
	bool good = xdp_rig_counted(rig) == expected;

	case_count++;
	if (answers)
		return good && action == XDP_TX && xdp_rig_is_answer(rig, payload);
	/* a frame that is not answered is as it came */
	return good && action != XDP_TX && rig->frame_bytes == rig->sent_bytes &&
	       memcmp(rig->frame, rig->sent, rig->sent_bytes) == 0;
}

static void check_datagrams(void)
{
	for (size_t i = 0; i < sizeof(datagrams) / sizeof(datagrams[0]); i++) {
		struct slice payload = {(const uint8_t *)datagrams[i].bytes, datagrams[i].length};

		xdp_rig_write(rig, payload);
		if (judge(payload, datagrams[i].counted))
			continue;
		CU_FAIL("a datagram is not dealt with as is right");
		printf("\ndatagram %zu, \"%s\": counted as %u, not %u\n", i,
		       datagrams[i].length > 8 ? datagrams[i].bytes + 8 : "", xdp_rig_counted(rig),
		       datagrams[i].counted);
	}
}

static void test_datagrams_over_ip4(void)
{
	xdp_rig_path(rig, "192.0.2.1", "192.0.2.2");
	check_datagrams();
}

static void test_datagrams_over_ip6(void)
{
	xdp_rig_path(rig, "2001:db8::1", "2001:db8::2");
	check_datagrams();
}

static void test_datagrams_with_a_vlan_tag(void)
{
	rig->path.vlan = 42;
	xdp_rig_path(rig, "192.0.2.1", "192.0.2.2");
	check_datagrams();
	xdp_rig_path(rig, "2001:db8::1", "2001:db8::2");
	check_datagrams();
	rig->path.vlan = FRAME_NO_VLAN;
}

/* Its log is three lines of statistics, and nothing else. */
static void test_the_verifier_has_no_complaint(void)
{
	struct bpf_prog_info info = {0};
	__u32 info_bytes = sizeof(info);
	struct utsname kernel;
	bool is_clean;
	int end = 0;

	sscanf(rig->log,
	       "verification time %*u usec stack depth %*[0-9+] processed %*u insns %*[^\n]%n",
	       &end);
	is_clean = strcmp(rig->log + end, "\n") == 0;
	CU_ASSERT_TRUE(is_clean);
	if (!is_clean)
		printf("\n%s", rig->log);
	CU_ASSERT_EQUAL(bpf_obj_get_info_by_fd(rig->program_fd, &info, &info_bytes), 0);
	CU_ASSERT_EQUAL(uname(&kernel), 0);
	CU_ASSERT_TRUE(info.verified_insns > 0);
	printf("Linux %s: %zu instructions, the verifier looked at %u ", kernel.release,
	       info.xlated_prog_len / sizeof(struct bpf_insn), info.verified_insns);
}

static const struct unit_case cases[] = {
    {"the verifier has no complaint", test_the_verifier_has_no_complaint},
    {"datagrams over IPv4", test_datagrams_over_ip4},
    {"datagrams over IPv6", test_datagrams_over_ip6},
    {"datagrams with a VLAN tag", test_datagrams_with_a_vlan_tag},
};

static void store_keys(void)
{
	static uint8_t bytes[1400];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 131 >> 3);
	xdp_rig_store(rig, SLICE_LITERAL("hot"), SLICE_LITERAL(HOT_VALUE), 4294967295, 0);
	xdp_rig_store(rig, SLICE_LITERAL("empty"), SLICE_LITERAL(""), 0, 0);
	xdp_rig_store(rig, SLICE_LITERAL("odd"), SLICE_LITERAL("12345678901234567"), 12, 0);
	xdp_rig_store(rig, SLICE_LITERAL("large"), (struct slice){bytes, 1350}, 1, 0);
	xdp_rig_store(rig, SLICE_LITERAL("largest"), (struct slice){bytes, SLOT_VALUE_BYTES_MAX}, 1,
	              0);
	xdp_rig_store(rig, SLICE_LITERAL(LONG_KEY), SLICE_LITERAL("long"), 1234567, 0);
	xdp_rig_store(rig, SLICE_LITERAL("timed"), SLICE_LITERAL("x"), 0, 1234);
	xdp_rig_store(rig, SLICE_LITERAL("\0 \r"), SLICE_LITERAL("any byte"), 0, 0);
}

int main(void)
{
	int r =
	    xdp_rig_main(&rig, store_keys, "XDP verdicts", cases, sizeof(cases) / sizeof(cases[0]));

	printf("%u frames\n", case_count);
	return r;
}
