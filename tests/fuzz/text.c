/* SPDX-License-Identifier: Apache-2.0 */
/* The text protocol's classic commands, some meta ones among them. */
#include "play.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const play_make says[2] = {ask_text, ask_meta};

	play_input(data, size, says, says);
	return 0;
}
