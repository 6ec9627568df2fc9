# SPDX-License-Identifier: Apache-2.0
"""Opens connections that each send half a request and then wait to be closed:

    half_requests.py ADDRESS COUNT A_SECOND LIMIT_SECONDS [VALUE_BYTES]

One in four each: half a line, half the value of a set, half a head of the binary protocol, half a
value in it. With VALUE_BYTES all announce a set of so many and send one of them. Run inside the client's namespace. Prints one JSON object when all have been closed, or
LIMIT_SECONDS after the last was opened, not counting the time that this client was ready to run and
the machine did not let it ("starved"); points in time are of the monotonic clock."""
import errno
import json
import os
import pathlib
import resource
import select
import socket
import struct
import sys
import time

PORT = 11211
VALUE_BYTES = 200
CONNECTING_MAX = 200  # at once
BINARY_SET = struct.pack("!BBHBBHIIQII", 0x80, 0x01, 4, 8, 0, 0, 8 + 4 + VALUE_BYTES, 0, 0, 0, 0)
HALVES = (
    b"get half-a-key",
    b"set half 0 0 %d\r\n" % VALUE_BYTES + b"x" * (VALUE_BYTES // 2),
    BINARY_SET[:12],
    BINARY_SET + b"half" + b"x" * (VALUE_BYTES // 2),
)


def starved():
    """Seconds that this process has waited for a core."""
    return int(pathlib.Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


class Crowd:
    def __init__(self, address, halves):
        self.address = address
        self.halves = halves
        self.epoll = select.epoll()
        self.connecting = {}
        self.waiting = {}  # by file descriptor: connection, when it sent its half
        self.opened = 0
        self.last_sent = self.first_closed = self.last_closed = None
        self.waits = []  # seconds from half a request to its end
        self.ends = {"FIN": 0, "RST": 0, "answered": 0, "failed": 0}

    def open(self):
        connection = socket.socket()
        connection.setblocking(False)
        error = connection.connect_ex((self.address, PORT))
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, os.strerror(error))
        self.epoll.register(connection, select.EPOLLOUT)
        self.connecting[connection.fileno()] = connection
        self.opened += 1

    def send_half(self, descriptor):
        connection = self.connecting.pop(descriptor)
        now = time.monotonic()
        try:
            connection.send(self.halves[(len(self.waits) + len(self.waiting)) %
                                        len(self.halves)])
        except OSError:
            self.end("failed", descriptor, connection)
            return
        self.epoll.modify(connection, select.EPOLLIN)
        self.waiting[descriptor] = connection, now
        self.last_sent = now

    def hear(self, descriptor):
        connection, sent = self.waiting[descriptor]
        try:
            end = "answered" if connection.recv(100) else "FIN"
        except ConnectionError:
            end = "RST"
        del self.waiting[descriptor]
        self.last_closed = time.monotonic()
        self.first_closed = self.first_closed or self.last_closed
        self.waits.append(self.last_closed - sent)
        self.end(end, descriptor, connection)

    def end(self, how, descriptor, connection):
        self.ends[how] += 1
        self.epoll.unregister(descriptor)
        connection.close()

    def turn(self, seconds):
        for descriptor, _ in self.epoll.poll(seconds):
            if descriptor in self.connecting:
                self.send_half(descriptor)
            else:
                self.hear(descriptor)


def main():
    address, count, rate, limit, *value_bytes = sys.argv[1], *map(int, sys.argv[2:])
    halves = [b"set half 0 0 %d\r\nx" % value_bytes[0]] if value_bytes else HALVES
    wanted = count + 100
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (wanted, max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    os.nice(5)  # what others wait for is to be the server, not this client
    crowd = Crowd(address, halves)
    start = time.monotonic()
    while crowd.opened < count or crowd.connecting or (
            crowd.waiting and time.monotonic() < crowd.last_sent + limit + starved()):
        due = min(count, (time.monotonic() - start) * rate)
        while crowd.opened < due and len(crowd.connecting) < CONNECTING_MAX:
            crowd.open()
        # once all wait, it does not wake up for nothing: others are being measured
        crowd.turn(0.005 if crowd.opened < count else 0.2)
    waits = sorted(crowd.waits) or [None]
    print(json.dumps({
        "started": start, "last_sent": crowd.last_sent, "first_closed": crowd.first_closed,
        "last_closed": crowd.last_closed, "shortest": waits[0], "median": waits[len(waits) // 2],
        "longest": waits[-1], "starved": starved(), "left": len(crowd.waiting), **crowd.ends}))


main()
