#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that the simulation sees: plants one bug at a time into a copy of the code and looks for
the first seed that fails. A bug that no seed catches is a fault of the simulation.

planted.py [WORD]     WORD: only bugs whose kind, sentence or file contains it

Needs what the build needs. Exit status 0: every bug was caught, and the code as it is holds.
"""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import planting

PROGRAMS = ["tests/sim"]
SEED_COUNT = 300
BUG_SECONDS_MAX = 60  # for the seeds of one bug

# kind, what is wrong, file, what stands there exactly once, what stands there instead
BUGS = [
    ("retransmit", "the retransmission timer goes on running and sends nothing", "src/tcp/timer.c",
     """\
		recovery_timed_out(connection, now_us); /* RFC 6298 5.4 … 5.6 */
""",
     ""),
    ("retransmit", "three duplicate ACKs halve the window and resend nothing",
     "src/tcp/recovery.c",
     """\
		flight_lose_first(connection,
		                  min_u32(mss, connection->snd_nxt - connection->snd_una));
		recovery_enter(connection, now_us);
""",
     """\
		recovery_enter(connection, now_us);
"""),
    ("retransmit", "what arrives behind a gap tells of no loss", "src/tcp/flight.c",
     """\
		}
		run_set_fate(connection, i, RUN_LOST);
""",
     """\
		}
"""),
    ("retransmit", "a FIN goes out once: what is sent again carries none", "src/tcp/output.c",
     """\
	header_write(outgoing->header, connection->local_port, connection->remote_port, seq,
""",
     """\
	if (connection->state > TCP_CLOSE_WAIT)
		flags &= (uint8_t)~TCP_FLAG_FIN;
	header_write(outgoing->header, connection->local_port, connection->remote_port, seq,
"""),
    ("retransmit", "a SYN-ACK goes out once", "src/tcp/handshake.c",
     "return syn_ack_send(tcp, &tuple, &half_open->agreed,",
     "return half_open->sent_count == 1 && !half_open->repeated &&"
     " syn_ack_send(tcp, &tuple, &half_open->agreed,"),
    ("handshake", "a cookie begins one byte late", "src/tcp/cookie.c",
     """\
	    .irs = segment->seq - 1,
""",
     """\
	    .irs = segment->seq,
"""),
    ("reassembly", "bytes that are held already are not skipped", "src/tcp/reassembly.c",
     """\
			verdict = piece_add(connection, previous, seq, data, part);
		}
		seq += part;
		data += part;
""",
     """\
			verdict = piece_add(connection, previous, seq, data, part);
			data += part;
		}
		seq += part;
"""),
    ("reassembly", "what fills a gap leaves the range behind it out of order",
     "src/tcp/reassembly.c",
     """\
	connection->range_count--;
	advance(connection);
""",
     ""),
    ("window", "the peer's window is exceeded by one byte", "src/tcp/output.c",
     "most = min_u32(most, connection->snd_wnd > in_flight ? connection->snd_wnd - in_flight : 0);",
     "most = min_u32(most, connection->snd_wnd + 1 - in_flight);"),
    ("window", "windows are never scaled", "src/tcp/output.c",
     "uint32_t shift = connection->receive_shift;",
     "uint32_t shift = 0;"),
    ("window", "the right edge moves back when the queue fills", "src/tcp/output.c",
     "return window >= offered + step ? window : offered;",
     "return window >= offered + step || window < offered ? window : offered;"),
    ("stale read", "a set of as many bytes is taken for no change", "src/shard/write.c",
     """\
	case REQUEST_ADD: ret_reply->status = REPLY_NOT_STORED; return;
	case REQUEST_APPEND:
""",
     """\
	case REQUEST_ADD: ret_reply->status = REPLY_NOT_STORED; return;
	case REQUEST_SET:
		if (item_value_bytes(place->item) == item_value_bytes(state->reservation.item))
			reply_stored(shard, place->item, ret_reply);
		else
			publish(shard, state, place, ret_reply);
		return;
	case REQUEST_APPEND:
"""),
    ("stale read", "an item is expired in one second only", "src/store/internal.h",
     "return expiry_s <= now_s ? STORE_EXPIRED", "return expiry_s == now_s ? STORE_EXPIRED"),
    ("stale read", "flush_all spares what is there", "src/store/store.c",
     """\
	                      store->flushed_count > 0 ? store->sequence : 0, memory_order_relaxed);
""",
     """\
	                      0, memory_order_relaxed);
"""),
    ("stale read", "a deleted item stays", "src/shard/delete.c",
     "	store_remove(shard->store, place);\n",
     ""),
    ("stale read", "an overwritten item keeps its cas unique", "src/store/store.c",
     """\
	item_set_state(item, ITEM_LIVE);
	segment->open_count--;
""",
     """\
	if (replaced != NULL)
		item_set_cas(item, store_cas_unique(store, replaced->item), segment->cas_base);
	item_set_state(item, ITEM_LIVE);
	segment->open_count--;
