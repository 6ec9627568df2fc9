/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for the operator, one line each, on stderr: under a journal with the syslog level that
 * systemd reads (sd-daemon(3)), elsewhere after the program's name.
 *
 * Any thread may call; a line goes out in one write(2). Never from a datapath, and never about what
 * a peer has sent: that gets a counter. */
#pragma once

/* The values are syslog's. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
};

/* Longer lines are cut; control bytes become '?', so that one message stays one line. */
void log_message(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Every line of `text` as a message of its own: for the faults of a config. */
void log_lines(enum log_level level, const char *text);

#define log_error(...)   log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_message(LOG_LEVEL_INFO, __VA_ARGS__)
