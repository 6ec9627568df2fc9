/* SPDX-License-Identifier: Apache-2.0 */
/* What an auditor asks of the audit log: a report over a span of time. */
#pragma once

#include "control/audit.h"

#define AUDIT_REPORT_ROWS_MAX 5000 /* of a section; what comes after is counted only */

enum audit_standard {
	AUDIT_SOX,     /* who changed what, who had access, what was refused */
	AUDIT_GDPR,    /* who saw personal data, erasures, access to them */
	AUDIT_PCI_DSS, /* requirement 10: accesses, logins that failed, keys' life, the log itself
	                */
};

/* False: no such standard ("sox", "gdpr", "pci-dss"). */
bool audit_standard_parse(enum audit_standard *ret_standard, const char *name);

/* The report as one object: standard, title, node, from, to, made (times), chain (of the whole log:
 * verified, lines, files, first_seq, last_seq, hash, fault_count and the first 100 faults), counts
 * (of the span: lines, events, that is lines by their count, and kinds: events by kind and result)
 * and sections. A section has id, title, asks, lines, events, left_out_lines (which no row tells
 * of), layout and rows, which are: "list": lines as they are in the log, without prev and hash;
 * "sources" and "people": what several lines have in common, and count, lines, first, last (times),
 * seq and last_seq. from_us and to_us: Unix time in microseconds; to is not part of it. `node`: its
 * name. 0 with *ret_report to be json_decref()ed; a negative errno with `error` filled in. A broken
 * chain is in the report and no error. */
int audit_report_make(json_t **ret_report, const char *directory, const char *node,
                      enum audit_standard standard, uint64_t from_us, uint64_t to_us,
                      uint64_t now_us, char *error, size_t error_bytes);

/* The same as text for a terminal of 80 columns or more, and as an HTML page without anything from
 * elsewhere, in light and dark, fit to be printed. To be free()d; NULL: no memory. */
char *audit_report_text(const json_t *report);
char *audit_report_html(const json_t *report);
