"""The embedded model answers 100 questions that its training never saw, over D-Bus and over the socket at the same
time: nearly all right, and the same on both. Arguments: inferd, the embedded model, the folder
with the questions' generator."""
import concurrent.futures
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True
INFERD, EMBEDDED, TRAIN = map(os.path.abspath, sys.argv[1:4])
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), TRAIN]
from evaluation import everyday, held_out_questions  # noqa: E402
from inferd import UnixConnection  # noqa: E402
from world import World, wait_until  # noqa: E402

SEED = "integration"  # not that of the accuracy table
SHARES = {"addition": 14, "subtraction": 14, "comparison": 8, "sorting": 7, "counting letters": 7, "reversing words": 8,
          "weekdays": 8, "word problems": 12, "multiplication": 3, "letter case": 2, "minutes": 1, "vietnamese": 1,
          "several terms": 3, "division": 3, "numbers in words": 2, "word length": 1, "even and odd": 1}
REFUSALS = 5
NEEDED = 95
FLIGHTS = 6  # on each way
REQUEST_TIMEOUT = 240  # a slow machine is no failure
TOKENS = 400


def all_questions():
    for skill, count in SHARES.items():
        yield from held_out_questions(skill, count, SEED)
    yield from list(everyday())[::300 // REFUSALS][:REFUSALS]


class EmbeddedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(INFERD)
        cls.addClassCleanup(cls.world.end)
        cls.world.start(Model="", EmbeddedModel=EMBEDDED)

    def over_bus(self, text):
        reply = self.world.busctl(
            "--json=short", f"--timeout={REQUEST_TIMEOUT}", "call", "org.inferd.Inference1", "/org/inferd/Inference1",
            "org.inferd.Inference1.Manager", "Generate", "sa{sv}", text, "2", "temperature", "d", "0", "max-tokens",
                                  "u",
            str(TOKENS))
        if reply.returncode != 0:
            raise AssertionError(f"busctl on {text!r}: {reply.stderr}")
        answer, result = json.loads(reply.stdout)["data"]
        return answer.strip(), result["reasoning"]["data"].strip()

    def over_socket(self, text):
        connection = UnixConnection(self.world.socket, REQUEST_TIMEOUT)
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(
                {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": TOKENS}))
            response = connection.getresponse()
            body = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise AssertionError(f"the socket on {text!r}: {body}")
        message = body["choices"][0]["message"]
        return message["content"].strip(), message["reasoning_content"].strip()

    def test_it_says_what_it_is(self):
        def model():
            reply = self.world.busctl("--json=short", "get-property", "org.inferd.Inference1", "/org/inferd/Inference1",
                                      "org.inferd.Inference1.Manager", "Model")
            return {k: v["data"] for k, v in json.loads(reply.stdout)["data"].items()}
        wait_until(lambda: model().get("loaded"), "the model")
        self.assertTrue(model()["embedded"], model())

    def test_fresh_questions_on_both_ways_at_once(self):
        questions = list(all_questions())
        self.assertEqual(len(questions), 100)
        texts = [q["messages"][0]["content"] for q in questions]
        pool = concurrent.futures.ThreadPoolExecutor
        with pool(FLIGHTS) as bus, pool(FLIGHTS) as socket:
            asked = [(bus.submit(self.over_bus, t), socket.submit(self.over_socket, t)) for t in texts]
            replies = [(b.result(), s.result()) for b, s in asked]
        for text, (by_bus, by_socket) in zip(texts, replies):
            self.assertEqual(by_bus, by_socket, text)
            self.assertTrue(by_bus[1], f"no reasoning: {text}")
        wrong = [f"{t!r}: {answer!r}, not {q['answer']!r}"
                 for q, t, ((answer, _), _) in zip(questions, texts, replies) if answer != q["answer"]]
        print(f"{100 - len(wrong)} of 100 are right", *wrong, sep="\n")
        self.assertGreaterEqual(100 - len(wrong), NEEDED)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
