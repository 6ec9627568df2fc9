/* SPDX-License-Identifier: Apache-2.0 */
/* The control process's way to kanted. It is asked by a line of text, together with one end of a
 * new pair of sockets, into which it answers: so answers are apart, however long they take, and
 * nobody else can ask. What can be asked is in keeper/keeper.h.
 *
 * Owner: the control process's loop. */
#pragma once

#define LINK_FD 3 /* where a control process finds its end of the link when it begins */

#define LINK_LINE_BYTES_MAX 256

/* Asks. 0 with *ret_fd, the other end: a stream socket that does not block, the caller's to close;
 * kanted closes its end when all is said. -EAGAIN: it has too much unanswered; -EPIPE: it is gone;
 * another negative errno: no file descriptors, or no memory. */
int link_ask(int link_fd, const char *line, int *ret_fd);

/* Says something that has no answer. Results likewise. */
int link_tell(int link_fd, const char *line);
