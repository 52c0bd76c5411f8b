"""A message bus, folders and daemons of one's own, for tests that need D-Bus. Standard library only."""
import os
import shutil
import signal
import subprocess
import tempfile
import time

PATIENCE = 60  # seconds that nothing takes unless it hangs


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("in vain: " + what)
        time.sleep(0.01)


class World:
    """A message bus and folders of one's own; daemons come and go."""

    def __init__(self, inferd):
        self.inferd = inferd
        self.folder = tempfile.mkdtemp(prefix="infer-test-")
        for name in ("home", "run", "state", "models"):
            os.mkdir(os.path.join(self.folder, name), 0o700)
        self.bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address"], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, text=True)
        self.environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "DBUS_SYSTEM_BUS_ADDRESS")}
        self.environment.update(
            HOME=self.path("home"), XDG_RUNTIME_DIR=self.path("run"), XDG_STATE_HOME=self.path("state"), TERM="xterm",
            LC_ALL="C.UTF-8", DBUS_SESSION_BUS_ADDRESS=self.bus.stdout.readline().strip(),
            DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent")
        self.daemon = None
        self.socket = self.path("run/socket")

    def path(self, name):
        return os.path.join(self.folder, name)

    def install(self, name, text="FAKE context=4096"):
        with open(self.path(f"models/{name}.gguf"), "w") as f:
            f.write(text)

    def start(self, **model_section):
        section = {"Directories": self.path("models"), "EmbeddedModel": "", "Model": "echo", **model_section}
        with open(self.path("inferd.conf"), "w") as f:
            f.write("[Model]\n" + "".join(f"{k}={v}\n" for k, v in section.items()))
        log = open(self.path("log"), "a")
        self.daemon = subprocess.Popen([self.inferd, "--user", f"--config={self.path('inferd.conf')}", f"--socket={self.socket}"],
                                       env=self.environment, stdout=log, stderr=log)
        log.close()
        wait_until(self.is_there, "the daemon's name on the bus")

    def busctl(self, *arguments):
        return subprocess.run(["busctl", "--user", *arguments], env=self.environment, capture_output=True, text=True)

    def is_there(self):
        if self.daemon.poll() is not None:
            with open(self.path("log")) as f:
                raise AssertionError("the daemon has ended:\n" + f.read())
        # not `busctl status`, which wants control groups, and some containers lack them
        owned = self.busctl("call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
                            "s", "org.inferd.Inference1")
        return owned.stdout.strip() == "b true"

    def kill_daemon(self, signal_number=signal.SIGTERM):
        if self.daemon:
            self.daemon.send_signal(signal_number)
            self.daemon.wait(PATIENCE)
            self.daemon = None

    def end(self):
        self.kill_daemon()
        self.bus.kill()
        self.bus.wait()
        self.bus.stdout.close()
        shutil.rmtree(self.folder)

    def sessions(self):
        reply = self.busctl("get-property", "org.inferd.Inference1", "/org/inferd/Inference1",
                            "org.inferd.Inference1.Manager", "Sessions")
        return int(reply.stdout.split()[1])
