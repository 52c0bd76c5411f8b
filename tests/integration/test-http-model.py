"""The socket with real models: the goldens' story, the embedded model's sums, and many clients at once.
Arguments: inferd, the folder of the logits goldens, the embedded model."""
import json
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from inferd import Daemon, chat, events  # noqa: E402

BINARY, GOLDENS, EMBEDDED = sys.argv[1:4]
STORY = os.path.join(GOLDENS, "models/stories260K.gguf")


def golden(model):
    with open(os.path.join(GOLDENS, "index.json")) as f:
        return next(entry for entry in json.load(f) if entry["model"] == model)


def text_of(response, field="content"):
    """A stream's text, and its last usage."""
    text, usage = "", None
    for e in events(response):
        if isinstance(e, dict):
            usage = e.get("usage") or usage
            for c in e["choices"]:
                text += c["text"] if "text" in c else c["delta"].get(field) or ""
    return text, usage


class Story(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(BINARY, {"stories260K": STORY}).wait_ready()

    @classmethod
    def tearDownClass(cls):
        assert cls.daemon.stop() == 0, "inferd did not end well"

    def complete(self, **fields):
        status, answer = self.daemon.post("/v1/completions", {"temperature": 0, "max_tokens": 32, **fields})
        self.assertEqual(status, 200, answer)
        return answer

    def test_the_same_story_as_the_golden(self):
        g = golden("models/stories260K.gguf")
        tokens = self.daemon.post("/tokenize", {"content": g["prompt"], "add_special": True})[1]["tokens"]
        self.assertEqual(tokens, g["tokens"])
        pieces = self.daemon.post("/detokenize", {"tokens": g["tokens"] + g["greedy"]})[1]["content"]
        story = pieces[len(self.daemon.post("/detokenize", {"tokens": g["tokens"]})[1]["content"]):]
        for prompt in [g["prompt"], g["tokens"]]:
            self.assertEqual(self.complete(prompt=prompt)["choices"][0]["text"], story)
            c, r = self.daemon.stream("/v1/completions", {"prompt": prompt, "temperature": 0, "max_tokens": 32})
            self.assertEqual(text_of(r)[0], story)
            c.close()

    def test_logprobs(self):
        g = golden("models/stories260K.gguf")
        answer = self.complete(prompt=g["prompt"], logprobs=3)
        logprobs = answer["choices"][0]["logprobs"]
        self.assertEqual("".join(logprobs["tokens"]), answer["choices"][0]["text"])
        for token, logprob, top, offset in zip(*(logprobs[k] for k in [
                "tokens", "token_logprobs", "top_logprobs", "text_offset"])):
            self.assertEqual((len(top), max(top, key=top.get)), (3, token), "greedy takes the likeliest")
            self.assertEqual(top[token], logprob)
            self.assertEqual(answer["choices"][0]["text"][offset:offset + len(token)], token)

    def test_logprobs_of_a_chat(self):
        fields = {"temperature": 0, "max_tokens": 5, "logprobs": True, "top_logprobs": 2}
        answer = self.daemon.post("/v1/chat/completions", chat("Tell", **fields))[1]["choices"][0]
        whole = answer["logprobs"]["content"]
        self.assertEqual(b"".join(bytes(entry["bytes"]) for entry in whole).decode(), answer["message"]["content"])
        for entry in whole:
            self.assertEqual(entry["top_logprobs"][0]["token"], entry["token"])
            self.assertEqual(bytes(entry["bytes"]).decode(), entry["token"])
        c, r = self.daemon.stream("/v1/chat/completions", chat("Tell", **fields))
        streamed = [entry for e in events(r) if isinstance(e, dict)
                    for entry in (e["choices"][0]["logprobs"] or {"content": []})["content"]]
        c.close()
        self.assertEqual(streamed, whole)

    def test_usage(self):
        prompt = "Once upon a time there was a " + "big " * 100
        whole = self.complete(prompt=prompt)["usage"]
        self.assertEqual(whole["total_tokens"], whole["prompt_tokens"] + whole["completion_tokens"])
        self.assertEqual(whole["completion_tokens"], 32)
        c, r = self.daemon.stream("/v1/completions", {"prompt": prompt, "temperature": 0, "max_tokens": 32,
                                                      "stream_options": {"include_usage": True}})
        usage = text_of(r)[1]
        c.close()
        self.assertGreater(usage["prompt_tokens_details"]["cached_tokens"], 0, "the prompt was seen before")
        for k in ["prompt_tokens", "completion_tokens", "total_tokens"]:
            self.assertEqual(usage[k], whole[k])

    def test_choices_differ_and_can_be_repeated(self):
        fields = {"prompt": "Once upon a time", "n": 3, "seed": 7, "temperature": 1}
        texts = [c["text"] for c in self.complete(**fields)["choices"]]
        self.assertEqual(len(set(texts)), 3, texts)
        self.assertEqual([c["text"] for c in self.complete(**fields)["choices"]], texts)

    def test_stop(self):
        text = self.complete(prompt="Once upon a time")["choices"][0]["text"]
        stop = text[len(text) // 2:][:6]
        answer = self.complete(prompt="Once upon a time", stop=[stop])["choices"][0]
        self.assertEqual((answer["text"], answer["finish_reason"]), (text[:text.index(stop)], "stop"))

    def test_logit_bias(self):
        greedy = golden("models/stories260K.gguf")["greedy"][0]
        prompt = golden("models/stories260K.gguf")["tokens"]
        usual = self.complete(prompt=prompt, max_tokens=1)["choices"][0]["text"]
        other = self.complete(prompt=prompt, max_tokens=1, logit_bias={str(greedy): -100})["choices"][0]["text"]
        self.assertNotEqual(usual, other)
        status, answer = self.daemon.post("/v1/completions", {"prompt": "x", "logit_bias": {"4000000": 1}})
        self.assertEqual(status, 400, answer)

    def test_a_context_overflow_says_by_how_much(self):
        for stream in [False, True]:
            status, answer = self.daemon.post("/v1/completions", {"prompt": "big " * 100000, "stream": stream})
            self.assertEqual((status, answer["error"]["code"]), (400, "context_length_exceeded"))
            self.assertRegex(answer["error"]["message"], r"99,\d{3} more")

    def test_a_client_that_leaves(self):
        label = '{transport="http",outcome="cancelled"}'
        before = self.daemon.metric("requests_total", label)
        c, r = self.daemon.stream("/v1/completions", {"prompt": "Once upon a time", "n": 8, "ignored": True})
        next(events(r))
        r.close()
        c.close()
        self.daemon.wait_metric("requests_active", 0)  # what runs is counted by step, and may be 0 before and after
        self.assertGreater(self.daemon.metric("requests_total", label), before)

    def test_ten_clients_at_once_get_what_they_get_alone(self):
        def ask(i):
            body = {"max_tokens": 40, "temperature": 1 if i % 3 else 0, "seed": i}
            path = "/v1/chat/completions" if i % 2 else "/v1/completions"
            body.update(chat(f"Story number {i}") if i % 2 else {"prompt": f"One day, {i} children"})
            if i % 4 < 2:
                c, r = self.daemon.stream(path, body)
                text = text_of(r)[0]
                c.close()
                return text
            choice = self.daemon.post(path, body)[1]["choices"][0]
            return choice["text"] if "text" in choice else choice["message"]["content"]
        alone = [ask(i) for i in range(10)]
        together = [None] * 10

        def keep(i):
            together[i] = ask(i)
        for _ in range(3):
            threads = [threading.Thread(target=keep, args=[i]) for i in range(10)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(together, alone)


class Embedded(unittest.TestCase):
    def test_reasons_and_answers(self):
        d = Daemon(BINARY, {"tiny-r1": EMBEDDED}).wait_ready()
        self.addCleanup(lambda: self.assertEqual(d.stop(), 0))
        _, answer = d.post("/v1/chat/completions", chat("What is 17 + 25?", temperature=0))
        message = answer["choices"][0]["message"]
        self.assertEqual(message["content"].strip(), "42")
        self.assertTrue(message["reasoning_content"])
        self.assertNotIn("think>", message["reasoning_content"])
        self.assertGreater(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 0)
        for field, text in [("content", message["content"]), ("reasoning_content", message["reasoning_content"])]:
            c, r = d.stream("/v1/chat/completions", chat("What is 17 + 25?", temperature=0))
            self.assertEqual(text_of(r, field)[0], text)
            c.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
