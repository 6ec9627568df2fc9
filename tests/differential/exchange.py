# SPDX-License-Identifier: Apache-2.0
"""Sends bytes to two servers at the same time and reads what comes back, in pieces, without ever
waiting for one to read before the other writes.

A sentinel command ends each unit; its reply, which is the same each time and is no part of any
other reply, says where a unit's replies end, even if there are none."""
import select
import socket
import time

from generate import Dice

SILENT_SECONDS = 10  # the last byte of a reply came that long ago: no more will come
CLOSE_SECONDS = 3    # a connection that has to end ends earlier
PAUSE_SECONDS = 0.0003
PIECE_COUNT = 300  # of the data of one exchange, about
PIECE_COUNT_SLOW = 10
RECEIVE_BYTES = 1 << 18

CLOSED = b"<closed>"
SILENT = b"<nothing more>"


class Connection:
    """To one server; it is opened anew after its end."""

    def __init__(self, address):
        self.address = address
        self.socket = None
        self.pieces = []
        self.received = bytearray()
        self.sentinel = b""
        self.sentinel_count = 0
        self.end = CLOSED  # or SILENT: how it ended; None: it goes on

    def begin(self, pieces, sentinel, sentinel_count):
        """sentinel_count 0: the other side has to end the connection."""
        if self.end is not None:
            self.open()
        self.pieces = pieces[::-1]
        self.received = bytearray()
        self.sentinel = sentinel
        self.sentinel_count = sentinel_count

    def open(self):
        self.close()
        self.socket = socket.create_connection(self.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.end = None

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        self.end = CLOSED

    def send(self, piece_count_max):
        """Sends what the kernel takes, each piece on its own."""
        try:
            while self.pieces and piece_count_max > 0:
                piece = self.pieces.pop()
                sent = self.socket.send(piece)
                if sent < len(piece):
                    self.pieces.append(memoryview(piece)[sent:])
                piece_count_max -= 1
        except BlockingIOError:
            self.pieces.append(piece)
        except (ConnectionResetError, BrokenPipeError):
            self.pieces = []

    def receive(self):
        """Returns whether all has come that will come."""
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        self.received += data
        if not data:
            self.end = CLOSED
            return True
        return (self.sentinel_count > 0 and self.received.endswith(self.sentinel) and
                self.received.count(self.sentinel) >= self.sentinel_count)

    def replies(self):
        """Each unit's, after the exchange. The last one tells when the connection ended."""
        received = bytes(self.received)
        if self.sentinel_count == 0:
            return [received + self.end]
        parts = received.split(self.sentinel)
        rest = parts.pop()
        return parts if self.end is None else parts + [rest + self.end]


def cut(data, piece_max, piece_count, seed):
    """Pieces of 1 … piece_max bytes, or longer ones so that there are not many more than
    piece_count; their sizes depend on the seed only. piece_max 0: one piece."""
    if piece_max == 0:
        return [data]
    piece_max = max(piece_max, 2 * len(data) // piece_count)
    if piece_max == 1:
        return [data[i:i + 1] for i in range(len(data))]
    dice = Dice(seed)
    pieces, at = [], 0
    while at < len(data):
        end = at + 1 + dice.below(piece_max)
        pieces.append(data[at:end])
        at = end
    return pieces


def exchange(pair, slow):
    """Carries on until all replies of a pair of connections have come, or nothing more comes."""
    piece_count_max = 1 if slow else 1 << 30
    seconds = SILENT_SECONDS if pair[0].sentinel_count > 0 else CLOSE_SECONDS
    waiting = {connection.socket.fileno(): connection for connection in pair}
    while waiting:
        poll = select.poll()
        for descriptor, connection in waiting.items():
            if connection.pieces:
                connection.send(piece_count_max)
            poll.register(descriptor, select.POLLIN | (select.POLLOUT if connection.pieces else 0))
        if slow and any(connection.pieces for connection in waiting.values()):
            time.sleep(PAUSE_SECONDS)
        ready = poll.poll(seconds * 1000)
        if not ready:
            for connection in waiting.values():
                connection.end = SILENT
            return
        for descriptor, events in ready:
            if events & ~select.POLLOUT and waiting[descriptor].receive():
                del waiting[descriptor]
