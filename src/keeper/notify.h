/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager that has started kanted, and is told how it does: systemd, by sd_notify(3).
 * Own lines, as libsystemd would bring five libraries into the datapath's process for one
 * datagram. Owner: the main thread. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int fd; /* -1: nobody wants to hear of us */
	struct sockaddr_un address;
	socklen_t address_bytes;
	uint64_t watchdog_us; /* he takes us for dead after that long without a word; 0: never */
};

/* Takes what the environment says of him out of it, so that no child speaks in kanted's name: to be
 * called before any thread is made. What cannot be understood is logged. */
void notify_create(struct notify *notify);
void notify_destroy(struct notify *notify);

/* Lines such as "READY=1\nSTATUS=serves", as for printf. */
void notify_send(const struct notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
