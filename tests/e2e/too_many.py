# SPDX-License-Identifier: Apache-2.0
"""Opens as many connections as may be, by turns to each address, and one more to each, which must
be refused in memcached's words; afterwards the places are free again: too_many.py LIMIT ADDRESS…"""
import socket
import sys
import time

REFUSAL = b"ERROR Too many open connections\r\n"


def ask(connection):
    connection.sendall(b"version\r\n")
    return connection.recv(4096)


def main():
    limit, addresses = int(sys.argv[1]), sys.argv[2:]
    opened = []
    for i in range(limit):
        connection = socket.create_connection((addresses[i % len(addresses)], 11211), timeout=5)
        assert ask(connection).startswith(b"VERSION"), "refused below the limit"
        opened.append(connection)
    for address in addresses:
        with socket.create_connection((address, 11211), timeout=5) as connection:
            said = b""
            while part := connection.recv(4096):
                said += part
            assert said == REFUSAL, (address, said)
    for connection in opened:
        connection.close()
    deadline = time.monotonic() + 5
    while True:
        with socket.create_connection((addresses[0], 11211), timeout=5) as connection:
            if ask(connection).startswith(b"VERSION"):
                return
        assert time.monotonic() < deadline, "places are not given back"


if __name__ == "__main__":
    main()
