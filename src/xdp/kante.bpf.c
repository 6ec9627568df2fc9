/* SPDX-License-Identifier: Apache-2.0 */
/* The XDP program of an `xdp` port, in the order in which a frame goes through it: whose it is
 * (frame.bpf.h); whether its source is on the block list (blocked.bpf.h); whether it asks for a hot
 * key, which is answered at once (hot.bpf.h); all else for the cache's addresses and ports goes to
 * the AF_XDP socket of its receive queue, and so does what says that a TCP segment from there was
 * too big. Everything else goes on to the kernel.
 *
 * Built for the BPF target and embedded into kanted. net_af_xdp loads it and puts its sockets into
 * xsks_map; src/xdp/xdp.c fills the other maps and reads the counters. */
#include "xdp/blocked.bpf.h"
#include "xdp/hot.bpf.h"

SEC("xdp")
int kante_xdp(struct xdp_md *context)
{
	struct frame frame = {};
	struct xdp_settings *settings;
	__u32 zero = 0, counter, redirected;
	__be32 *broadcast;
	int action;

	if (!parse_frame(context, &frame, &redirected, &counter))
		return pass(counter);
	broadcast = bpf_map_lookup_elem(&kante_listen, &frame.key);
	if (!broadcast)
		return pass(XDP_COUNTER_passed_other);
	if (is_blocked(&frame))
		return drop(XDP_COUNTER_dropped_blocked);
	settings = bpf_map_lookup_elem(&kante_settings, &zero);
	if (settings && redirected == XDP_COUNTER_redirected_udp && settings->reply_bytes_max > 0) {
		action = answer_hot(context, settings, &frame, *broadcast, &redirected);
		if (action != XDP_PASS)
			return action;
	}
	action = bpf_redirect_map(&xsks_map, context->rx_queue_index, XDP_PASS);
	if (action != XDP_REDIRECT)
		return pass(XDP_COUNTER_passed_no_socket);
	count(redirected);
	return action;
}

/* None of the helpers used here is for GPL programs only. */
char license_text[] SEC("license") = "Apache-2.0";
