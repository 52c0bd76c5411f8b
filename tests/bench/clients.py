"""Clients that only watch the clock: each notes when pieces of its answer come. All of them are served by one loop, since
on a small machine every thread of the measurement takes time from what is measured. Standard library only."""
import json
import os
import select
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from minibus import Bus, Lost, Variant  # noqa: E402

NAME, PATH, INTERFACE = "org.inferd.Inference1", "/org/inferd/Inference1", "org.inferd.Inference1."
PATIENCE = 900  # seconds that nothing takes unless it hangs


class Client:
    """`times`: of each piece of text; `started`, `ended`."""

    def __init__(self):
        self.times, self.started, self.ended, self.error = [], None, None, None

    def first(self):
        return self.times[0] - self.started

    def gaps(self):
        return [b - a for a, b in zip(self.times, self.times[1:])]


class SocketClient(Client):
    """A stream of /v1/completions, from inferd or from llama-server: both speak the same."""

    def __init__(self, path, prompt, n_tokens, **fields):
        super().__init__()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        body = json.dumps({"prompt": prompt, "max_tokens": n_tokens, "stream": True, "temperature": 0.8, **fields})
        self.request = (f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}").encode()
        self.buffer, self.status = b"", b""

    def start(self):
        self.started = time.monotonic()
        self.socket.sendall(self.request)

    def fileno(self):
        return self.socket.fileno()

    def readable(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        now = time.monotonic()
        if not data:
            self.ended = now
            return
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            if not self.status:
                self.status = line
            if line.startswith(b"data: {") and b'"text":""' not in line:
                self.times.append(now)
            elif line.startswith(b"data: [DONE]") or line.startswith(b'{"error"'):
                self.error = None if line.startswith(b"data") else line.decode()
                self.ended = now

    def close(self):
        self.socket.close()


class BusClient(Client):
    """A turn of a session of its own, by signals."""

    def __init__(self, path, prompt, n_tokens, **options):
        super().__init__()
        self.bus, self.prompt = Bus(path), prompt
        self.options = {"max-tokens": Variant("u", n_tokens), **{k: Variant("s", v) for k, v in options.items()}}
        self.session, = self.bus.call(NAME, PATH, INTERFACE + "Manager", "CreateSession", "a{sv}", {})

    def start(self):
        self.started = time.monotonic()
        self.bus.send(NAME, self.session, INTERFACE + "Session", "Respond", "sa{sv}", self.prompt, self.options)

    def fileno(self):
        return self.bus.socket.fileno()

    def readable(self):
        try:
            message = self.bus.receive(1)
            while message:
                self.take(message)
                message = self.bus.parse()
        except TimeoutError:
            pass
        except Lost:
            self.ended = time.monotonic()

    def take(self, message):
        if message.kind == 3:
            self.error = f"{message.error}: {message.body[0]}"
            self.ended = time.monotonic()
        elif message.member == "Delta":
            self.times.append(time.monotonic())
        elif message.member == "Finished":
            self.ended = time.monotonic()

    def close(self):
        self.bus.close()


def start(clients):
    for c in clients:
        c.start()


def serve(clients, until):
    """Reads from all that have not ended until the condition holds or none is left."""
    end = time.monotonic() + PATIENCE
    while not until():
        alive = [c for c in clients if c.started is not None and c.ended is None]
        if not alive:
            return
        ready = select.select(alive, [], [], max(0, end - time.monotonic()))[0]
        if not ready:
            raise TimeoutError("no client has got anything for a long time")
        for c in ready:
            c.readable()


def run(clients):
    """Starts them together and waits for all."""
    start(clients)
    serve(clients, lambda: False)
    for c in clients:
        c.close()
        if c.error or not c.times:
            raise RuntimeError(c.error or "a client got no text: " + getattr(c, "status", b"").decode())
    return clients
