#!/usr/bin/python3
"""Writes the seed corpora of fuzz-gguf and fuzz-gguf-parts: a small good model, and one file per way of being bad.

    tests/fuzz/make-gguf-corpus.py tests/fuzz/corpus
"""
import struct
import sys
from pathlib import Path

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
T_F32, T_F16, T_Q8_0 = 0, 1, 8


def string(s):
    b = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(b)) + b


def value(kind, v):
    return string(v) if kind == STR else struct.pack("<" + FORMATS[kind], v)


def key(name, kind, v):
    return string(name) + struct.pack("<I", kind) + value(kind, v)


def array(name, kind, values, n=None):
    return string(name) + struct.pack("<IIQ", ARR, kind, len(values) if n is None else n) + b"".join(
        value(kind, v) for v in values)


def tensor(name, ne, kind, offset, n_dims=None):
    return string(name) + struct.pack("<I", len(ne) if n_dims is None else n_dims) + struct.pack(
        f"<{len(ne)}Q", *ne) + struct.pack("<IQ", kind, offset)


def file(keys=(), tensors=(), data=b"", version=3, n_keys=None, n_tensors=None, alignment=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors) if n_tensors is None else n_tensors,
                                 len(keys) if n_keys is None else n_keys) + b"".join(keys) + b"".join(tensors)
    return head + (b"\0" * (-len(head) % alignment) + data if data else b"")


def model(arch):
    """A whole model: one layer, embedding 8, two heads of 4, twelve tokens, float32."""
    tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "<0x41>", "\u2581", "a", "b", "ab", "\u2581a", "\u2581ab", "c"]
    keys = [key("general.architecture", STR, arch), key("general.name", STR, "seed"),
            key(f"{arch}.block_count", U32, 1), key(f"{arch}.context_length", U32, 64),
            key(f"{arch}.embedding_length", U32, 8), key(f"{arch}.feed_forward_length", U32, 8),
            key(f"{arch}.attention.head_count", U32, 2), key(f"{arch}.attention.head_count_kv", U32, 1),
            key(f"{arch}.attention.layer_norm_rms_epsilon", F32, 1e-5),
            key("tokenizer.ggml.model", STR, "llama"), array("tokenizer.ggml.tokens", STR, tokens),
            array("tokenizer.ggml.scores", F32, [-float(i) for i in range(12)]),
            array("tokenizer.ggml.token_type", I32, [2, 3, 3, 6, 6] + [1] * 7),
            key("tokenizer.ggml.bos_token_id", U32, 1), key("tokenizer.ggml.eos_token_id", U32, 2),
            key("tokenizer.ggml.unknown_token_id", U32, 0)]
    shapes = [("token_embd.weight", [8, 12]), ("output_norm.weight", [8]), ("blk.0.attn_norm.weight", [8]),
              ("blk.0.attn_q.weight", [8, 8]), ("blk.0.attn_k.weight", [8, 4]), ("blk.0.attn_v.weight", [8, 4]),
              ("blk.0.attn_output.weight", [8, 8]), ("blk.0.ffn_norm.weight", [8]), ("blk.0.ffn_gate.weight", [8, 8]),
              ("blk.0.ffn_up.weight", [8, 8]), ("blk.0.ffn_down.weight", [8, 8])]
    if arch == "qwen2":
        shapes += [("blk.0.attn_q.bias", [8]), ("blk.0.attn_k.bias", [4]), ("blk.0.attn_v.bias", [4])]
    tensors, offset = [], 0
    for name, ne in shapes:
        tensors.append(tensor(name, ne, T_F32, offset))
        n = 4
        for d in ne:
            n *= d
        offset += (n + 31) // 32 * 32
    return file(keys, tensors, b"\x3c" * offset)


