"""A D-Bus connection in the standard library alone, for tests that hold a connection open, read signals and
descriptors, or leave without a word. Types: basic ones, variants, arrays, structs, dictionaries."""
import array
import os
import select
import socket
import struct
import time

FIXED = {'y': ('B', 1), 'b': ('I', 4), 'n': ('h', 2), 'q': ('H', 2), 'i': ('i', 4), 'u': ('I', 4), 'x': ('q', 8),
         't': ('Q', 8), 'd': ('d', 8), 'h': ('I', 4)}
ALIGN = {'s': 4, 'o': 4, 'g': 1, 'v': 1, 'a': 4, '(': 8, '{': 8, **{k: v[1] for k, v in FIXED.items()}}


class Variant:
    def __init__(self, signature, value):
        self.signature, self.value = signature, value


class BusError(Exception):
    def __init__(self, name, text):
        super().__init__(f'{name}: {text}')
        self.name, self.text = name, text


class Lost(Exception):
    """The connection has ended."""


def split(signature):
    """The complete types that a signature is made of."""
    types, at = [], 0
    while at < len(signature):
        start = at
        while signature[at] == 'a':
            at += 1
        if signature[at] in '({':
            depth = 0
            while True:
                depth += {'(': 1, '{': 1, ')': -1, '}': -1}.get(signature[at], 0)
                at += 1
                if depth == 0:
                    break
        else:
            at += 1
        types.append(signature[start:at])
    return types


class Writer:
    def __init__(self):
        self.data = bytearray()

    def pad(self, n):
        self.data += bytes(-len(self.data) % n)

    def put(self, kind, value):
        c = kind[0]
        self.pad(ALIGN[c])
        if c in FIXED:
            self.data += struct.pack('<' + FIXED[c][0], value)
        elif c in 'so':
            raw = value if isinstance(value, bytes) else value.encode()
            self.data += struct.pack('<I', len(raw)) + raw + b'\0'
        elif c == 'g':
            self.data += bytes([len(value)]) + value.encode() + b'\0'
        elif c == 'v':
            self.put('g', value.signature)
            self.put(value.signature, value.value)
        elif c == 'a':
            at = len(self.data)
            self.data += b'\0\0\0\0'
            self.pad(ALIGN[kind[1]])
            start = len(self.data)
            for item in value.items() if isinstance(value, dict) else value:
                self.put(kind[1:], item)
            struct.pack_into('<I', self.data, at, len(self.data) - start)
        else:
            for inner, item in zip(split(kind[1:-1]), value):
                self.put(inner, item)


class Reader:
    def __init__(self, data, fds=()):
        self.data, self.at, self.fds = data, 0, fds

    def get(self, kind):
        c = kind[0]
        self.at += -self.at % ALIGN[c]
        if c in FIXED:
            code, size = FIXED[c]
            value, = struct.unpack_from('<' + code, self.data, self.at)
            self.at += size
            return self.fds[value] if c == 'h' else bool(value) if c == 'b' else value
        if c in 'sog':
            n = self.get('y') if c == 'g' else self.get('u')
            text = self.data[self.at:self.at + n].decode()
            self.at += n + 1
            return text
        if c == 'v':
            return self.get(self.get('g'))
        if c == 'a':
            n = self.get('u')
            self.at += -self.at % ALIGN[kind[1]]
            end, items = self.at + n, []
            while self.at < end:
                items.append(self.get(kind[1:]))
            return dict(items) if kind[1] == '{' else items
        return tuple(self.get(inner) for inner in split(kind[1:-1]))


class Message:
    def __init__(self, kind, serial, headers, body):
        self.kind, self.serial, self.body = kind, serial, body
        self.path, self.interface, self.member = headers.get(1), headers.get(2), headers.get(3)
        self.error, self.reply_to, self.destination, self.sender = (headers.get(i) for i in (4, 5, 6, 7))


class Bus:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.sendall(b'\0AUTH EXTERNAL ' + str(os.getuid()).encode().hex().encode() + b'\r\n')
        assert self.line().startswith(b'OK')
        self.socket.sendall(b'NEGOTIATE_UNIX_FD\r\n')
        assert self.line().startswith(b'AGREE')
        self.socket.sendall(b'BEGIN\r\n')
        self.buffer, self.fds, self.serial, self.messages = b'', [], 0, []
        self.name, = self.call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'Hello')

    def line(self):
        line = b''
        while not line.endswith(b'\r\n'):
            c = self.socket.recv(1)
            assert c, 'the bus hung up'
            line += c
        return line

    def close(self):
        self.socket.close()

    def send(self, destination, path, interface, member, signature='', *args):
        self.serial += 1
        body, w = Writer(), Writer()
        for kind, value in zip(split(signature), args):
            body.put(kind, value)
        headers = [(1, Variant('o', path)), (2, Variant('s', interface)), (3, Variant('s', member)),
                   (6, Variant('s', destination))]
        if signature:
            headers.append((8, Variant('g', signature)))
        w.put('(yyyyuu)', (ord('l'), 1, 0, 1, len(body.data), self.serial))
        w.put('a(yv)', headers)
        w.pad(8)
        self.socket.sendall(w.data + body.data)
        return self.serial

    def parse(self):
        """One whole message from the buffer, or None."""
        if len(self.buffer) < 16:
            return None
        n_body, serial, n_fields = struct.unpack_from('<III', self.buffer, 4)
        n_head = 16 + n_fields
        n_head += -n_head % 8
        if len(self.buffer) < n_head + n_body:
            return None
        r = Reader(self.buffer[:n_head])
        r.at = 12
        headers = dict(r.get('a(yv)'))
        n_fds = headers.get(9, 0)
        fds, self.fds = self.fds[:n_fds], self.fds[n_fds:]
        r = Reader(self.buffer[n_head:n_head + n_body], fds)
        body = tuple(r.get(kind) for kind in split(headers.get(8, '')))
        kind = self.buffer[1]
        self.buffer = self.buffer[n_head + n_body:]
        return Message(kind, serial, headers, body)

    def receive(self, timeout):
        deadline = time.monotonic() + timeout
        while True:
            m = self.parse()
            if m:
                return m
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError
            try:
                data, anc, _, _ = self.socket.recvmsg(1 << 18, socket.CMSG_SPACE(64 * 4))
            except ConnectionError:
                raise Lost from None
            for level, kind, raw in anc:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    a = array.array('i')
                    a.frombytes(raw[:len(raw) - len(raw) % 4])
                    self.fds += list(a)
            if not data:
                raise Lost
            self.buffer += data

    def wait(self, matches, timeout=60):
        """The first message, old or new, for which matches() holds; the others are kept."""
        for i, m in enumerate(self.messages):
            if matches(m):
                return self.messages.pop(i)
        deadline = time.monotonic() + timeout
        while True:
            m = self.receive(max(0, deadline - time.monotonic()))
            if matches(m):
                return m
            self.messages.append(m)

    def reply(self, serial, timeout=60):
        m = self.wait(lambda m: m.reply_to == serial, timeout)
        if m.kind == 3:
            raise BusError(m.error, m.body[0] if m.body else '')
        return m.body

    def call(self, destination, path, interface, member, signature='', *args, timeout=60):
        return self.reply(self.send(destination, path, interface, member, signature, *args), timeout)

    def match(self, rule):
        self.call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'AddMatch', 's', rule)
