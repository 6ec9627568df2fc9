/* SPDX-License-Identifier: Apache-2.0 */
/* Between ask_meta.c, which answers meta commands, and ask_meta_make.c, which makes them. */
#pragma once

#include "ask.h"

/* NULL: it has none. */
const struct ask_flag *ask_flag_of(const struct ask *ask, char letter);

void ask_add_base64(struct bytes *bytes, struct slice text);

void ask_meta_answer_get(struct ask *ask, struct model *model, struct bytes *reply);
void ask_meta_answer_store_begin(struct ask *ask, struct model *model, struct bytes *reply);
void ask_meta_answer_store(struct ask *ask, struct model *model, struct bytes *reply);
void ask_meta_answer_delete(struct ask *ask, struct model *model, struct bytes *reply);
void ask_meta_answer_delta(struct ask *ask, struct model *model, struct bytes *reply);
void ask_meta_answer_inspect(struct ask *ask, struct model *model, struct bytes *reply);
void ask_meta_answer_error(struct ask *ask, struct model *model, struct bytes *reply);
