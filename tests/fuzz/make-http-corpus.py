#!/usr/bin/python3
"""Writes the seeds of fuzz-http-routes and fuzz-json-bodies, one file for each thing a client may send."""
import json
import os

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def write(folder, name, data):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name), "wb") as f:
        f.write(data)


def request(line, *headers, body=b"", length=True):
    if body and length:
        headers += (f"Content-Length: {len(body)}",)
    return "\r\n".join([line + " HTTP/1.1", "Host: x", *headers, "", ""]).encode() + body


def post(path, body, *headers):
    return request("POST " + path, *headers, body=json.dumps(body).encode())


CHAT = {"messages": [{"role": "user", "content": "hi"}]}
GET = request("GET /health")
routes = {
    "health": GET, "metrics": request("GET /metrics"), "models": request("GET /v1/models"),
    "model": request("GET /v1/models/alpha"), "model-escaped": request("GET /v1/models/%2e%2e%2falpha%00"),
    "head": request("HEAD /v1/models"), "options": request("OPTIONS /v1/models"), "options-all": request("OPTIONS *"),
    "nothing": request("GET /nothing"), "absolute": request("GET http://localhost/health"),
    "query": request("GET /health?a=b&c"), "method": request("BREW /health"), "put": request("PUT /v1/models", body=b"{}"),
    "chat": post("/v1/chat/completions", CHAT), "chat-stream": post("/v1/chat/completions", {**CHAT, "stream": True}),
    "completions": post("/v1/completions", {"prompt": "x"}), "hang": post("/v1/completions", {"prompt": "/hang"}),
    "tokenize": post("/tokenize", {"content": "x"}), "detokenize": post("/detokenize", {"tokens": [1]}),
    "http-1.0": b"GET /health HTTP/1.0\r\n\r\n", "http-9.9": b"GET /health HTTP/9.9\r\nHost: x\r\n\r\n",
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no-host": b"GET /health HTTP/1.1\r\n\r\n", "bare-lf": b"GET /health HTTP/1.1\nHost: x\n\n",
    "pipelined": GET * 5, "pipelined-posts": post("/tokenize", {"content": "a"}) * 2 + GET,
    "keep-alive-off": request("GET /health", "Connection: close"),
    "expect": request("POST /tokenize", "Expect: 100-continue", body=b'{"content":"x"}'),
    "expect-nothing": request("POST /nothing", "Expect: 100-continue", "Content-Length: 100"),
    "chunked": request("POST /tokenize", "Transfer-Encoding: chunked") + b'5\r\n{"con\r\nb;x=y\r\ntent":"x"} \r\n0\r\nT: x\r\n\r\n',
    "chunk-minus-2": request("POST /tokenize", "Transfer-Encoding: chunked") + b"-2\r\nab\r\n0\r\n\r\n",
    "chunk-huge": request("POST /tokenize", "Transfer-Encoding: chunked") + b"ffffffffffffffff\r\nab",
    "chunk-empty-size": request("POST /tokenize", "Transfer-Encoding: chunked") + b"\r\nab\r\n0\r\n\r\n",
    "gzip": request("POST /tokenize", "Transfer-Encoding: gzip", body=b"x"),
    "length-and-chunked": request("POST /tokenize", "Transfer-Encoding: chunked", "Content-Length: 3") + b"0\r\n\r\n",
    "two-lengths": request("POST /tokenize", "Content-Length: 2", "Content-Length: 3") + b"{}x",
    "length-minus-1": request("POST /tokenize", "Content-Length: -1") + b"{}",
    "length-too-much": request("POST /tokenize", "Content-Length: 999999999999") + b"{}",
    "no-length": request("POST /tokenize") + b"{}", "delete-body": request("DELETE /v1/models/alpha", body=b"hello") + GET,
    "header-cr": request("GET /health", "A: b\rc"), "header-nul": request("GET /health", "A: b\0c"),
    "header-fold": request("GET /health", "A: b", " c"), "header-space": request("GET /health", "A : b"),
    "header-no-name": request("GET /health", ": b"), "header-endless": GET[:-2] + b"A: b\r\n" * 600,
    "uri-long": b"GET /" + b"x" * 3500 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "unfinished": GET[:20], "empty": b"\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 4,
}
for name, data in routes.items():
    write("http-routes", name, data)

bodies = {
    "chat-0": (0, CHAT), "chat-full": (0, {
        "messages": [{"role": "developer", "content": "a"}, {"role": "assistant", "content": "b"},
                     {"role": "user", "content": [{"type": "text", "text": "c"}]}, {"role": "tool", "content": "d"}],
        "model": "alpha", "max_tokens": 9, "max_completion_tokens": 3, "temperature": 0.5, "top_p": 0.5, "top_k": 3,
        "min_p": 0.1, "n": 2, "stop": ["x", "y"], "seed": 1, "presence_penalty": 1, "frequency_penalty": -1,
        "logit_bias": {"3": -100}, "logprobs": True, "top_logprobs": 2, "stream": True, "user": "u",
        "stream_options": {"include_usage": True}, "reasoning_effort": "low", "repeat_penalty": 1.1}),
    "chat-think": (0, {"messages": [{"role": "user", "content": "/think hm"}], "stream": True}),
    "chat-image": (0, {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
    "chat-tools": (0, {**CHAT, "tools": [{"type": "function", "function": {"name": "f"}}]}),
    "chat-role": (0, {"messages": [{"role": "king", "content": None}]}),
    "chat-null": (0, {**CHAT, "stop": None, "n": None, "stream": None}),
    "completion": (1, {"prompt": "x", "echo": True, "n": 2}), "completion-many": (1, {"prompt": ["a", "b"], "stream": True}),
    "completion-tokens": (1, {"prompt": [1, 2.0, 3]}), "completion-mixed": (1, {"prompt": [[1], "x", []], "logprobs": 3}),
    "completion-fail": (1, {"prompt": "/fail", "stream": True}), "completion-long": (1, {"prompt": "/long 5000", "stream": True}),
    "tokenize": (2, {"content": "gr\u00fc\u00df \U0001f642", "add_special": True, "with_pieces": True}),
    "detokenize": (3, {"tokens": [104, 195, 169.0]}), "detokenize-bad": (3, {"tokens": [-1, 99999, "x"]}),
}
raw = {
    "empty": b"\0", "not-json": b"\0{", "array": b"\1[]", "trailing": b"\1{}{}", "duplicate": b'\1{"prompt":"a","prompt":"b"}',
    "nan": b'\1{"prompt":"x","temperature":NaN}', "overflow": b'\1{"prompt":"x","temperature":1e999}',
    "big-integer": b'\1{"prompt":"x","max_tokens":99999999999999999999}', "negative": b'\1{"prompt":"x","max_tokens":-1}',
    "fraction": b'\1{"prompt":"x","max_tokens":1.5}', "bad-utf8": b'\1{"prompt":"\xff"}', "surrogate": b'\1{"prompt":"\\ud800"}',
    "nul": b'\1{"prompt":"a\\u0000b","stop":"\\u0000"}', "deep": b'\1{"prompt":' + b"[" * 3000, "newlines": b"\1" + b"\n" * 3000,
    "nul-key": b'\1{"\\u0000":1}', "odd-bias": b'\1{"prompt":"x","logit_bias":{"-1":1," 1":1}}',
}
for name, (endpoint, body) in bodies.items():
    write("json-bodies", name, bytes([endpoint]) + json.dumps(body).encode())
for name, data in raw.items():
    write("json-bodies", name, data)
