# SPDX-License-Identifier: Apache-2.0
"""Plays conversation scripts (grammar: the head of tests/conversation/run.c) against a server:

    play.py ADDRESS OBSERVER_ADDRESS SCRIPT…

at ADDRESS, port 11211. At OBSERVER_ADDRESS, port 11212, the same server is looked on, and is sent
what a trusted source sends by UDP. Run inside the client's namespace; nobody else may use the
server, which is a debug build: its clock is stopped, and moved where a script says so. What comes
after a request_timeout, which goes by another clock, is not played. All scripts begin with the
same login>, or none does. Prints a line a script, exit status 0: all held.

Before each script the server's items are flushed; its cas uniques go on. Counters are those of
`stats kante`, less what looking on has added to them, once the server has taken all that the script
has sent: nothing waits for a while.
"""
import pathlib
import re
import select
import socket
import struct
import sys
import time

PORT, OBSERVER_PORT = 11211, 11212
SECONDS = 10  # for an answer
NUMBER, REST = re.compile(rb"[0-9]+"), re.compile(rb"[^\r]*")
GROUPS = ("store", "datagram", "shard", "session")  # of counters, the first to be found last
ESCAPE = re.compile(rb"\\(?:x(..)|\{(\d+):([^}]*)\}|(.))", re.S)
LETTERS = {b"r": b"\r", b"n": b"\n", b"#": NUMBER, b"?": REST}


class Failure(Exception):
    pass


def password_of(path):
    """What the user "user" has to log in with, or None."""
    found = re.match(rb"(?:#.*\n)*login> (.*)\n", path.read_bytes())
    return found and found[1]


def parse(text):
    """What a line says, as bytes and wild cards by turns, and whether CR LF is to follow."""
    parts = [b""]

    def add(*more):
        for part in more:
            if isinstance(part, bytes) and isinstance(parts[-1], bytes):
                parts[-1] += part
            else:
                parts.append(part)

    at = 0
    while escape := ESCAPE.search(text, at):
        code, count, repeated, letter = escape.groups()
        add(text[at:escape.start()])
        if letter == b"c":
            return parts, False
        if code:
            add(bytes([int(code, 16)]))
        elif count:
            inner = parse(repeated)[0]
            add(*([inner[0] * int(count)] if len(inner) == 1 else inner * int(count)))
        else:
            add(LETTERS.get(letter, letter))
        at = escape.end()
    add(text[at:])
    return parts, True


def match(parts, said):
    """How many bytes of what was said the parts match from its front; None: more has to come."""
    at = 0
    for part in parts:
        if at == len(said):
            return None
        if isinstance(part, bytes):
            if not said.startswith(part, at):
                if part.startswith(said[at:]):
                    return None
                break
            at += len(part)
        else:
            found = part.match(said, at)
            if not found:
                break
            at = found.end()
    else:
        return at
    raise Failure(f"not the reply expected, got {said[:300]!r}")


class Observer:
    """A client that only looks on."""

    def __init__(self, address, password):
        self.connection = socket.create_connection((address, OBSERVER_PORT), timeout=SECONDS)
        self.own = {"requests": 0, "bytes_read": 0}
        if password:
            login = b"user " + password
            self.expect_line(b"set auth 0 0 %d\r\n%s" % (len(login), login), b"STORED")
        self.expect_line(b"debugtime p", b"OK")

    def expect_line(self, request, wanted):
        reply = self.ask(request + b"\r\n", b"\r\n")
        if reply != wanted + b"\r\n":
            raise Failure(f"to {request!r} the server says {reply!r}")

    def ask(self, request, end):
        reply = b""
        self.connection.sendall(request)
        while not reply.endswith(end):
            part = self.connection.recv(65536)
            if not part:
                raise Failure("the server closed a client that only looked on")
            reply += part
        self.own["requests"] += 1
        self.own["bytes_read"] += len(request)
        return reply

    def counters(self):
        own = dict(self.own)  # a request is counted after its reply was made
        groups = {}
        for group, name, value in re.findall(rb"STAT (\w+):(\w+) (\d+)\r\n",
                                             self.ask(b"stats kante\r\n", b"END\r\n")):
            groups.setdefault(group.decode(), {})[name.decode()] = int(value)
        counters = {}
        for group in GROUPS:
            counters.update(groups[group])
        return {name: value - own.get(name, 0) for name, value in counters.items()}


