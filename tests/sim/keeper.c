/* SPDX-License-Identifier: Apache-2.0 */
/* Captures are begun and ended at any time, and copies are taken in time, or too late: it draws
 * from a stream of its own. */
#include "sim.h"

#define SWITCH_SELDOM 200 /* steps from one change to the next, about */
#define SNAPS         3
#define LAZY_BITS_MAX 12 /* who looks that seldom finds rings full */

/* What a copy says is what a frame can be. */
static bool copy_is_sound(const struct sim *sim, const struct captured *captured,
                          const uint8_t *bytes)
{
	const uint8_t *mac = bytes + (captured->is_sent ? 6 : 0);

	return captured->time_us <= sim->now_us && captured->length >= captured->kept &&
	       captured->kept >= 14 && captured->number == sim->capture_number &&
	       (mac[0] != 2 || (mac[4] == 0 && mac[5] == 1) || sim->wire.options.damage_ppm > 0);
}

static void copies_take(struct sim *sim, struct capture *capture)
{
	const struct captured *captured;
	struct slice piece;
	uint32_t bytes;

	while ((captured = capture_peek(capture, sim->capture_number)) != NULL) {
		piece = capture_piece(capture, captured, 0);
		if (!copy_is_sound(sim, captured, piece.data))
			board_fail(&sim->board, "a copy of a frame is none");
		bytes = 0;
		for (uint32_t i = 0; (piece = capture_piece(capture, captured, i)).length > 0; i++)
			bytes += (uint32_t)piece.length;
		if (bytes != captured->kept)
			board_fail(&sim->board, "a copy of a frame is not whole");
		sim->copy_count++;
		capture_drop(capture);
	}
}

void keeper_act(struct sim *sim)
{
	static const uint32_t snaps[SNAPS] = {CAPTURED_SNAP_MIN, 1518, CAPTURED_SNAP_MAX};
	bool begins = random_below(&sim->looks, SWITCH_SELDOM) == 0;
	bool ends = random_below(&sim->looks, SWITCH_SELDOM) == 0;
	uint32_t snap = snaps[random_below(&sim->looks, SNAPS)];

	if (begins) {
		sim->capture_number++;
		sim->capture_laziness = 1u << random_below(&sim->looks, LAZY_BITS_MAX + 1);
	}
	for (uint32_t i = 0; i < sim->server_count; i++) {
		struct capture *capture = worker_capture(sim->servers[i].worker);

		if (begins)
			capture_begin(capture, 0, snap, sim->capture_number);
		else if (ends)
			capture_end(capture);
		if (random_below(&sim->looks, max_u32(sim->capture_laziness, 1)) == 0)
			copies_take(sim, capture);
	}
}
