/* SPDX-License-Identifier: Apache-2.0 */
/* The meta commands, some classic ones among them. */
#include "play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const play_make says[2] = {ask_meta, ask_text};

	play_input(data, size, says, says);
	return 0;
}
