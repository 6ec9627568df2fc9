/* SPDX-License-Identifier: Apache-2.0 */
/* The meta commands, some classic ones among them.
 *
 * Input: a byte. Even: then bytes as they come, see raw.h. Odd: then a program, see play.h. */
#include "play.h"
#include "raw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const play_make first[2] = {ask_meta, ask_text}, second[2] = {ask_meta, ask_text};
	struct input input = {data, size};

	if (input_u8(&input) % 2 == 0)
		raw_stream(&input);
	else
		play_run(&input, first, second);
	return 0;
}
