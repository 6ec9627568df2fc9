/* SPDX-License-Identifier: Apache-2.0 */
/* The binary protocol, and somebody who speaks text to the same cache. */
#include "play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const play_make first[2] = {ask_binary, ask_binary};
	static const play_make second[2] = {ask_text, ask_meta};

	play_input(data, size, first, second);
	return 0;
}