def seeds():
    k, t = key("k", U32, 1), tensor("t", [8], T_F32, 0)
    big = 1 << 62
    yield "model-llama", model("llama")
    yield "model-qwen2", model("qwen2")
    yield "types", file([key(f"k{i}", i, 1) for i in FORMATS] + [array("k", I32, [1, 2, 3])])
    yield "version-2", file([k], version=2)
    yield "alignment-64", file([key("general.alignment", U32, 64)], [t], b"\1" * 32, alignment=64)
    yield "header-only", file([k], [t])
    yield "magic-only", b"GGUF"
    for v in (0, 1, 4, 0x03000000):
        yield f"version-{v}", file([k], version=v)
    yield "keys-huge", file([k], n_keys=big)
    yield "tensors-huge", file([k], [t], n_tensors=big)
    yield "tensors-wrap", file([k], [t], n_tensors=(1 << 64) // 48 + 1)
    yield "name-huge", file([struct.pack("<Q", big) + b"abcdefgh"], n_keys=1)
    yield "string-huge", file([string("k") + struct.pack("<IQ", STR, big) + b"x"], n_keys=1)
    for a in (0, 1, 33, 1 << 31):
        yield f"alignment-{a}", file([key("general.alignment", U32, a)], [t], b"\1" * 32)
    yield "alignment-u16", file([key("general.alignment", U16, 32)], [t], b"\1" * 32)
    yield "key-empty", file([key("", U32, 1)])
    yield "key-twice", file([k, key("k", STR, "x")])
    yield "type-99", file([string("k") + struct.pack("<IQ", 99, 0)], n_keys=1)
    yield "array-count", file([array("k", U64, [1], n=big)])
    yield "array-nested", file([string("k") + struct.pack("<IIQIQ", ARR, ARR, 1, U8, 0)], n_keys=1)
    yield "array-bool", file([array("k", BOOL, [0, 7])])
    yield "scores-u8", file([array("tokenizer.ggml.scores", U8, [1, 2])])
    yield "tensor-twice", file([k], [t, tensor("t", [8], T_F32, 32)], b"\1" * 64)
    yield "tensor-type", file([k], [tensor("t", [8], 4, 0)], b"\1" * 32)
    yield "tensor-no-dims", file([k], [tensor("t", [], T_F32, 0)], b"\1" * 32)
    yield "tensor-many-dims", file([k], [tensor("t", [1] * 4, T_F32, 0, n_dims=1000000)], b"\1" * 32)
    yield "tensor-zero-dim", file([k], [tensor("t", [8, 0], T_F32, 0)], b"\1" * 32)
    yield "tensor-overflow", file([k], [tensor("t", [1 << 32, 1 << 32], T_F32, 0)], b"\1" * 32)
    yield "tensor-size-overflow", file([k], [tensor("t", [(1 << 63) - 1], T_F32, 0)], b"\1" * 32)
    yield "tensor-ragged", file([k], [tensor("t", [33], T_Q8_0, 0)], b"\1" * 64)
    yield "offset-beyond", file([k], [tensor("t", [8], T_F32, 64)], b"\1" * 32)
    yield "offset-wrap", file([k], [tensor("t", [8], T_F32, (1 << 64) - 32)], b"\1" * 32)
    yield "offset-misaligned", file([k], [tensor("t", [2], T_F32, 4)], b"\1" * 32)
    yield "overlap", file([k], [tensor("t", [16], T_F32, 0), tensor("u", [8], T_F32, 32)], b"\1" * 64)
    yield "layers-huge", model("llama").replace(key("llama.block_count", U32, 1),
                                                key("llama.block_count", U32, 1000000000))
    yield "heads-0", model("llama").replace(key("llama.attention.head_count", U32, 2),
                                            key("llama.attention.head_count", U32, 0))
    yield "byte-token", model("llama").replace(b"<0x0A>", b"<0x-1>")
    yield "token-outside", model("llama").replace(key("tokenizer.ggml.eos_token_id", U32, 2),
                                                  key("tokenizer.ggml.eos_token_id", U32, 1000))


def part(no, count, n_tensors, tensors=(), keys=(), kinds=(U16, U16, I32)):
    own = [key(f"split.{n}", kind, v) for n, kind, v in zip(("no", "count", "tensors.count"), kinds, (no, count, n_tensors))
           if v is not None]
    return file([*keys, *own], [tensor(t, [8], T_F32, 32 * i) for i, t in enumerate(tensors)], b"\1" * 32 * len(tensors))


def joined(*parts):
    return b"".join(struct.pack("<H", len(p)) + p for p in parts)


def split_seeds():
    first, second = part(0, 2, 2, ["a"], [key("k", U32, 1)]), part(1, 2, 2, ["b"])
    yield "good", joined(first, second)
    yield "no-tensors-first", joined(part(0, 3, 3), part(1, 3, 3, ["a", "b"]), part(2, 3, 3, ["c"]))
    yield "same-keys", joined(first, part(1, 2, 2, ["b"], [key("k", U32, 1)]))
    yield "other-keys", joined(first, part(1, 2, 2, ["b"], [key("k", U32, 2)]))
    yield "other-type", joined(first, part(1, 2, 2, ["b"], [key("k", U64, 1)]))
    arrays = [array("s", STR, ["x", "yz"]), array("f", F32, [1.5])]
    yield "same-arrays", joined(part(0, 2, 0, [], arrays), part(1, 2, 0, [], arrays))
    yield "other-arrays", joined(part(0, 2, 0, [], arrays), part(1, 2, 0, [], [array("s", STR, ["x"])]))
    yield "other-strings", joined(part(0, 2, 0, [], arrays), part(1, 2, 0, [], [array("s", STR, ["x", "y"])]))
    yield "twice", joined(first, part(1, 2, 2, ["a"]))
    yield "missing", joined(first)
    yield "whole", joined(model("llama"))
    yield "second-whole", joined(first, file([key("k", U32, 1)]))
    yield "second-first", joined(second, first)
    yield "second-twice", joined(first, first)
    yield "count", joined(first, part(1, 3, 2, ["b"]))
    yield "count-0", joined(part(0, 0, 2, ["a"]), second)
    yield "count-65535", joined(part(0, 65535, 2, ["a"]), second)
    yield "count-negative", joined(part(0, -2, 2, ["a"], kinds=(U16, I32, I32)), second)
    yield "no-negative", joined(part(-1, 2, 2, ["a"], kinds=(I32, U16, I32)), second)
    yield "no-missing", joined(part(None, 2, 2, ["a"]), second)
    yield "no-string", joined(part("0", 2, 2, ["a"], kinds=(STR, U16, I32)), second)
    yield "tensors", joined(first, part(1, 2, 3, ["b"]))
    yield "tensors-missing", joined(part(0, 2, None, ["a"]), second)
    yield "tensors-negative", joined(part(0, 2, -1, ["a"]), second)
    yield "tensors-too-many", joined(first, part(1, 2, 2, ["b", "c"]))
    yield "damaged", joined(first, second[:-40])


def main():
    for name, all_seeds in ("gguf", seeds()), ("gguf-parts", split_seeds()):
        folder = Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed, content in all_seeds:
            (folder / seed).write_bytes(content)


main()
