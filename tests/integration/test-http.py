"""The socket as clients see it, friendly and hostile ones; on the engine without a model. Argument: inferd-fake."""
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from inferd import Daemon, chat, events  # noqa: E402

BINARY = sys.argv[1]
MODELS = {"alpha": b"FAKE context=4096", "beta": b"FAKE context=4096"}
with open(BINARY, "rb") as f:
    SANITIZED = b"__asan_init" in f.read()
BODY_LIMIT = 1024 * 1024
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def read_all(s):
    data = b""
    try:
        while piece := s.recv(65536):
            data += piece
    except ConnectionResetError:
        pass  # the daemon closed while bytes of ours lay unread
    return data


def read_reply(s):
    """One reply: head and, as far as Content-Length goes, body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = s.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = int((re.search(rb"(?i)content-length: (\d+)", head) or [0, b"0"])[1])
    while len(body) < length:
        piece = s.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


class HttpTest(unittest.TestCase):
    settings = {"Socket": {"MaxBody": str(BODY_LIMIT), "IdleTimeout": "30s", "PingInterval": "200ms"}}

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(BINARY, MODELS, cls.settings).wait_ready()

    @classmethod
    def tearDownClass(cls):
        assert cls.daemon.stop() == 0, "inferd did not end well"

    def setUp(self):
        self.assertEqual(self.daemon.get("/health")[0], 200)

    def tearDown(self):
        # nothing lost, nobody else disturbed
        status, answer = self.daemon.post("/v1/chat/completions", chat("still here"))
        self.assertEqual(status, 200)
        self.assertEqual(answer["choices"][0]["message"]["content"], "echo: still here")

    def raw(self, request, timeout=30):
        s = self.daemon.raw(timeout)
        try:
            s.sendall(request)
        except BrokenPipeError:
            pass
        return s

    def assertStatus(self, reply, status):
        self.assertTrue(reply.startswith(b"HTTP/1.1 %d " % status), reply[:200])

    def assertRefused(self, body, status=400, param=None, code=None, path="/v1/chat/completions", says=""):
        got, answer = self.daemon.post(path, body)
        self.assertEqual(got, status, answer)
        error = answer["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertEqual(error["param"], param)
        if code:
            self.assertEqual(error["code"], code)
        self.assertIn(says, error["message"])


class Protocol(HttpTest):
    def test_chunk_sizes_that_are_none(self):
        for size in [b"-2", b"0x2", b"zz", b"fffffffffffffffff", b""]:
            with self.raw(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + size +
                          b"\r\nab\r\n0\r\n\r\n") as s:
                s.shutdown(socket.SHUT_WR)
                self.assertRegex(read_all(s), rb"^(HTTP/1.1 4|$)")

    def test_chunked_body(self):
        body = b'{"content":"hello"}'
        chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]) for i in range(0, len(body), 7))
        with self.raw(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks +
                      b"0\r\nTrailer: x\r\n\r\n") as s:
            self.assertIn(b'{"tokens":[104,101,108,108,111]}', read_reply(s))

    def test_body_without_length(self):
        with self.raw(b'POST /tokenize HTTP/1.1\r\nHost: x\r\n\r\n{"content":"x"}') as s:
            reply = read_all(s)
            self.assertStatus(reply, 411)
            self.assertEqual(reply.count(b"HTTP/1.1"), 1)

    def test_two_framings_at_once(self):
        for extra in [b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 2\r\nContent-Length: 3\r\n",
                      b"Content-Length: 2\r\nContent-Length: 2\r\n"]:
            with self.raw(b"POST /tokenize HTTP/1.1\r\nHost: x\r\n" + extra + b"\r\n2\r\n{}\r\n0\r\n\r\n") as s:
                self.assertStatus(read_all(s), 400)

    def test_lengths_that_are_none(self):
        for length in [b"-1", b"1e3", b"0x10", b"99999999999999999999999", b"+2"]:
            with self.raw(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n{}") as s:
                s.shutdown(socket.SHUT_WR)
                self.assertRegex(read_all(s), rb"^HTTP/1.1 4\d\d ")

    def test_other_encodings(self):
        with self.raw(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nab") as s:
            self.assertStatus(read_all(s), 501)

    def test_delete_with_a_body(self):
        smuggled = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        with self.raw(b"DELETE /v1/models/alpha HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                      b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" %
                      (len(smuggled), smuggled)) as s:
            reply = read_all(s)
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d+)", reply), [b"405", b"200"])
        self.assertIn(b'"status":"ok"', reply)

    def test_control_characters_in_headers(self):
        for header in [b"A: b\rc", b"A: \x01", b"A\x7f: b", b"A b: c"]:
            with self.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n") as s:
                s.shutdown(socket.SHUT_WR)
                self.assertRegex(read_all(s), rb"^HTTP/1.1 400 ")

    def test_endless_header(self):
        for head in [b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"A: bbbbbbbbbbbb\r\n" * 20000,
                     b"GET /health HTTP/1.1\r\nHost: " + b"x" * 1000000,
                     b"GET /" + b"x" * 1000000, b"G" * 1000000]:
            with self.raw(head) as s:
                self.assertRegex(read_all(s), rb"^(HTTP/1.1 4\d\d |$)")

    def test_not_http(self):
        for request in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9 + b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]:
            with self.raw(request) as s:
                s.shutdown(socket.SHUT_WR)
                self.assertRegex(read_all(s), rb"^(HTTP/1.1 [45]\d\d |$)")

    def test_pipelining(self):
        body = json.dumps(chat("two")).encode()
        with self.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
                      b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                      b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                      b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (len(body), body)) as s:
            reply = read_all(s)
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d+)", reply), [b"200", b"200", b"404", b"200"])
        self.assertIn(b"echo: two", reply)

    def test_half_close_after_the_request(self):
        body = json.dumps(chat("/slow 20 slowly")).encode()
        with self.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" %
                      (len(body), body)) as s:
            s.shutdown(socket.SHUT_WR)
            self.assertIn(b"echo: slowly", read_all(s))

    def test_http_1_0(self):
        with self.raw(b"GET /health HTTP/1.0\r\n\r\n") as s:
            self.assertRegex(read_all(s), rb"^HTTP/1.[01] 200 ")
        body = json.dumps(chat("old", stream=True)).encode()
        with self.raw(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as s:
            reply = read_all(s)
        self.assertNotIn(b"chunked", reply)
        self.assertTrue(reply.endswith(b"data: [DONE]\n\n"), reply[-100:])

    def test_expect_continue(self):
        with self.raw(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n") as s:
            self.assertStatus(read_reply(s), 100)
            s.sendall(b'{"content":"x"}')
            self.assertIn(b'{"tokens":[120]}', read_reply(s))
        for path, length, status in [(b"/nothing", 15, 404), (b"/tokenize", BODY_LIMIT + 1, 413)]:
            with self.raw(b"POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" %
                          (path, length)) as s:
                self.assertStatus(read_all(s), status)

    def test_long_bodies(self):
        text = "x" * (BODY_LIMIT - 14)
        status, answer = self.daemon.post("/tokenize", b'{"content":"%s"}' % text.encode())
        self.assertEqual((status, len(answer["tokens"])), (200, len(text)))
        with self.raw(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT + 1)) as s:
            self.assertStatus(read_all(s), 413)
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with self.raw(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 17 +
                      b"0\r\n\r\n") as s:
            self.assertStatus(read_reply(s), 413)
        with self.raw(b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") as s:
            with self.assertRaises((BrokenPipeError, ConnectionResetError)):
                while True:  # chunks without end
                    s.sendall(chunk)

    def test_methods(self):
        status, headers, _ = self.daemon.request("PUT", "/v1/chat/completions", b"{}")
        self.assertEqual((status, headers["Allow"]), (405, "POST, OPTIONS"))
        status, headers, body = self.daemon.request("OPTIONS", "/v1/models")
        self.assertEqual((status, headers["Allow"], body), (204, "GET, HEAD, OPTIONS", b""))
        status, headers, body = self.daemon.request("HEAD", "/v1/models")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["Content-Length"]), 0)
        status, answer = self.daemon.get("/v1/nothing")
        self.assertEqual((status, answer["error"]["code"]), (404, "unknown_url"))

    def test_many_requests_on_one_connection(self):
        c = self.daemon.connection()
        for i in range(50):
            c.request("POST", "/v1/chat/completions", json.dumps(chat(f"number {i}", stream=i % 2 == 1)))
            self.assertIn(f"echo: number {i}".encode(), c.getresponse().read())
        c.close()

    def test_curl(self):
        out = subprocess.run(["curl", "-sS", "--fail-with-body", "--unix-socket", self.daemon.socket,
                              "http://localhost/v1/chat/completions", "-d", json.dumps(chat("hi"))],
                             check=True, capture_output=True).stdout
        self.assertEqual(json.loads(out)["choices"][0]["message"]["content"], "echo: hi")


class Json(HttpTest):
    def test_bodies_that_are_no_objects(self):
        for body in [b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}{}", b'{"a":1,}', b"\xef\xbb\xbf{}",
                     b"[" * 100000, b'{"a":' * 100000, b'{"prompt":' + b"[" * 100000 + b"]" * 100000 + b"}",
                     b'{"prompt":"x","prompt":"y"}', b'{"prompt":"x","temperature":NaN}',
                     b'{"prompt":"x","temperature":Infinity}', b'{"prompt":"x","temperature":1e999}',
                     b'{"prompt":"x","max_tokens":99999999999999999999}', b'{"prompt":"\xff"}',
                     b'{"prompt":"\xc3"}', b'{"prompt":"\xed\xa0\x80"}', b'{"prompt":"\\ud800"}', b'{"\\u0000":1}',
                     b"\n" * 200000]:
            self.assertRefused(body, path="/v1/completions")

    def test_a_tree_larger_than_its_text(self):
        self.assertRefused(b'{"prompt":[' + b"1," * 120000 + b"1]}", path="/v1/completions", says="120001")

    def test_numbers(self):
        for field, values in {
            "max_tokens": [0, -1, 1.5, 2**31, "ten", True, [], {}],
            "temperature": [-0.1, 1e30, "hot", False],
            "top_p": [-1, 1.1], "top_k": [-1, 0.5], "min_p": [2], "repeat_penalty": [0, -1],
            "presence_penalty": [-3, 3], "frequency_penalty": [2.5], "seed": [-1, 0.5], "n": [0, -1, 9, 1.5, "2"],
        }.items():
            for value in values:
                self.assertRefused(chat("x", **{field: value}), param=field)
        self.assertEqual(self.daemon.post("/v1/chat/completions", chat("x", max_tokens=3.0))[0], 200)

    def test_null_means_not_set(self):
        fields = ["model", "max_tokens", "temperature", "n", "stop", "stream", "stream_options", "logit_bias", "logprobs",
                  "top_logprobs", "seed", "tools", "response_format", "reasoning_effort", "user"]
        self.assertEqual(self.daemon.post("/v1/chat/completions", chat("x", **dict.fromkeys(fields)))[0], 200)

    def test_fields_that_mean_nothing_here(self):
        self.assertEqual(self.daemon.post("/v1/chat/completions", chat(
            "x", store=True, metadata={"a": "b"}, service_tier="auto", user="me", parallel_tool_calls=False, tools=[],
            tool_choice="auto", response_format={"type": "text"}, modalities=["text"], whatever=1))[0], 200)

    def test_fields_that_would_change_the_answer(self):
        for field, value in {
            "functions": [{"name": "f"}], "tool_choice": "required", "response_format": {"type": "json_object"}, "modalities": ["text", "audio"],
            "audio": {"voice": "x"}, "grammar": "root ::= x",
        }.items():
            self.assertRefused(chat("x", **{field: value}), param=field, code="unsupported_parameter")
        for field, value in {"suffix": "x", "best_of": 3, "tools": [TOOL], "chat_template_kwargs": {"a": 1}}.items():
            self.assertRefused({"prompt": "x", field: value}, param=field, path="/v1/completions")

    def test_messages(self):
        for messages in [None, [], {}, "x", [1], [None], [{}], [{"role": "user"}], [{"content": "x"}],
                         [{"role": 1, "content": "x"}], [{"role": "user", "content": 1}],
                         [{"role": "user", "content": None}], [{"role": "owner", "content": "x"}],
                         [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
                         [{"role": "user", "content": [{"text": "x"}]}], [{"role": "user", "content": ["x"]}],
                         [{"role": "assistant", "content": "x", "tool_calls": [{"id": "1"}]}]]:
            status, answer = self.daemon.post("/v1/chat/completions", {"messages": messages})
            self.assertEqual(status, 400, messages)
            self.assertIn("messages", answer["error"]["param"])

    def test_tools_and_template_variables_reach_the_prompt(self):
        def prompt(**fields):
            status, answer = self.daemon.post("/v1/chat/completions", chat("/prompt", **fields))
            self.assertEqual(status, 200, answer)
            return answer["choices"][0]["message"]["content"]
        self.assertIn('[{"type":"function","function":{"name":"f","parameters":{}}}]', prompt(tools=[TOOL]))
        self.assertIn('"name":"f"', prompt(tools=[TOOL], tool_choice="auto"))
        self.assertNotIn('"name":"f"', prompt(tools=[TOOL], tool_choice="none"))
        self.assertIn('{"reasoning_effort":"high","enable_thinking":false,"a":[1]}', prompt(
            reasoning_effort="high", enable_thinking=False, chat_template_kwargs={"a": [1]}))
        self.assertIn('{"thinking":true}', prompt(thinking=True))
        for fields in [{"tools": {}}, {"tools": [1]}, {"tools": [{"type": "function"}]},
                       {"tools": [dict(TOOL, type="web_search")]}, {"tool_choice": {"type": "function"}},
                       {"tool_choice": "required"}, {"enable_thinking": "no"}, {"thinking": 1},
                       {"chat_template_kwargs": [1]}]:
            self.assertRefused(chat("x", **fields), param=next(iter(fields)))
        status, answer = self.daemon.post("/v1/chat/completions", chat("x", chat_template_kwargs={"refuse": True}))
        self.assertEqual((status, answer["error"]["message"]), (400, "The template refuses."))

    def test_messages_keep_what_belongs_to_tools(self):
        call = {"id": "abc", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        status, answer = self.daemon.post("/v1/chat/completions", {"tools": [TOOL], "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "hm"},
            {"role": "tool", "content": "42", "tool_call_id": "abc", "name": "f"},
            {"role": "user", "content": "/prompt"}]})
        self.assertEqual(status, 200, answer)
        text = answer["choices"][0]["message"]["content"]
        self.assertIn('{"reasoning_content":"hm","tool_calls":[' + json.dumps(call, separators=(",", ":")) + "]}assistant: \n",
                      text)
        self.assertIn('{"tool_call_id":"abc","name":"f"}tool: 42', text)
        for message in [{"role": "assistant", "tool_calls": [call["function"]]}, {"role": "assistant", "tool_calls": {}},
                        {"role": "tool", "content": "x", "tool_call_id": 1}, {"role": "tool"},
                        {"role": "assistant", "content": None, "tool_calls": []}]:
            self.assertEqual(self.daemon.post("/v1/chat/completions", {"messages": [message]})[0], 400, message)

    def test_tool_calls_come_back(self):
        _, answer = self.daemon.post("/v1/chat/completions", chat("/call f 2", tools=[TOOL], max_tokens=2))
        self.assertEqual(answer["choices"][0]["finish_reason"], "length")
        _, answer = self.daemon.post("/v1/chat/completions", chat("/call f 2", tools=[TOOL]))
        choice = answer["choices"][0]
        self.assertEqual(choice["finish_reason"], "tool_calls")
        calls = choice["message"]["tool_calls"]
        self.assertEqual([(c["type"], c["function"]) for c in calls],
                         [("function", {"name": "f", "arguments": '{"x": 1.10}'})] * 2)
        self.assertEqual(len({c["id"] for c in calls}), 2)
        self.assertTrue(all(re.fullmatch("[0-9A-Za-z]{9}", c["id"]) for c in calls))
        _, answer = self.daemon.post("/v1/chat/completions", chat("/call f 2"))
        self.assertEqual(answer["choices"][0]["finish_reason"], "stop")
        self.assertNotIn("tool_calls", answer["choices"][0]["message"])

        c, response = self.daemon.stream("/v1/chat/completions", chat("/call f 2", tools=[TOOL]))
        streamed = list(events(response))
        c.close()
        choices = [e["choices"][0] for e in streamed if isinstance(e, dict) and e["choices"]]
        calls = [c for choice in choices for c in choice["delta"].get("tool_calls", [])]
        self.assertEqual([(c["index"], c["type"], c["function"]) for c in calls],
                         [(i, "function", {"name": "f", "arguments": '{"x": 1.10}'}) for i in range(2)])
        self.assertEqual(choices[-1]["finish_reason"], "tool_calls")

    def test_content_in_parts(self):
        _, answer = self.daemon.post("/v1/chat/completions", {"messages": [
            {"role": "developer", "content": "be nice"},
            {"role": "user", "content": [{"type": "text", "text": "gr\u00fc"}, {"type": "text", "text": "\u00df\u0000"}]}]})
        self.assertEqual(answer["choices"][0]["message"]["content"].rstrip("\0"), "echo: gr\u00fc\u00df")

    def test_stop(self):
        for value in [1, [1], [""], ["x"] * 17, {"a": 1}, "a\u0000b", "x" * 2000]:
            self.assertRefused(chat("x", stop=value), param="stop")
        for value in ["w", ["zz", "w"], []]:
            _, answer = self.daemon.post("/v1/chat/completions", chat("hi world", stop=value))
            self.assertEqual(answer["choices"][0]["message"]["content"], "echo: hi " if value else "echo: hi world")

    def test_logit_bias_and_logprobs(self):
        for value in [1, [1], {"x": 1}, {"-1": 1}, {"1": "x"}, {"1": 101}, {"99999999999": 1}, {"": 1}]:
            self.assertRefused(chat("x", logit_bias=value), param="logit_bias")
        self.assertEqual(self.daemon.post("/v1/chat/completions", chat("x", logit_bias={"10": -100}))[0], 200)
        self.assertRefused(chat("x", top_logprobs=2), param="top_logprobs")
        self.assertRefused(chat("x", logprobs=3), param="logprobs")
        self.assertRefused(chat("x", logprobs=True, top_logprobs=21), param="top_logprobs")
        self.assertRefused({"prompt": "x", "logprobs": 21}, path="/v1/completions", param="logprobs")

    def test_stream_options(self):
        self.assertRefused(chat("x", stream_options={"include_usage": True}), param="stream_options")
        self.assertRefused(chat("x", stream=True, stream_options=[]), param="stream_options")
        self.assertRefused(chat("x", stream="yes"), param="stream")

    def test_prompts(self):
        for prompt in [None, [], {}, 1, True, [1, "x"], ["x", 1], [[1], "x", 2], [-1], [1.5], [2**32], [True], ["x"] * 65]:
            self.assertRefused({"prompt": prompt}, path="/v1/completions", param="prompt")
        self.assertRefused({}, path="/v1/completions", param="prompt")

    def test_models(self):
        self.assertRefused(chat("x", model="gamma"), 404, "model", "model_not_found")
        self.assertRefused(chat("x", model="beta"), 404, "model", "model_not_loaded", says="infer load beta")
        self.assertRefused(chat("x", model=1), 400, "model")
        for name in ["alpha", "alpha.gguf", "default", ""]:
            _, answer = self.daemon.post("/v1/chat/completions", chat("x", model=name))
            self.assertEqual(answer["model"], "alpha")
        status, answer = self.daemon.get("/v1/models")
        self.assertEqual([(m["id"], m["loaded"], m["object"]) for m in answer["data"]],
                         [("alpha", True, "model"), ("beta", False, "model")])
        self.assertEqual(self.daemon.get("/v1/models/beta")[1]["id"], "beta")
        self.assertEqual(self.daemon.get("/v1/models/..%2Fbeta")[0], 404)

    def test_tokens(self):
        self.assertEqual(self.daemon.post("/tokenize", {"content": "h\u00e9"}), (200, {"tokens": [104, 195, 169]}))
        self.assertEqual(self.daemon.post("/tokenize", {"content": "", "with_pieces": True}), (200, {"tokens": []}))
        self.assertEqual(self.daemon.post("/detokenize", {"tokens": [104, 195, 169]}), (200, {"content": "h\u00e9"}))
        self.assertEqual(self.daemon.post("/detokenize", {"tokens": [195]}), (200, {"content": "\ufffd"}))
        self.assertRefused({}, path="/tokenize", param="content")
        self.assertRefused({"content": 1}, path="/tokenize", param="content")
        for tokens in [None, 1, [1.5], [-1], ["x"], [2**40], [99999]]:
            self.assertRefused({"tokens": tokens}, path="/detokenize", param="tokens")


class Answers(HttpTest):
    def test_reasoning(self):
        _, answer = self.daemon.post("/v1/chat/completions", chat("/think well"))
        message = answer["choices"][0]["message"]
        self.assertEqual((message["role"], message["reasoning_content"]), ("assistant", "well"))
        self.assertEqual(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 4)
        c, r = self.daemon.stream("/v1/chat/completions", chat("/think well"))
        deltas = [e["choices"][0]["delta"] for e in events(r) if isinstance(e, dict)]
        self.assertEqual("".join(d.get("reasoning_content", "") for d in deltas), "well")
        keys = [next(iter(d)) for d in deltas if d and "role" not in d]
        self.assertEqual(keys, sorted(keys, reverse=True), "reasoning comes before the answer")
        c.close()

    def test_order_of_a_stream(self):
        c, r = self.daemon.stream("/v1/chat/completions", chat("/slow 1 in order", stream_options={"include_usage": True}))
        self.assertEqual(r.getheader("Content-Type"), "text/event-stream")
        got = [e for e in events(r) if e != ": ping"]
        self.assertEqual(got.pop(), "[DONE]")
        usage = got.pop()
        self.assertEqual(usage["choices"], [])
        self.assertEqual(usage["usage"]["completion_tokens"], len("echo: in order"))
        self.assertTrue(all(e["usage"] is None for e in got))
        self.assertEqual(got[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
        self.assertEqual(got[-1]["choices"][0], {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"})
        self.assertEqual("".join(e["choices"][0]["delta"].get("content", "") for e in got), "echo: in order")
        self.assertEqual({(e["id"], e["object"], e["model"]) for e in got},
                         {(usage["id"], "chat.completion.chunk", "alpha")})
        c.close()

    def test_length(self):
        _, answer = self.daemon.post("/v1/chat/completions", chat("hello", max_completion_tokens=4))
        self.assertEqual((answer["choices"][0]["message"]["content"], answer["choices"][0]["finish_reason"]),
                         ("echo", "length"))

    def test_choices(self):
        _, answer = self.daemon.post("/v1/completions", {"prompt": ["a", "bc"], "n": 2, "echo": True})
        self.assertEqual([(c["index"], c["text"]) for c in answer["choices"]],
                         [(0, "aecho: a"), (1, "aecho: a"), (2, "bcecho: bc"), (3, "bcecho: bc")])
        tokens = sum(len(self.daemon.post("/tokenize", {"content": p, "add_special": True})[1]["tokens"]) for p in ["a", "bc"])
        self.assertEqual(answer["usage"]["prompt_tokens"], tokens, "a prompt counts once, however many choices it has")
        c, r = self.daemon.stream("/v1/completions", {"prompt": ["a", "bc"], "n": 2, "echo": True})
        texts = [""] * 4
        for e in events(r):
            if isinstance(e, dict):
                texts[e["choices"][0]["index"]] += e["choices"][0]["text"]
        self.assertEqual(texts, ["aecho: a", "aecho: a", "bcecho: bc", "bcecho: bc"])
        c.close()

    def test_token_prompts(self):
        _, answer = self.daemon.post("/v1/completions", {"prompt": [[104, 105], [106]]})
        self.assertEqual([c["text"] for c in answer["choices"]], ["echo: hi", "echo: j"])
        self.assertRefused({"prompt": [104], "echo": True}, path="/v1/completions", param="echo")

    def test_context_overflow_says_by_how_much(self):
        for stream in [False, True]:
            status, answer = self.daemon.post("/v1/chat/completions", chat("x" * 5000, stream=stream))
            self.assertEqual((status, answer["error"]["code"]), (400, "context_length_exceeded"))
            self.assertRegex(answer["error"]["message"], r"\d+ more than fit")

    def test_errors_have_their_status_before_a_stream_and_an_event_in_it(self):
        status, headers, answer = self.daemon.request("POST", "/v1/chat/completions", chat("/fail"))
        self.assertEqual((status, answer["error"]["type"]), (503, "server_error"))
        self.assertGreater(int(headers["Retry-After"]), 0)
        c, r = self.daemon.stream("/v1/chat/completions", chat("/fail"))
        self.assertEqual(r.status, 200)
        got = list(events(r))
        self.assertEqual(got[-1]["error"]["code"], "overloaded")
        c.close()

    def test_pings_while_a_stream_is_silent(self):
        c, r = self.daemon.stream("/v1/chat/completions", chat("/hang"))
        self.assertEqual(r.status, 200)
        stream = events(r)
        next(stream)
        self.assertEqual([next(stream), next(stream)], [": ping", ": ping"])
        c.close()

    def test_a_client_that_leaves_frees_its_work(self):
        for stream in [False, True]:
            for text in ["/hang", "/slow 5 /long 100000"]:
                body = json.dumps(chat(text, stream=stream)).encode()
                s = self.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" %
                             (len(body), body))
                self.daemon.wait_metric("requests_running", 1)
                s.close()
                self.daemon.wait_metric("requests_running", 0)

    def test_a_client_that_leaves_while_its_choices_run(self):
        c, r = self.daemon.stream("/v1/chat/completions", chat("/hang", n=4))
        self.daemon.wait_metric("requests_running", 4)
        c.close()
        r.close()
        self.daemon.wait_metric("requests_running", 0)

    def test_a_slow_reader_holds_up_nobody_and_gets_everything(self):
        n = 1000000
        body = json.dumps(chat(f"/long {n}", stream=True)).encode()
        slow = self.raw(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        for i in range(5):
            self.assertEqual(self.daemon.post("/v1/chat/completions", chat(f"quick {i}"))[0], 200)
        pages = -1  # of the KV pool: a token of the engine without a model is a byte
        while pages != (now := self.daemon.metric("kv_pages_used")):
            pages = now  # the outbox fills, and the engine stops there
            time.sleep(0.3)
        self.assertLess(pages * self.daemon.metric("kv_page_tokens"), n / 2, "nobody read that much")
        text = sum(len(e["choices"][0]["delta"].get("content", ""))
                   for e in events(slow.makefile("rb")) if isinstance(e, dict))
        self.assertEqual(text, n)
        slow.close()

    def test_clients_at_once_get_what_they_get_alone(self):
        alone = {i: self.daemon.post("/v1/chat/completions", chat(f"/slow 1 client {i}"))[1]["choices"] for i in range(10)}
        together = {}

        def ask(i):
            if i % 2:
                together[i] = self.daemon.post("/v1/chat/completions", chat(f"/slow 1 client {i}"))[1]["choices"][0][
                    "message"]["content"]
            else:
                c, r = self.daemon.stream("/v1/chat/completions", chat(f"/slow 1 client {i}"))
                together[i] = "".join(e["choices"][0]["delta"].get("content", "") for e in events(r) if isinstance(e, dict))
                c.close()
        threads = [threading.Thread(target=ask, args=[i]) for i in range(10)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(together, {i: c[0]["message"]["content"] for i, c in alone.items()})


class Limits(unittest.TestCase):
    def daemon(self, settings, models=MODELS, **options):
        d = Daemon(BINARY, models, settings, **options)
        self.addCleanup(lambda: d.folder and os.path.exists(d.folder) and d.stop())
        return d.wait_ready()

    def test_slow_loris(self):
        d = self.daemon({"Socket": {"IdleTimeout": "1s"}})
        for request in [b"GET /health HTTP/1.1\r\nHost: " + b"x" * 10000,
                        b"POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" + b" " * 10000]:
            with d.raw() as s, self.assertRaises((BrokenPipeError, ConnectionResetError)):
                for byte in request:  # would take more than fifteen minutes
                    s.sendall(bytes([byte]))
                    time.sleep(0.1)
        for request in [b"", b"\r\n" * 1000, b"\0" * 100, b"POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nx"]:
            with d.raw() as s:
                s.sendall(request)
                self.assertEqual(s.recv(1), b"", "a connection on which nothing happens is closed")

    def test_an_idle_timeout_does_not_end_a_silent_answer(self):
        d = self.daemon({"Socket": {"IdleTimeout": "1s", "PingInterval": "3600s"}})
        for stream in [False, True]:
            got = d.request("POST", "/v1/chat/completions", chat("/slow 1500 x", max_tokens=2, stream=stream))
            self.assertEqual(got[0], 200)
            if stream:
                self.assertIn(b"[DONE]", got[2])

    def test_too_many_connections(self):
        d = self.daemon({"Socket": {"MaxConnections": "20"}})
        held = [d.raw() for _ in range(20)]
        with d.raw() as s:
            reply = read_all(s)
        self.assertTrue(reply.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in reply, reply)
        json.loads(reply.partition(b"\r\n\r\n")[2])
        for s in held:
            s.close()
        d.wait_ready()

    def test_a_thousand_idle_connections(self):
        d = self.daemon({})

        def resident():
            with open(f"/proc/{d.process.pid}/statm") as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        before = resident()
        held = [d.raw() for _ in range(1000)]
        self.assertEqual(d.post("/v1/chat/completions", chat("x"))[0], 200)
        for s in held[::100]:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(read_reply(s).startswith(b"HTTP/1.1 200 "))
        if not SANITIZED:
            self.assertLess((resident() - before) / 1000, 40 * 1024, "bytes for each connection")
        for s in held:
            s.close()

    def test_too_many_requests(self):
        d = self.daemon({"Service": {"MaxRequestsPerUser": "3"}})
        held = [d.stream("/v1/chat/completions", chat("/hang")) for _ in range(3)]
        status, headers, answer = d.request("POST", "/v1/chat/completions", chat("x"))
        self.assertEqual((status, answer["error"]["type"]), (429, "rate_limit_error"))
        self.assertGreater(int(headers["Retry-After"]), 0)
        for c, r in held:
            r.close()
            c.close()
        d.wait_metric("requests_running", 0)

    def test_a_request_that_takes_too_long(self):
        d = self.daemon({"Service": {"RequestTimeout": "300ms"}})
        status, headers, answer = d.request("POST", "/v1/chat/completions", chat("/hang"))
        self.assertEqual((status, answer["error"]["code"], headers["X-Should-Retry"]), (504, "timeout", "false"))

    def test_no_model(self):
        d = Daemon(BINARY, {})
        self.addCleanup(d.stop)
        while True:
            try:
                status, answer = d.get("/health")
                break
            except OSError:
                self.assertIsNone(d.process.poll(), d.log_text)
                time.sleep(0.02)
        while answer["status"] == "loading":
            status, answer = d.get("/health")
        self.assertEqual((status, answer["status"]), (503, "no-model"))
        status, headers, answer = d.request("POST", "/v1/chat/completions", chat("x"))
        self.assertEqual((status, answer["error"]["code"]), (503, "no_model"))
        self.assertEqual(d.get("/v1/models"), (200, {"object": "list", "data": []}))


class Life(unittest.TestCase):
    def test_stop_while_requests_run(self):
        d = Daemon(BINARY, MODELS, {"Service": {"DrainTimeout": "300ms"}}).wait_ready()
        idle = d.raw()
        c, r = d.stream("/v1/chat/completions", chat("/hang"))
        s = d.raw()
        body = json.dumps(chat("/hang")).encode()
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        d.wait_metric("requests_running", 2)
        path = d.socket
        d.terminate()
        self.assertEqual(idle.recv(1), b"")
        self.assertEqual(list(events(r))[-1]["error"]["code"], "stopping")
        reply = read_all(s)
        self.assertTrue(reply.startswith(b"HTTP/1.1 503 "), reply)
        self.assertIn(b"Connection: close", reply)
        d.process.wait(30)
        self.assertFalse(os.path.exists(path), "the socket is gone")
        self.assertEqual(d.stop(), 0)
        for x in (c, s, idle):
            x.close()

    def test_a_running_answer_may_end_before_the_stop(self):
        d = Daemon(BINARY, MODELS, {"Service": {"DrainTimeout": "60s"}}).wait_ready()
        c, r = d.stream("/v1/chat/completions", chat("/slow 30 to the end"))
        d.wait_metric("requests_running", 1)
        d.terminate()
        got = list(events(r))
        self.assertEqual("".join(e["choices"][0]["delta"].get("content", "") for e in got if isinstance(e, dict)),
                         "echo: to the end")
        c.close()
        self.assertEqual(d.stop(), 0)

    def test_a_second_daemon_on_the_same_socket(self):
        d = Daemon(BINARY, MODELS).wait_ready()
        second = subprocess.run([BINARY, "--user", "--no-bus", f"--socket={d.socket}"], capture_output=True, text=True)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn("Another inferd is listening", second.stderr)
        self.assertEqual(d.get("/health")[0], 200)
        self.assertEqual(d.stop(), 0)

    def test_a_stale_socket_is_replaced(self):
        d = Daemon(BINARY, MODELS).wait_ready()
        d.process.kill()
        d.process.wait()
        self.assertTrue(os.path.exists(d.socket))
        config = os.path.join(d.folder, "inferd.conf")
        d.process = subprocess.Popen([BINARY, "--user", "--no-bus", f"--config={config}", f"--socket={d.socket}"],
                                     stderr=d.log)
        d.wait_ready()
        self.assertEqual(os.stat(d.socket).st_mode & 0o777, 0o600)
        self.assertEqual(d.stop(), 0)

    def test_socket_paths_that_cannot_be(self):
        d = Daemon(BINARY, MODELS).wait_ready()
        file = os.path.join(d.folder, "file")
        open(file, "w").close()
        for path, says in [(os.path.join(d.folder, "x" * 120), "107"), (file, "not a socket"),
                           (os.path.join(d.folder, "no/where/s"), "no/where")]:
            out = subprocess.run([BINARY, "--user", "--no-bus", f"--socket={path}"], capture_output=True, text=True)
            self.assertNotEqual(out.returncode, 0)
            self.assertIn(says, out.stderr)
        self.assertTrue(os.path.exists(file))
        self.assertEqual(d.stop(), 0)

    def test_sockets_from_systemd(self):
        d = Daemon(BINARY, MODELS).wait_ready()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = os.path.join(d.folder, "passed")
        listening.bind(path)
        listening.listen()

        def child():
            os.dup2(listening.fileno(), 3)
            os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
            os.execv(BINARY, [BINARY, "--user", "--no-bus", f"--config={d.folder}/inferd.conf"])
        pid = os.fork()
        if pid == 0:
            child()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(path)
            s.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b'"alpha"', read_reply(s))
        os.kill(pid, 15)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertTrue(os.path.exists(path), "the socket file is systemd's")
        listening.close()
        self.assertEqual(d.stop(), 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
