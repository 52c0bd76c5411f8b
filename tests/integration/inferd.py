"""Starts a daemon of its own for a test: private folder, private socket, no bus. Standard library only."""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """`models`: name -> path of a file to link, or bytes of a fake one; the first is served. `settings` go into the
    configuration, section -> {key: value}."""

    def __init__(self, binary, models, settings=None, arguments=()):
        self.terminated = False
        self.folder = tempfile.mkdtemp(prefix="inferd-test-")
        self.socket = os.path.join(self.folder, "s")
        directory = os.path.join(self.folder, "models")
        os.mkdir(directory)
        for name, model in models.items():
            path = os.path.join(directory, name + ".gguf")
            if isinstance(model, bytes):
                with open(path, "wb") as f:
                    f.write(model)
            else:
                os.symlink(os.path.abspath(model), path)
        sections = {"Model": {"Directories": directory, "Model": next(iter(models), "")}}
        for section, keys in (settings or {}).items():
            sections.setdefault(section, {}).update(keys)
        config = os.path.join(self.folder, "inferd.conf")
        with open(config, "w") as f:
            for section, keys in sections.items():
                f.write(f"[{section}]\n" + "".join(f"{k}={v}\n" for k, v in keys.items() if v != ""))
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen(
            [binary, "--user", "--no-bus", f"--config={config}", f"--socket={self.socket}", *arguments],
            stdout=self.log, stderr=self.log)

    def wait_ready(self, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.get("/health")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError("inferd did not become ready:\n" + self.log_text())

    def log_text(self):
        self.log.seek(0)
        return self.log.read()

    def terminate(self):
        if self.process.poll() is None and not self.terminated:
            self.terminated = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """Ends the daemon; returns its exit status."""
        self.terminate()
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.log.close()
        shutil.rmtree(self.folder)
        return status

    def raw(self, timeout=30):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect(self.socket)
        return s

    def connection(self, timeout=60):
        return UnixConnection(self.socket, timeout)

    def request(self, method, path, body=None, headers=None):
        """Returns status, headers and the body, decoded when it is JSON."""
        c = self.connection()
        try:
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            data = r.read()
            if data and (r.getheader("Content-Type") or "").startswith("application/json"):
                data = json.loads(data)
            return r.status, r.headers, data
        finally:
            c.close()

    def get(self, path):
        status, _, data = self.request("GET", path)
        return status, data

    def post(self, path, body):
        status, _, data = self.request("POST", path, body)
        return status, data

    def stream(self, path, body):
        """Returns an open connection and its response, of which events() reads; the response closes both."""
        c = self.connection()
        c.request("POST", path, json.dumps({**body, "stream": True}))
        return c, c.getresponse()

    def metric(self, name, labels=""):
        for line in self.get("/metrics")[1].decode().splitlines():
            if line.startswith(f"inferd_{name}{labels} "):
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(name + labels)

    def wait_metric(self, name, value, labels="", seconds=30):
        """Waits for what must become true; how long it takes decides nothing."""
        end = time.monotonic() + seconds
        while self.metric(name, labels) != value:
            if time.monotonic() > end:
                raise AssertionError(f"{name}{labels} is {self.metric(name, labels)}, not {value}")
            time.sleep(0.01)


def events(response):
    """The data of server-sent events, decoded; comments as they are."""
    for line in response:
        line = line.decode().rstrip("\n")
        if line.startswith("data: "):
            yield line[6:] if line == "data: [DONE]" else json.loads(line[6:])
        elif line:
            yield line


def chat(text, **fields):
    return {"messages": [{"role": "user", "content": text}], **fields}
