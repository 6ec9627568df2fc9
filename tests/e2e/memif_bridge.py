# SPDX-License-Identifier: Apache-2.0
"""An interface of the kernel's whose frames come and go over a memif, as a client of it:

    memif_bridge.py SOCKET INTERFACE

So any program can be a client of a memif port. Slow, but it sleeps while there is nothing to do,
unlike DPDK's drivers. Run inside the client's namespace; the interface goes when it is killed. The
protocol is that of src/net/memif_protocol.h, without interrupts."""
import contextlib
import fcntl
import mmap
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP_NO_PI = 0x400454ca, 0x1002
ACK, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED = range(1, 8)
VERSION, COOKIE, TO_SERVER, NEXT = 0x200, 0x03e31f20, 1, 1
LOG2 = 8
SLOT_COUNT = 1 << LOG2
BUFFER_BYTES = 2048
RING_BYTES = 128 + 16 * SLOT_COUNT
BUFFERS_AT = 2 * RING_BYTES
REGION_BYTES = -(-(BUFFERS_AT + 2 * SLOT_COUNT * BUFFER_BYTES) // 4096) * 4096
POLL_SECONDS = 0.0005


class Ring:
    """One way; its buffers are where they were put at the start."""

    def __init__(self, region, index):
        self.region = region
        self.numbers = memoryview(region).cast("H")
        self.at = index * RING_BYTES
        self.buffers_at = BUFFERS_AT + index * SLOT_COUNT * BUFFER_BYTES
        struct.pack_into("=I", region, self.at, COOKIE)
        for i in range(SLOT_COUNT):
            self.write_slot(i, BUFFER_BYTES)

    def write_slot(self, count, length):
        i = count % SLOT_COUNT
        struct.pack_into("=HHIII", self.region, self.at + 128 + 16 * i, 0, 0, length,
                         self.buffers_at + i * BUFFER_BYTES, 0)

    def slot(self, count):
        """Flags, and where the bytes are."""
        flags, _, length, offset, _ = struct.unpack_from(
            "=HHIII", self.region, self.at + 128 + 16 * (count % SLOT_COUNT))
        return flags, offset, length

    # By `numbers`, which stores 16 bits at once: struct.pack_into() writes zeros first, and the
    # server sees a head that goes back.

    def head(self):
        return self.numbers[self.at // 2 + 3]

    def set_head(self, count):
        self.numbers[self.at // 2 + 3] = count & 0xffff

    def tail(self):
        return self.numbers[self.at // 2 + 32]


def send(ring, frame):
    head = ring.head()
    if (head - ring.tail()) & 0xffff == SLOT_COUNT:
        return  # lost, as on any link that is full
    ring.write_slot(head, len(frame))
    offset = ring.slot(head)[1]
    ring.region[offset:offset + len(frame)] = frame
    ring.set_head(head + 1)


def receive(ring):
    """The frames that have come; their room is given back."""
    taken = (ring.head() - SLOT_COUNT) & 0xffff
    frame = b""
    while taken != ring.tail():
        flags, offset, length = ring.slot(taken)
        frame += ring.region[offset:offset + length]
        if not flags & NEXT:
            yield frame
            frame = b""
        ring.write_slot(taken, BUFFER_BYTES)
        taken = (taken + 1) & 0xffff
        ring.set_head(taken + SLOT_COUNT)


def reason_of(message):
    """Why the server has hung up."""
    return message[6:].rstrip(b"\0").decode()


def attach(path, memory):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(path)

    def hear(wanted):
        message = server.recv(128)
        if not message or struct.unpack_from("=H", message)[0] != wanted:
            raise ConnectionError(f"memif: not attached: {reason_of(message)}")

    def say(kind, answer, content, descriptors=()):
        with contextlib.suppress(BrokenPipeError):  # then it has said why
            socket.send_fds(server, [struct.pack("=H126s", kind, content)], descriptors)
        hear(answer)

    hear(HELLO)
    say(INIT, ACK, struct.pack("=HIB", VERSION, 0, 0))
    say(ADD_REGION, ACK, struct.pack("=HQ", 0, REGION_BYTES), [memory])
    for index, flags in enumerate((TO_SERVER, 0)):
        say(ADD_RING, ACK, struct.pack("=HHHIBH", flags, 0, 0, index * RING_BYTES, LOG2, 0))
    say(CONNECT, CONNECTED, b"")
    return server


def main():
    path, interface = sys.argv[1:]
    memory = os.memfd_create("memif", os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, REGION_BYTES)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    region = mmap.mmap(memory, REGION_BYTES)
    to_server, to_client = Ring(region, 0), Ring(region, 1)
    to_client.set_head(SLOT_COUNT)
    server = None
    while not server:
        try:
            server = attach(path, memory)
        except ConnectionError as error:  # 5 s to attach in are short on a busy machine: once more
            print(error, file=sys.stderr)
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", interface.encode(), IFF_TAP_NO_PI))
    while True:
        ready = select.select([tap, server], [], [], POLL_SECONDS)[0]
        if server in ready:
            reason = reason_of(server.recv(128))
            sys.exit(0 if reason == "kanted stops" else f"memif: the server left: {reason}")
        if tap in ready:
            send(to_server, os.read(tap, BUFFER_BYTES))
        for frame in receive(to_client):
            try:
                os.write(tap, frame)
            except OSError:
                pass  # the interface is not up yet


main()
