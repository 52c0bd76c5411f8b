"""The two services that are measured side by side, each with private folders and sockets, and what the kernel says of
their processes. Standard library only."""
import array
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

PATIENCE = 300


class Process:
    """What /proc says of a process."""

    def __init__(self, process):
        self.process, self.pid = process, process.pid

    def read(self, name):
        with open(f"/proc/{self.pid}/{name}") as f:
            return f.read()

    def threads(self):
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            yield tid, self.read(f"task/{tid}/comm").strip()

    def cpu(self, wanted):
        """Seconds that the threads whose name satisfies wanted() have run."""
        return sum(int(self.read(f"task/{tid}/schedstat").split()[0]) for tid, name in self.threads() if wanted(name)) * 1e-9

    def wakeups(self):
        total = 0
        for tid, _ in self.threads():
            for line in self.read(f"task/{tid}/status").splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
        return total

    def memory(self):
        """Bytes resident: of mapped files, private to the process, and of that in its largest mapping (the KV pool)."""
        files = private = largest = largest_size = 0
        size = anonymous = 0
        for line in self.read("smaps").splitlines():
            key, _, value = line.partition(":")
            if key == "Size":
                size = int(value.split()[0])
            elif key == "Rss":
                rss = int(value.split()[0])
            elif key == "Anonymous":
                anonymous = int(value.split()[0])
                private += anonymous
                files += rss - anonymous
                if anonymous == rss and size > largest_size:
                    largest, largest_size = anonymous, size
        return {"files": files << 10, "private": private << 10, "largest": largest << 10}

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


def skip_value(f, kind):
    """Moves over one metadata value of a GGUF file."""
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    if kind == 8:
        f.seek(struct.unpack("<Q", f.read(8))[0], 1)
    elif kind == 9:
        item, n = struct.unpack("<IQ", f.read(12))
        if item in sizes:
            f.seek(sizes[item] * n, 1)
        else:
            for _ in range(n):
                skip_value(f, item)
    else:
        f.seek(sizes[kind], 1)


def find_token_types(path):
    """Offset and number of the token types in a GGUF file."""
    with open(path, "rb") as f:
        n_keys, = struct.unpack("<Q", f.read(24)[16:])
        for _ in range(n_keys):
            key = f.read(struct.unpack("<Q", f.read(8))[0])
            kind, = struct.unpack("<I", f.read(4))
            if key == b"tokenizer.ggml.token_type":
                _, n = struct.unpack("<IQ", f.read(12))
                return f.tell(), n
            skip_value(f, kind)
    return None, 0


def with_text(path, folder):
    """A model of random weights says control tokens most of the time, which are never shown, so nobody could see when
    they come: a copy in which all tokens have a text. Any other model as it is."""
    at, n = find_token_types(path)
    if at is None:
        return path
    with open(path, "rb") as f:
        f.seek(at)
        types = array.array("i", f.read(4 * n))
    if types.count(3) < n / 2:
        return path
    copy = os.path.join(folder, os.path.basename(path))
    shutil.copyfile(path, copy)
    with open(copy, "r+b") as f:
        f.seek(at)
        f.write(array.array("i", [1] * n).tobytes())
    return copy


class Inferd(Process):
    """A daemon on a bus of its own, timed until it says READY."""

    def __init__(self, binary, model, threads):
        self.folder = tempfile.mkdtemp(prefix="inferd-bench-")
        self.socket_path = os.path.join(self.folder, "s")
        self.bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address"], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True)
        address = self.bus.stdout.readline().strip()
        self.bus_path = address.split("unix:path=")[1].split(",")[0]
        config = os.path.join(self.folder, "inferd.conf")
        with open(config, "w") as f:
            f.write(f"[Model]\nModel={model}\nDirectories={self.folder}\nEmbeddedModel=\n[Engine]\nThreads={threads}\n"
                    "PoolSize=1G\n[Socket]\nIdleTimeout=1h\n")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(os.path.join(self.folder, "notify"))
        notify.settimeout(PATIENCE)
        environment = {**os.environ, "HOME": self.folder, "XDG_RUNTIME_DIR": self.folder, "XDG_STATE_HOME": self.folder,
                       "NOTIFY_SOCKET": os.path.join(self.folder, "notify"), "DBUS_SESSION_BUS_ADDRESS": address}
        self.log = open(os.path.join(self.folder, "log"), "w+")
        started = time.monotonic()
        super().__init__(subprocess.Popen([binary, "--user", f"--config={config}", f"--socket={self.socket_path}"],
                                          env=environment, stdout=self.log, stderr=self.log))
        while b"READY=1" not in notify.recv(4096):
            pass
        self.ready = time.monotonic() - started
        notify.close()

    def transport(self):
        """Seconds of the threads that do not compute."""
        return self.cpu(lambda name: name not in ("inferd-engine", "inferd-worker"))

    def stop(self):
        super().stop()
        self.bus.kill()
        self.bus.wait()
        self.bus.stdout.close()
        self.log.close()
        shutil.rmtree(self.folder)


class LlamaServer(Process):
    def __init__(self, binary, model, threads, flags):
        self.folder = tempfile.mkdtemp(prefix="peer-bench-")
        self.socket_path = os.path.join(self.folder, "llama.sock")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        started = time.monotonic()
        super().__init__(subprocess.Popen(
            [binary, "-m", model, "-t", str(threads), "--host", self.socket_path, *flags], stdout=self.log, stderr=self.log))
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() - started > PATIENCE:
                self.log.seek(0)
                raise RuntimeError("llama-server did not become ready:\n" + self.log.read()[-2000:])
            time.sleep(0.02)
        self.ready = time.monotonic() - started

    def healthy(self):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(self.socket_path)
            s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in s.recv(4096)
        except OSError:
            return False
        finally:
            s.close()

    def transport(self):
        return 0

    def stop(self):
        super().stop()
        self.log.close()
        shutil.rmtree(self.folder)