class Client:
    """A connection that sends and receives as it can."""

    def __init__(self, address):
        self.connection = socket.create_connection((address, PORT), timeout=SECONDS)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.setblocking(False)
        self.said = b""
        self.sent_bytes = 0
        self.closed = None  # "FIN", "RST": by the server

    def receive(self, seconds):
        """Takes what comes; false: nothing did in this time."""
        if not select.select([self.connection], [], [], seconds)[0]:
            return False
        try:
            part = self.connection.recv(1 << 20)
            self.said += part
            if not part:
                self.closed = "FIN"
        except ConnectionError:
            self.closed = "RST"
        return True

    def send(self, data):
        deadline = time.monotonic() + SECONDS
        while data and not self.closed:
            readable, writable, _ = select.select([self.connection], [self.connection], [], SECONDS)
            if readable:
                self.receive(0)
            if writable and not self.closed:
                try:
                    sent = self.connection.send(data)
                except ConnectionError:
                    return  # what was said before that is still to be read
                data = data[sent:]
                self.sent_bytes += sent
                deadline = time.monotonic() + SECONDS
            if time.monotonic() > deadline:
                raise Failure(f"the server does not take {len(data)} bytes")

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Player:
    def __init__(self, observer, address):
        self.observer = observer
        self.address = address
        self.datagrams = {}
        for command, to in ((b"udp>", (address, PORT)),
                            (b"udpt>", observer.connection.getpeername())):
            self.datagrams[command] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.datagrams[command].connect(to)
            self.datagrams[command].settimeout(SECONDS)
        observer.expect_line(b"flush_all", b"OK")
        self.to_send = b""
        self.datagrams_sent = self.datagrams_received = 0
        self.client = None
        self.start = self.connect()
        self.seen = dict(self.start)

    def connect(self):
        """Another client, once nothing of the last one is left; what was counted until then."""
        counters = self.wait(lambda counters: counters["curr_connections"] == 1, "we are alone")
        self.read_before = counters["bytes_read"]
        self.client = Client(self.address)
        self.half_closed = False
        return counters

    def wait(self, holds, what):
        deadline = time.monotonic() + SECONDS
        while not holds(counters := self.observer.counters()):
            if time.monotonic() > deadline:
                raise Failure(f"does not come to hold: {what}")
            if self.client and not self.client.closed:
                self.client.receive(0.001)
            else:
                time.sleep(0.001)
        return counters

    def settle(self):
        """All that was sent has been taken, or will never be."""
        def settled(counters):
            read = counters["bytes_read"] - self.read_before
            datagrams = counters["udp_requests"] - self.start["udp_requests"]
            return (self.client.closed or read >= self.client.sent_bytes) and (
                datagrams == self.datagrams_sent)

        self.wait(settled, "the server has taken all that was sent")

    def expect_reply(self, parts):
        deadline = time.monotonic() + SECONDS
        while (length := match(parts, self.client.said)) is None:
            seconds = deadline - time.monotonic()
            if self.client.closed or seconds < 0 or not self.client.receive(seconds):
                raise Failure(f"no more of the reply than {self.client.said[:300]!r}")
        self.client.said = self.client.said[length:]

    def expect_close(self, finished=False):
        while not self.client.closed:
            if not self.client.receive(SECONDS):
                raise Failure("the client was not closed")
        if self.client.said:
            raise Failure(f"more was said: {self.client.said[:300]!r}")
        if finished and self.client.closed != "FIN":
            raise Failure("a client that had half-closed was reset")

    def expect_counter(self, text):
        name, wanted = text.decode().split()
        if name not in self.seen:
            raise Failure(f"no such counter: {name}")
        self.settle()
        seen = self.seen[name]
        try:
            self.wait(lambda counters: counters[name] == seen + int(wanted), name)
        except Failure:
            raise Failure(f"{name} grew by {self.observer.counters()[name] - seen}") from None
        self.seen[name] = seen + int(wanted)

    def expect_datagram(self, parts):
        try:
            datagram = self.answered.recv(65536)
        except OSError as error:
            raise Failure(f"no datagram was sent: {error}") from None
        self.datagrams_received += 1
        if match(parts, datagram) != len(datagram):
            raise Failure(f"not the datagram expected, got {datagram[:300]!r}")

    def replace_client(self):
        if not self.client.closed:
            self.settle()
        self.client.reset()
        self.client = None
        self.connect()

    def line(self, line):
        command, _, text = line.partition(b" ")
        parts, with_end = parse(b"" if command.startswith(b"#") else text)
        if command == b">>>":
            self.to_send += b"".join(parts) + (b"\r\n" if with_end else b"")
            return
        self.client.send(self.to_send)
        self.to_send = b""
        if command == b"<<<":
            self.expect_reply(parts + [b"\r\n"] if with_end else parts)
        elif command == b"<<|":
            self.expect_close(self.half_closed)
        elif command == b">>|":
            self.client.connection.shutdown(socket.SHUT_WR)
            self.half_closed = True
        elif command == b">>!":
            self.replace_client()
        elif command == b"+++":
            self.expect_counter(text)
        elif command == b"++>":
            self.settle()
            self.observer.expect_line(b"debugtime " + text, b"OK")
        elif command in (b"udp>", b"udpt>"):
            self.answered = self.datagrams[command]
            self.answered.send(b"".join(parts))
            self.datagrams_sent += 1
        elif command == b"udp<":
            self.expect_datagram(parts)
        elif command and not command.startswith(b"#") and command not in (b"login>", b"shards>", b"classes>"):
            raise Failure(f"a line that says nothing: {line!r}")

    def finish(self):
        """Nothing is left that was said and not expected: what is half sent is not answered."""
        self.client.send(self.to_send)
        if not self.client.closed and not self.half_closed:
            self.client.connection.shutdown(socket.SHUT_WR)
        self.expect_close()
        self.settle()
        replies = self.observer.counters()["udp_replies"] - self.start["udp_replies"]
        if replies != self.datagrams_received:
            raise Failure(f"{replies} datagrams were sent, {self.datagrams_received} expected")

    def end(self):
        if self.client:
            self.client.connection.close()
        for sender in self.datagrams.values():
            sender.close()


def play(path, observer, address):
    """How far a script was played, if not to its end."""
    player = Player(observer, address)
    script = path.read_bytes()
    number, rest = 0, ""
    try:
        for number, line in enumerate(script.split(b"\n"), 1):
            if line.startswith(b"++>") and b"closed_request_timeout" in script:
                rest = f" until line {number}, where request_timeout passes"
                break
            player.line(line)
        player.finish()
    except Failure as failure:
        raise Failure(f"{path.name}:{number}: {failure}") from None
    finally:
        player.end()
    return rest


def main():
    address, observer_address, *paths = sys.argv[1:]
    paths = [pathlib.Path(path) for path in paths]
    observer = Observer(observer_address, password_of(paths[0]))
    failed = False
    for path in paths:
        try:
            print(f"ok   {path.name}{play(path, observer, address)}")
        except Failure as failure:
            print(f"FAIL {failure}")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
