/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the text protocol that operators type: parts of text_parse_line(). Many tune what a
 * segment store has not (slab classes, LRU lists, a crawler): such a line is looked at as memcached
 * does and answered, and changes nothing. */
#pragma once

#include "proto/line.h"

enum parse_verdict text_parse_verbosity(const struct line *line, struct request *request,
                                        struct refusal *refusal);
enum parse_verdict text_parse_cache_memlimit(const struct line *line, struct request *request,
                                             struct refusal *refusal);
enum parse_verdict text_parse_slabs(const struct line *line, struct request *request,
                                    struct refusal *refusal);
enum parse_verdict text_parse_lru(const struct line *line, struct request *request,
                                  struct refusal *refusal);
enum parse_verdict text_parse_purge(const struct line *line, struct request *request,
                                    struct refusal *refusal);
#ifdef KANTE_DEBUG_TIME
enum parse_verdict text_parse_debugtime(const struct line *line, struct request *request,
                                        struct refusal *refusal);
#endif
enum parse_verdict text_parse_watch(const struct line *line, struct request *request,
                                    struct refusal *refusal);
/* `words` begin with "cachedump". */
enum parse_verdict text_parse_cachedump(const struct words *words, struct request *request,
                                        struct refusal *refusal);
enum parse_verdict text_parse_lru_crawler(const struct line *line, struct request *request,
                                          struct refusal *refusal);