"""),
    ("stale read", "an evicted segment's items stay in the index", "src/store/sift.c",
     "	store_evict(store, slot, item);",
     "	store_leave(store, item);"),
    ("stale read", "a copied item never expires", "src/store/write.c",
     "	    .expiry_s = item_expiry_s(item, from->expiry_base_s),\n",
     "	    .expiry_s = 0,\n"),
    ("stale read", "a copied item has a part of its value", "src/store/write.c",
     "options.key.data + options.key.length, options.value_bytes);\n	atomic_store",
     "options.key.data + options.key.length, options.value_bytes / 2);\n	atomic_store"),
    ("stale read", "incr writes a copy that no reader sees", "src/shard/delta.c",
     "store_publish(shard->store, &reservation, place);",
     "store_abandon(shard->store, &reservation);"),
    ("half-sent values", "who has lost the room for a value goes on writing", "src/store/write.c",
     """\
	store_resume(store, reservation);
	store_abandon(store, reservation);
""",
     """\
	struct store_reservation copy;

	store_resume(store, reservation);
	copy = *reservation;
	store_abandon(store, &copy);
"""),
    ("large sends", "memory that is still being sent is written over", "src/store/log.c",
     "	} else if (is_pinned(segment)) {\n", "	} else if (false) {\n"),
    ("large sends", "a packet for the card to cut up says nothing of it", "src/tcp/output.c",
     "outgoing.packet.segment_bytes = connection->mss;",
     "outgoing.packet.segment_bytes = 0;"),
    ("large sends", "a packet that could not be filled counts as read", "src/net/net.c",
     "*cursor = before;", "(void)before;"),
    ("prefetch", "a frame takes the flow of another", "src/net/net.c",
     "frame_input(net, &burst[i], flows[i], now_us);",
     "frame_input(net, &burst[i], flows[0], now_us);"),
    ("prefetch", "keys that were foreseen outlive their frames", "src/worker/worker_packets.c",
     "	lookahead_end(&worker->sessions.lookahead);\n", "	(void)worker;\n"),
    ("capture", "a frame that nobody could copy is not sent", "src/net/capture.c",
     "	copy(capture, packet, true);\n",
     """\
	if (!spsc_has_room(&capture->ring, slot_count(packet->length))) {
		capture->ops->release(netif, packet, 1);
		return;
	}
	copy(capture, packet, true);
"""),
    ("capture", "the copying functions stay when nobody looks any more", "src/net/capture.c",
     "		capture->netif->ops = capture->ops;\n", "		(void)0;\n"),
    ("wrap-around", "sequence numbers are compared as plain numbers", "src/tcp/tcp_internal.h",
     "return (int32_t)(a - b) > 0;",
     "return a > b;"),
    ("blocked", "TCP of blocked sources is let in", "src/net/net.c",
     """\
	if (net_blocks(net, &input->path.remote))
		return;
	switch""",
     """\
	if (protocol != IP_PROTOCOL_TCP && net_blocks(net, &input->path.remote))
		return;
	switch"""),
    ("blocked", "UDP of blocked sources is answered", "src/net/net.c",
     """\
	if (net_blocks(net, &input->path.remote))
		return;
	switch""",
     """\
	if (protocol != IP_PROTOCOL_UDP && net_blocks(net, &input->path.remote))
		return;
	switch"""),
    ("blocked", "connections of who is blocked stay", "src/worker/worker.c",
     """\
	worker->blocked_left = blocked == NULL ? 0 : seats_used(&worker->seats);
""",
     ""),
]


def failure(done):
    """What the simulation says is wrong, or None. A broken invariant ends it with a signal."""
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if " FAILED: " in line]
    lines += [line for line in done.stderr.splitlines() if "invariant broken" in line]
    return lines[0] if lines else f"exit status {done.returncode}"


def run_seeds(code, first, count, seconds):
    return subprocess.run([code / "build/tests/sim", str(first), str(count)], capture_output=True,
                          text=True, timeout=seconds)


def hunt(code):
    """A caught bug's seed and failure, or None and how far the seeds went."""
    end = time.monotonic() + BUG_SECONDS_MAX
    for seed in range(1, SEED_COUNT + 1):
        try:
            found = failure(run_seeds(code, seed, 1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None, f"{seed - 1} seeds: {BUG_SECONDS_MAX} s are over"
        if found:
            return seed, found
    return None, f"{SEED_COUNT} seeds"


def plant(code, bug):
    kind, sentence = bug[:2]
    with planting.planted(code, bug, PROGRAMS):
        seed, found = hunt(code)
    found = found.removeprefix(f"seed {seed} FAILED: ")
    verdict = f"caught by seed {seed}: {found}" if seed else f"NOT CAUGHT in {found}"
    print(f"{kind}: {sentence}: {verdict}", flush=True)
    return seed is not None


def run(code, bugs):
    subprocess.run(["meson", "setup", code / "build", code, "-Dslow_asserts=true"], check=True,
                   stdout=subprocess.DEVNULL)
    planting.build(code, PROGRAMS, "the code as it is")
    found = failure(run_seeds(code, 1, SEED_COUNT, None))
    if found:
        print(f"the code as it is fails: {found}")
        return None
    print(f"as it is: {SEED_COUNT} seeds hold", flush=True)
    return sum([plant(code, bug) for bug in bugs])


if __name__ == "__main__":
    sys.exit(planting.main(BUGS, run))
