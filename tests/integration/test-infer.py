"""The command as people and scripts use it: on pipes and on terminals, with and without a daemon; on the engine without a
model, which echoes the prompt. Arguments: infer, inferd-fake."""
import errno
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import termios
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import PATIENCE, World, wait_until  # noqa: E402

INFER, INFERD = sys.argv[1:3]
USAGE, DATAERR, NOINPUT, UNAVAILABLE, IOERR, TEMPFAIL, INTERRUPTED = 64, 65, 66, 69, 74, 75, 130


class Terminal:
    """infer on a terminal: what it prints so far is in `output`."""

    def __init__(self, world, *arguments, **environment):
        self.master, slave = pty.openpty()
        self.output = ""
        self.process = subprocess.Popen(
            [INFER, *arguments], env={**world.environment, **environment}, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=self.own_terminal)
        os.close(slave)

    @staticmethod
    def own_terminal():
        import fcntl
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # nohup, and a shell for what it runs in the background, have some of these ignored
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    def type(self, text):
        os.write(self.master, text.encode())

    def key(self, text):
        """Types at the prompt, once keys are keys there: libedit writes the prompt before it takes the terminal over."""
        wait_until(lambda: not termios.tcgetattr(self.master)[3] & termios.ICANON, "the line editor takes over")
        self.type(text)

    def read_more(self):
        if not select.select([self.master], [], [], 0.05)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError as e:
            if e.errno != errno.EIO:  # nobody has it open any more
                raise
            return False
        self.output += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def await_text(self, text, since=0):
        end = time.monotonic() + PATIENCE
        while text not in self.output[since:]:
            if not self.read_more() or time.monotonic() > end:
                raise AssertionError(f"{text!r} did not come; there is {self.output[since:]!r}")
        return self.output[since:]

    def turn(self, text, answer):
        """Types a line and waits for what follows it."""
        since = len(self.output)
        self.type(text + "\n")
        return self.await_text(answer, since)

    def finish(self):
        """The exit status when everything has been read."""
        end = time.monotonic() + PATIENCE
        while self.read_more():
            if time.monotonic() > end:
                self.process.kill()
                raise AssertionError(f"infer did not end; there is {self.output!r}")
        os.close(self.master)
        return self.process.wait(PATIENCE)


class InferTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(INFERD)
        cls.addClassCleanup(cls.world.end)
        cls.world.install("echo")

    def run_infer(self, *arguments, stdin="", **more):
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        done = subprocess.run([INFER, *arguments], env={**self.world.environment, **more}, input=data, capture_output=True,
                              timeout=PATIENCE)
        return done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode()

    def check(self, arguments, code, out=None, err=None, **more):
        """`out` exactly; `err` a regular expression that occurs in what is complained."""
        got = self.run_infer(*arguments, **more)
        self.assertEqual(got[0], code, got)
        if out is not None:
            self.assertEqual(got[1], out)
        if err is None:
            self.assertEqual(got[2], "")
        else:
            self.assertRegex(got[2], err)
        return got


