"""Clients of all kinds at once, on real models: each gets exactly the bytes that it gets alone, and the goldens' story is the
same whoever asks for it. Arguments: inferd, infer, the folder of the logits goldens, the embedded model."""
import json
import os
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import PATIENCE, World  # noqa: E402

INFERD, INFER, GOLDENS, EMBEDDED = map(os.path.abspath, sys.argv[1:5])
STORY = os.path.join(GOLDENS, "models/stories260K.gguf")
MANAGER = ["org.inferd.Inference1", "/org/inferd/Inference1", "org.inferd.Inference1.Manager"]


class MixedTest(unittest.TestCase):
    model = None

    @classmethod
    def setUpClass(cls):
        cls.world = World(INFERD)
        cls.addClassCleanup(cls.world.end)
        cls.world.start(Model=cls.model)

    def run_client(self, *command, stdin=""):
        done = subprocess.run(command, env=self.world.environment, input=stdin, capture_output=True, text=True,
                              timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, (command, done.stdout, done.stderr))
        return done.stdout

    # Each returns the text alone. The options make sampling depend on nothing but the seed.

    def infer(self, prompt, n, *more):
        return self.run_client(INFER, "--seed=7", f"--max-tokens={n}", *more, prompt)

    def infer_json(self, prompt, n):
        return json.loads(self.infer(prompt, n, "--json"))["text"]

    def infer_chat(self, prompt, n):
        return self.run_client(INFER, "chat", "--seed=7", f"--max-tokens={n}", stdin=prompt + "\n")

    def busctl(self, prompt, n):
        reply = self.run_client("busctl", "--user", "--json=short", "--timeout=60", "call", *MANAGER, "Generate", "sa{sv}", prompt,
                                "2", "seed", "t", "7", "max-tokens", "u", str(n))
        return json.loads(reply)["data"][0]

    def curl(self, path, body):
        return self.run_client("curl", "-sSfN", "--unix-socket", self.world.socket, "http://localhost" + path, "-d",
                               json.dumps(body))

    def curl_chat(self, prompt, n):
        answer = self.curl("/v1/chat/completions", {"messages": [{"role": "user", "content": prompt}], "seed": 7, "max_tokens": n})
        return json.loads(answer)["choices"][0]["message"]["content"]

    def curl_stream(self, prompt, n):
        answer = self.curl("/v1/chat/completions", {"messages": [{"role": "user", "content": prompt}], "seed": 7, "max_tokens": n,
                                                    "stream": True})
        events = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith("data: {")]
        return "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])

    def kinds(self):
        return {"infer": self.infer, "infer at once": lambda p, n: self.infer(p, n, "--no-stream"), "infer --json": self.infer_json,
                "infer chat": self.infer_chat, "busctl": self.busctl, "curl": self.curl_chat, "curl, a stream": self.curl_stream}

    def check_together(self, prompts, n):
        """Ten clients: the kinds in turn, each with a prompt of its own and one that all share."""
        kinds = list(self.kinds().items())
        clients = [(*kinds[i % len(kinds)], prompts[i % len(prompts)]) for i in range(10)]
        alone = [ask(prompt, n) for _, ask, prompt in clients]
        together = [None] * len(clients)

        def run(i):
            together[i] = clients[i][1](clients[i][2], n)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(len(clients))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for (kind, _, prompt), a, b in zip(clients, alone, together):
            self.assertEqual(a, b, f"{kind}: {prompt}")
        self.assertTrue(all(text.strip() for text in alone))
        # infer ends the line
        self.assertEqual(len({ask(prompts[0], n).rstrip("\n") for _, ask in kinds}), 1)


class Story(MixedTest):
    model = STORY

    def test_everybody_is_told_the_same_story(self):
        with open(os.path.join(GOLDENS, "index.json")) as f:
            golden = next(entry for entry in json.load(f) if entry["model"] == "models/stories260K.gguf")
        tokens = golden["tokens"] + golden["greedy"]
        text = json.loads(self.curl("/detokenize", {"tokens": tokens}))["content"]
        prompt = golden["prompt"]
        story = text[text.index(prompt) + len(prompt):]
        n = len(golden["greedy"])

        self.assertEqual(self.run_client(INFER, "--temperature=0", f"--max-tokens={n}", prompt), story + "\n")
        reply = self.run_client("busctl", "--user", "--json=short", "call", *MANAGER, "Generate", "sa{sv}", prompt, "2",
                                "temperature", "d", "0", "max-tokens", "u", str(n))
        self.assertEqual(json.loads(reply)["data"][0], story)
        answer = self.curl("/v1/completions", {"prompt": prompt, "temperature": 0, "max_tokens": n})
        self.assertEqual(json.loads(answer)["choices"][0]["text"], story)

    def test_ten_at_once_get_what_they_get_alone(self):
        self.check_together(["Once upon a time", "Lily and Tom went to the park. " * 8, "A big red ball", "One day a dog"], 60)


class Embedded(MixedTest):
    model = EMBEDDED

    def test_ten_at_once_get_what_they_get_alone(self):
        self.check_together(["What is 17 + 25?", "What is 130 - 47?", "Sort 5, 3, 9.", "Reverse the word lamp."], 200)

    def test_a_session_follows_up(self):
        out = self.run_client(INFER, "chat", "--temperature=0", stdin="What is 17 + 25?\nNow add 5.\n")
        alone = self.run_client(INFER, "--temperature=0", "What is 17 + 25?")
        self.assertEqual(out.splitlines()[0], alone.strip())
        self.assertEqual(len(out.splitlines()), 2)


if __name__ == "__main__":
    del sys.argv[1:5]
    unittest.main(verbosity=1)
