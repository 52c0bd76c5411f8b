"""Embeddings over the socket, from an encoder of random weights; and who refuses what.
Arguments: inferd, make-tiny-encoder, the embedded model."""
import base64
import math
import os
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from inferd import Daemon, chat  # noqa: E402

BINARY, MAKE, DECODER = sys.argv[1:4]
URL = "/v1/embeddings"


class Encoder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        path = os.path.join(cls.folder.name, "tiny.gguf")
        subprocess.run([MAKE, path], check=True)
        cls.daemon = Daemon(BINARY, {"tiny": path}).wait_ready()

    @classmethod
    def tearDownClass(cls):
        assert cls.daemon.stop() == 0, "inferd did not end well"
        cls.folder.cleanup()

    def embed(self, text, **fields):
        status, answer = self.daemon.post(URL, {"input": text, **fields})
        self.assertEqual(status, 200, answer)
        return answer

    def refused(self, words, **body):
        status, answer = self.daemon.post(URL, body)
        self.assertEqual(status, 400, answer)
        self.assertIn(words, answer["error"]["message"])

    def test_one_text(self):
        answer = self.embed("the cat sat")
        self.assertEqual((answer["object"], answer["model"], len(answer["data"])), ("list", "tiny", 1))
        self.assertEqual(answer["usage"], {"prompt_tokens": 5, "total_tokens": 5})
        vector = answer["data"][0]["embedding"]
        self.assertEqual(len(vector), 24)
        self.assertAlmostEqual(math.hypot(*vector), 1, 5)

    def test_many_texts_in_order(self):
        texts = ["the cat", "a dog", "the cat sat on the mat", "a dog"]
        answer = self.embed(texts, model="tiny")
        self.assertEqual([d["index"] for d in answer["data"]], [0, 1, 2, 3])
        alone = [self.embed(t)["data"][0]["embedding"] for t in texts]
        self.assertEqual([d["embedding"] for d in answer["data"]], alone, "company does not matter")
        self.assertNotEqual(alone[0], alone[1])

    def test_token_ids(self):
        text = self.embed("the cat")["data"][0]["embedding"]
        self.assertEqual(self.embed([2, 4, 5, 3])["data"][0]["embedding"], text)
        two = self.embed([[2, 4, 5, 3], [2, 9, 3]])["data"]
        self.assertEqual((len(two), two[0]["embedding"]), (2, text))

    def test_base64(self):
        numbers = self.embed("a mat", encoding_format="float")["data"][0]["embedding"]
        text = self.embed("a mat", encoding_format="base64")["data"][0]["embedding"]
        floats = struct.unpack("<24f", base64.b64decode(text, validate=True))
        for a, b in zip(numbers, floats):
            self.assertAlmostEqual(a, b, 7)

    def test_refusals(self):
        self.refused("'dimensions'", input="a", dimensions=8)
        self.refused("'encoding_format'", input="a", encoding_format="int8")
        self.refused("'input'", input=[])
        self.refused("'input'", input="")
        self.refused("'input'", input=[{}])
        self.refused("'input'")
        self.refused("9 more", input="cat " * 71)
        self.refused("vocabulary", input=[1000000])
        self.assertEqual(self.daemon.post(URL, {"input": "a", "model": "none"})[0], 404)

    def test_generates_nothing(self):
        for path, body in [("/v1/chat/completions", chat("the cat")), ("/v1/completions", {"prompt": "the cat"})]:
            status, answer = self.daemon.post(path, body)
            self.assertEqual((status, answer["error"]["code"]), (400, "unsupported"), answer)
            self.assertIn("embeddings", answer["error"]["message"])


class Decoder(unittest.TestCase):
    def test_embeds_nothing(self):
        daemon = Daemon(BINARY, {"decoder": DECODER}).wait_ready()
        status, answer = daemon.post(URL, {"input": "the cat"})
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual((status, answer["error"]["code"]), (400, "unsupported"), answer)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