class WithoutDaemon(InferTest):
    def test_says_how_to_start_it(self):
        self.check(["hi"], UNAVAILABLE, "", "^infer: inferd is not running: systemctl --user start inferd.socket\n$")
        for verb in (["models"], ["status"], ["tokens", "x"], ["load", "x"], ["unload"], ["chat"]):
            self.check(verb, UNAVAILABLE, "", "inferd is not running")

    def test_says_that_there_is_no_bus(self):
        self.check(["--bus=system", "hi"], UNAVAILABLE, "", "cannot reach the system's message bus")
        self.check(["--bus=user", "hi"], UNAVAILABLE, "", "cannot reach your session's message bus",
                   DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent")
        self.check(["hi"], UNAVAILABLE, "", "message bus", DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent")

    def test_needs_none_for_help(self):
        code, out, err = self.run_infer("--help")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("Usage: infer", out)
        self.assertIn("--temperature", out)
        self.assertIn("/var/lib/inferd/models", self.run_infer("models", "--help")[1])
        self.assertRegex(self.run_infer("--version")[1], r"^infer \d+\.\d+\.\d+\n$")

    def test_wrong_command_lines(self):
        for arguments, sentence in (
                (["--frob"], "no option --frob"), (["--seed"], "--seed needs a value"), (["--seed=x", "hi"], "--seed takes"),
                (["what", "is", "-5"], "put -- before"), (["models", "of", "cars"], "infer -- models of"),
                (["load"], "load needs a name"), (["status", "--seed=1"], "--seed has no meaning for infer status"),
                (["chat", "--json"], "--json has no meaning"), ([], "nothing to ask"), ([" ", "\n"], "nothing to ask"),
                (["-"], "nothing to ask")):
            self.check(arguments, USAGE, "", re.escape(sentence))


class Answers(InferTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world.start()

    def test_prints_the_answer(self):
        self.check(["good", "morning"], 0, "echo: good morning\n")
        self.check(["--", "status", "of", "it"], 0, "echo: status of it\n")
        self.check(["Xin chào 🙂"], 0, "echo: Xin chào 🙂\n")

    def test_standard_input_is_context(self):
        self.check(["explain"], 0, "echo: a diff\n\nexplain\n", stdin="a diff\n")
        self.check(["-"], 0, "echo: all of it\n", stdin="all of it\n")
        self.check([], 0, "echo: all of it\n", stdin="all of it\n")

    def test_input_that_is_not_text_is_replaced_with_a_remark(self):
        self.check(["-"], 0, "echo: caf\uFFFD\n", "1 places of standard input are not UTF-8", stdin=b"caf\xe9")
        self.check(["-"], 0, "echo: a\uFFFDb\n", "not UTF-8", stdin=b"a\0b")

    def test_no_standard_input(self):
        done = subprocess.run(f"exec '{INFER}' hi <&-", shell=True, env=self.world.environment, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, "echo: hi\n"))

    def test_a_pipe_gets_control_characters_and_no_reasoning(self):
        self.check(["\033[2J"], 0, "echo: \033[2J\n")
        self.check(["/think hm"], 0, "echo: /think hm\n")
        self.check(["--show-reasoning", "/think hm"], 0, "<think>\nhm\n</think>\n\necho: /think hm\n")

    def test_json(self):
        code, out, err = self.run_infer("--json", "/think hm")
        answer = json.loads(out)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual((answer["text"], answer["reasoning"], answer["finish-reason"]), ("echo: /think hm", "hm", "stop"))
        self.assertEqual(answer["usage"]["completion-tokens"], len("hm" + "echo: /think hm"))
        self.assertEqual(json.loads(self.run_infer("--json", "--max-tokens=2", "x")[1])["finish-reason"], "length")

    def test_no_stream(self):
        self.check(["--no-stream", "hi"], 0, "echo: hi\n")
        self.check(["--no-stream", "--show-reasoning", "/think a"], 0, "<think>\na\n</think>\n\necho: /think a\n")

    def test_streams(self):
        process = subprocess.Popen([INFER, "/slow 100 /long 1000"], env=self.world.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE)
        self.assertEqual(os.read(process.stdout.fileno(), 1), b"x")
        self.assertIsNone(process.poll())
        process.terminate()
        process.wait(PATIENCE)
        process.stdout.close()
        wait_until(lambda: self.world.sessions() == 0, "the session of a dead client to end")

    def test_a_reader_that_leaves_ends_it(self):
        process = subprocess.Popen([INFER, "/long 100000000"], env=self.world.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE)
        self.assertTrue(os.read(process.stdout.fileno(), 10))
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE), -signal.SIGPIPE)

    def test_a_reader_that_waits_makes_the_model_wait(self):
        process = subprocess.Popen([INFER, "/long 2000000"], env=self.world.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE)
        self.assertTrue(os.read(process.stdout.fileno(), 10))
        time.sleep(0.5)
        with open(f"/proc/{self.world.daemon.pid}/status") as f:
            before = int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])
        self.assertLess(before, 1000000)
        rest = process.stdout.read()
        process.stdout.close()
        self.assertEqual((len(rest), process.wait(PATIENCE)), (2000000 - 10 + 1, 0))

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            for arguments in (["hi"], ["--json", "hi"], ["--no-stream", "hi"], ["models"], ["status"], ["--help"]):
                done = subprocess.run([INFER, *arguments], env=self.world.environment, stdin=subprocess.DEVNULL, stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
                self.assertEqual(done.returncode, IOERR, arguments)
                self.assertRegex(done.stderr, "cannot write")

    def test_a_dead_daemon_is_an_error(self):
        process = subprocess.Popen([INFER, "/slow 50 /long 10000"], env=self.world.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(os.read(process.stdout.fileno(), 1), b"x")
        self.world.kill_daemon(signal.SIGKILL)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, UNAVAILABLE)
        self.assertRegex(out.decode(), "^x*\n$")
        self.assertRegex(err.decode(), "inferd went away before it had answered; try again")
        self.world.start()

    def test_errors_of_the_daemon(self):
        self.check(["--top-p=7", "hi"], USAGE, "", 'Option "top-p" must be a number from 0 to 1')
        self.check(["--priority=high", "hi"], USAGE, "", "interactive, normal or background")
        self.check(["/fail"], TEMPFAIL, "", "No pages became free in time")
        self.check(["--timeout=0.3", "/hang"], TEMPFAIL, "", ".")
        self.check(["-"], DATAERR, "", r"\d+", stdin="word " * 10000)
        self.check(["-"], DATAERR, "", "longer than 16 MB", stdin=b"x" * (17 << 20))
        self.check(["load", "nothing"], NOINPUT, "", 'No model "nothing" is installed')
        self.check(["load", "../nothing"], USAGE, "", "not the name of an installed model")

    def test_ten_at_once_get_what_they_get_alone(self):
        wanted = {i: f"echo: {'abc' * i} {i}\n" for i in range(1, 11)}
        got = {}

        def ask(i):
            kinds = [], ["--no-stream"], ["--json"]
            out = self.run_infer(*kinds[i % 3], f"/slow 2 {'abc' * i} {i}")[1]
            got[i] = json.loads(out)["text"] + "\n" if i % 3 == 2 else out

        threads = [threading.Thread(target=ask, args=(i,)) for i in wanted]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(got, wanted)

    def test_models_status_tokens(self):
        self.world.install("bad\033[2J", "not a model")
        code, out, err = self.run_infer("models")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^ +NAME +SIZE +TYPE +CONTEXT")
        self.assertRegex(out, r"(?m)^\*  echo +17 B +F32 +4096 +fake +MIT")
        self.assertRegex(out, r"(?m)unusable:")
        self.assertNotIn("\033", out)
        os.unlink(self.world.path("models/bad\033[2J.gguf"))

        models = json.loads(self.run_infer("models", "--json")[1])
        self.assertEqual([(m["name"], m["loaded"], m["size"]) for m in models], [("echo", True, 17)])
        self.assertRegex(self.run_infer("status")[1], r"(?m)^Availability +ready\nModel +echo \(fake, F32\)$")
        status = json.loads(self.run_infer("--json", "status")[1])
        self.assertEqual((status["Availability"], status["Model"]["name"]), ("ready", "echo"))
        self.check(["tokens", "four"], 0, "4\n")
        self.check(["tokens", "--json"], 0, '{"tokens": 5}\n', stdin="five\n")
        self.check(["tokens", "--", "--json"], 0, "6\n")

    def test_load_and_unload(self):
        self.world.install("second")
        self.check(["load", "second"], 0, "")
        self.assertRegex(self.run_infer("models")[1], r"(?m)^\*  second")
        self.check(["unload"], 0, "")
        self.check(["hi"], UNAVAILABLE, "", "infer load NAME")
        self.check(["load", "echo"], 0, "")
        self.check(["hi"], 0, "echo: hi\n")
        os.unlink(self.world.path("models/second.gguf"))


class Embedded(InferTest):
    def test_is_mentioned_once(self):
        os.rename(self.world.path("models/echo.gguf"), self.world.path("built-in.gguf"))
        self.world.start(EmbeddedModel=self.world.path("built-in.gguf"), Model="")
        self.check(["hi"], 0, "echo: hi\n", "built-in model(.|\n)*infer models --help")
        self.check(["hi"], 0, "echo: hi\n")
        # where nothing can be remembered it is said each time, and nothing else goes wrong
        self.check(["hi"], 0, "echo: hi\n", "built-in model", XDG_STATE_HOME="/dev/null/x")
        self.assertRegex(self.run_infer("models")[1], r"(?m)^\*.*built in")


class OnTerminal(InferTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world.start()

    def test_reasoning_is_dimmed_and_nothing_drives_the_terminal(self):
        t = Terminal(self.world, "/think h\033]0;x\007m")
        self.assertEqual(t.finish(), 0)
        self.assertEqual(t.output, "\033[2mh␛]0;x␇m\n\033[0m\necho: /think h␛]0;x␇m\n")

        for arguments, environment in ((["--no-color"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})):
            t = Terminal(self.world, *arguments, "/think hm", **environment)
            self.assertEqual(t.finish(), 0)
            self.assertEqual(t.output, "<think>\nhm\n</think>\n\necho: /think hm\n")

        t = Terminal(self.world, "--hide-reasoning", "/think hm")
        self.assertEqual(t.finish(), 0)
        self.assertEqual(t.output, "echo: /think hm\n")

    def test_ctrl_c_ends_an_answer(self):
        t = Terminal(self.world, "/slow 20 /long 100000")
        t.await_text("xx")
        t.type("\003")
        self.assertEqual(t.finish(), INTERRUPTED)
        t = Terminal(self.world, "/hang")
        wait_until(lambda: self.world.sessions() == 1, "the session to begin")
        time.sleep(0.2)
        t.type("\003")
        # before the turn has begun the signal itself ends the process
        self.assertIn(t.finish(), (INTERRUPTED, -signal.SIGINT))
        wait_until(lambda: self.world.sessions() == 0, "the session to end")

    def test_ctrl_c_is_heard_while_the_reader_does_not_read(self):
        read, write = os.pipe()
        process = subprocess.Popen([INFER, "/long 1000000"], env=self.world.environment, stdin=subprocess.DEVNULL, stdout=write)
        os.close(write)
        wait_until(lambda: select.select([read], [], [], 0)[0], "the answer to begin")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), INTERRUPTED)
        os.close(read)

    def test_without_words_it_helps(self):
        t = Terminal(self.world)
        self.assertEqual(t.finish(), USAGE)
        self.assertIn("Usage: infer", t.output)

    def chat(self, *arguments):
        t = Terminal(self.world, "chat", *arguments)
        t.await_text("> ")
        return t

    def test_chat(self):
        t = self.chat()
        t.turn("good morning", "echo: good morning\n")
        t.await_text("> ")
        used = int(re.search(r"(\d+) of 4096 tokens", t.turn("/context", " tokens"))[1])
        self.assertGreater(used, len("good morning"))
        t.turn("first \\", ". ")
        t.turn("second", "echo: first \nsecond\n")
        t.turn("//slow 1 x", "echo: x\n")
        t.turn("/set temperature hot", "takes a number")
        t.turn("/set max-tokens 4", "> ")
        settings = t.turn("/set", "give up after")
        self.assertRegex(settings, r"(?m)^\* max-tokens +4$")
        self.assertRegex(settings, r"(?m)^\* priority +interactive$")
        self.assertRegex(settings, r"(?m)^  seed +the same seed")
        t.turn("abc", "echo\n")
        t.turn("/set max-tokens", "> ")
        t.turn("/system", "(none)")
        t.turn("/system be brief", "> ")
        t.turn("/system", "be brief\n")
        t.turn("/undo", "taken back: abc")
        t.turn("/retry", "echo: x\n")
        t.turn("/new", "> ")
        t.turn("/undo", "nothing to take back")
        t.turn("/frob", "no command /frob")
        t.turn("/help", "/retry")
        t.key("\004")
        self.assertEqual(t.finish(), 0)

        history = self.world.path("state/inferd/history")
        self.assertEqual(stat.S_IMODE(os.stat(history).st_mode), 0o600)
        with open(history) as f:
            self.assertIn("good\\040morning", f.read())

        t = self.chat()
        since = len(t.output)
        t.key("\020")  # the previous line
        t.await_text("/help", since)
        t.key("\003")
        t.await_text("(Ctrl-D leaves)\n> ", since)
        t.key("\004")
        self.assertEqual(t.finish(), 0)

    def test_ctrl_c_keeps_the_conversation(self):
        t = self.chat()
        t.turn("remember me", "echo: remember me\n")
        t.turn("//slow 20 /long 100000", "xxx")
        t.type("\003")
        t.await_text("cancelled")
        t.turn("and now", "echo: and now\n")
        context = t.turn("/context", " tokens")
        self.assertGreater(int(re.search(r"(\d+) of", context)[1]), len("remember me") + len("and now"))
        self.assertEqual(self.world.sessions(), 1)

        t.key("half a line\003")
        t.await_text("(Ctrl-D leaves)")
        t.turn("whole", "echo: whole\n")
        t.turn("/quit", "")
        self.assertEqual(t.finish(), 0)
        self.assertNotIn("half a line", t.output.split("(Ctrl-D leaves)")[1])

    def test_ended_at_the_prompt_it_gives_the_interrupt_key_back(self):
        for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
            t = self.chat()
            t.key("half a line")
            self.assertNotEqual(termios.tcgetattr(t.master)[6][termios.VINTR], b"\003")
            t.process.send_signal(number)
            self.assertEqual(t.process.wait(PATIENCE), -number)
            self.assertEqual(termios.tcgetattr(t.master)[6][termios.VINTR], b"\003")
            t.finish()

    def test_chat_outlives_the_daemon(self):
        t = self.chat()
        t.turn("one", "echo: one\n")
        before = t.turn("/context", " tokens")
        self.world.kill_daemon(signal.SIGKILL)
        t.turn("two", "inferd")
        self.world.start()
        t.turn("three", "echo: three\n")
        after = t.turn("/context", " tokens")
        count = lambda text: int(re.search(r"(\d+) of 4096", text)[1])
        self.assertEqual(count(after) - count(before), len("three\nuser: assistant: echo: three\n"))
        t.turn("/quit", "")
        self.assertEqual(t.finish(), 0)

    def test_chat_from_a_pipe(self):
        self.check(["chat"], 0, "echo: one\necho: two\nthree\n", stdin="one\ntwo\\\nthree\n")
        self.check(["chat"], TEMPFAIL, "echo: one\n", "No pages", stdin="one\n//fail\nthree\n")


if __name__ == "__main__":
    del sys.argv[1:3]
    unittest.main(verbosity=1)
