/* SPDX-License-Identifier: Apache-2.0 */
/* A frame that was copied for whoever looks at a port, on its way from the worker to the control
 * process: this, and the bytes that were kept. Plain data; all three are one build on one machine.
 */
#pragma once

#include <stdint.h>

#define CAPTURED_SNAP_MIN 64    /* all headers of most packets */
#define CAPTURED_SNAP_MAX 65535 /* more than any frame has, or any long packet */

struct captured {
	uint64_t time_us; /* monotonic: of the turn in which its worker had it */
	uint32_t length;  /* of the frame; 0: there is none, but some were missed */
	uint32_t kept;    /* bytes of it that follow */
	uint32_t missed;  /* without a frame: that were not copied, as there was no room */
	uint16_t number;  /* of the capture */
	uint16_t is_sent; /* else it was received */
};

_Static_assert(sizeof(struct captured) == 24, "no padding goes from one process to the other");
