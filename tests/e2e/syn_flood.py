# SPDX-License-Identifier: Apache-2.0
"""Sends SYNs from made-up sources: syn_flood.py INTERFACE MAC ADDRESS COUNT A_SECOND

For tests, inside of a network namespace: whoever is asked must live there."""
import errno
import socket
import struct
import sys
import time

BURST = 100


def folded(total):
    while total >> 16:
        total = (total >> 16) + (total & 0xffff)
    return total


def words(data):
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def send(link, frame):
    """A veth whose ring is full says so (Linux 6.16 and later), when the other end's core was taken
    away for a moment: the frame goes again."""
    while True:
        try:
            link.send(frame)
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            time.sleep(0.001)


def main():
    interface, mac, address, count, rate = sys.argv[1:]
    count, rate = int(count), int(rate)
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((interface, 0))
    to = socket.inet_aton(address)
    ethernet = bytes.fromhex(mac.replace(":", "")) + link.getsockname()[4] + b"\x08\x00"
    ip = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 44, 0, 0x4000, 64, 6, 0,
                               b"\x0a\x00\x00\x00", to))
    tcp = bytearray(struct.pack("!HHIIBBHHHBBH", 0, 11211, 1, 0, 0x60, 2, 65535, 0, 0, 2, 4, 1460))
    ip_sum = words(ip)
    tcp_sum = words(tcp) + words(ip[12:20]) + 6 + len(tcp)
    start = time.monotonic()
    for i in range(count):
        low, port = i & 0xffff, 1024 + (i >> 4) % 60000
        struct.pack_into("!H", ip, 14, low)
        struct.pack_into("!H", ip, 10, 0xffff ^ folded(ip_sum + low))
        struct.pack_into("!H", tcp, 0, port)
        struct.pack_into("!H", tcp, 16, 0xffff ^ folded(tcp_sum + low + port))
        send(link, ethernet + ip + tcp)
        if i % BURST == 0:
            time.sleep(max(0, start + i / rate - time.monotonic()))
    print(f"{count} SYNs in {time.monotonic() - start:.1f} s")


main()
