#!/usr/bin/python3
"""Writes the seed corpus of fuzz-tokenizer: a small vocabulary of each model with a text for it, and damaged ones.

    tests/fuzz/make-tokenizer-corpus.py tests/fuzz/corpus/tokenizer
"""
import struct
import sys
from pathlib import Path

U8, I32, U32, F32, BOOL, STRING, ARRAY = 0, 5, 4, 6, 7, 8, 9
FORMATS = {U8: "B", I32: "i", U32: "I", F32: "f", BOOL: "?"}
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
SPACE = "\u2581"
TRUSTED, SPECIAL = 3, 4  # bits of the flags


def string(s):
    b = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(b)) + b


def value(kind, v):
    return string(v) if kind == STRING else struct.pack("<" + FORMATS[kind], v)


def vocabulary(model, tokens, merges=None, **keys):
    """tokens: (text, type, score) or what stands for (text, NORMAL, 0)."""
    tokens = [t if isinstance(t, tuple) else (t, NORMAL, 0.0) for t in tokens]
    entries = {"model": (STRING, model), "tokens": (ARRAY, STRING, [t[0] for t in tokens]),
               "token_type": (ARRAY, I32, [t[1] for t in tokens]), "scores": (ARRAY, F32, [t[2] for t in tokens])}
    if merges is not None:
        entries["merges"] = (ARRAY, STRING, merges)
    for key, v in keys.items():
        entries[key] = v if isinstance(v, tuple) else (BOOL, v) if isinstance(v, bool) else \
            (STRING, v) if isinstance(v, str) else (U32, v)
    body = b""
    for key, v in entries.items():
        if v is None:
            continue
        body += string("tokenizer.ggml." + key) + struct.pack("<I", v[0])
        if v[0] == ARRAY:
            body += struct.pack("<IQ", v[1], len(v[2])) + b"".join(value(v[1], x) for x in v[2])
        else:
            body += value(*v)
    n = sum(v is not None for v in entries.values())
    return struct.pack("<IIQQ", 0x46554747, 3, 0, n) + body


SPECIALS = [("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0), ("<unk>", UNKNOWN, 0.0), ("@@", USER_DEFINED, 0.0),
            ("@@@", USER_DEFINED, 0.0), ("<|user|>", CONTROL, 0.0)]
LETTERS = list("abcdehlo") + ["\u0120", "\u010a", "\u00c3", "\u00a9"]
MERGES = ["h e", "l l", "he ll", "hell o", "\u0120 hello", "\u00c3 \u00a9", "\u010a \u010a"]
BPE = SPECIALS + LETTERS + [m.replace(" ", "") for m in MERGES]
SPM = [("<unk>", UNKNOWN, 0.0), ("<s>", CONTROL, 0.0), ("</s>", CONTROL, 0.0), ("<0x41>", BYTE, 0.0),
       ("<0xC3>", BYTE, 0.0), (SPACE, NORMAL, -9.0), ("a", NORMAL, -9.0), ("b", NORMAL, -9.0), ("ab", NORMAL, -2.0),
       (SPACE + "a", NORMAL, -1.0), (SPACE * 2, NORMAL, -3.0), ("@@", USER_DEFINED, 0.0)]
PIECES = [("[PAD]", CONTROL, 0.0), ("[UNK]", CONTROL, 0.0), ("[CLS]", CONTROL, 0.0), ("[SEP]", CONTROL, 0.0),
          SPACE + "play", "ing", SPACE + "!", SPACE + "e", SPACE + "\u4e2d"]
TEXT = "hello h\u00e9llo\n\n  he'll 1234 HELLO\u4e2d\u6587!? <|user|>@@@@@ a  ab \u0301x"


def charsmap():
    units = [0] * 256
    units[0x41] = 0x41 | 0x100 | 0x80 << 10
    units[0x41 ^ 0x80] = 0x80000000
    return (ARRAY, U8, list(struct.pack("<I256I", 1024, *units) + b"a\0"))


def seeds():
    for pre in ("default", "gpt-2", "llama-bpe", "qwen2", "deepseek-llm", "deepseek-v3", "gpt-4o", "tekken", "smollm",
                "falcon", "jais-2", "kimi-k2", "tiny_aya", "superbpe", "exaone-moe", "chameleon"):
        yield "bpe-" + pre, SPECIAL, TEXT, vocabulary("gpt2", BPE, MERGES, pre=pre)
    yield "bpe-trusted", TRUSTED | SPECIAL, TEXT, vocabulary(
        "gpt2", BPE, MERGES, pre="qwen2", bos_token_id=0, add_bos_token=True)
    yield "bpe-invalid", TRUSTED, b"he\xffllo\xc3 \xed\xa0\x80\0\xf4\x90\x80\x80", vocabulary(
        "gpt2", BPE, MERGES, pre="gpt-2")
    yield "bpe-run", 0, "l" * 600, vocabulary("gpt2", BPE, MERGES, pre="qwen2")
    yield "bpe-steps", 0, "hello", vocabulary("gpt2", ["h", "hello"], MERGES, pre="qwen2", unknown_token_id=0)
    yield "bpe-no-space", 0, "hello", vocabulary("gpt2", BPE, ["he"], pre="qwen2")
    yield "bpe-no-merges", 0, "hello", vocabulary("gpt2", BPE, [], pre="qwen2")
    yield "bpe-pre", 0, "hello", vocabulary("gpt2", BPE, MERGES, pre="nothing")
    yield "bpe-equal", 0, "aab", vocabulary("gpt2", ["a", "a", "ab", "ab", ""], ["a b", "a b"], pre="qwen2")
    yield "gemma4", TRUSTED | SPECIAL, "a b\n\nab \u00e9", vocabulary(
        "gemma4", SPM + ["\n\n"], [SPACE + " a", "a b"], bos_token_id=1)
    yield "spm", SPECIAL, "a ab  b\u00c9A@@a", vocabulary("llama", SPM)
    yield "spm-trusted", TRUSTED | SPECIAL, "<s> a</s>b<unk>", vocabulary("llama", SPM, add_eos_token=True)
    yield "spm-across", 0, "a b a b", vocabulary(
        "llama", SPM + [("a" + SPACE, NORMAL, -1.0), ("b" + SPACE + "a", NORMAL, 0.5)])
    yield "spm-invalid", 0, b"a\xe2\x96\xff\xe2\x96", vocabulary("llama", SPM)
    yield "spm-byte", 0, "a", vocabulary("llama", SPM + [("<0x-1>", BYTE, 0.0)])
    yield "spm-byte-hex", 0, "a", vocabulary("llama", SPM + [("<0xZZ>", BYTE, 0.0)])
    yield "spm-bos", SPECIAL, "a", vocabulary("llama", SPM, bos_token_id=4000)
    yield "spm-scores", 0, "a", vocabulary("llama", SPM, scores=(ARRAY, U8, [1] * len(SPM)))
    yield "spm-types", 0, "a", vocabulary("llama", SPM, token_type=(ARRAY, I32, [1]))
    yield "spm-nan", 0, "ab", vocabulary("llama", SPM + [("ba", NORMAL, float("nan"))])
    yield "spm-inf", 0, "abab", vocabulary(
        "llama", SPM + [("ba", NORMAL, float("inf")), ("aba", NORMAL, float("-inf"))])
    yield "spm-empty", 0, "a", vocabulary("llama", [])
    yield "wordpiece", SPECIAL, "Playing pla\u0301y!\u4e2d\u4e2d \u00c9 x\u200b", vocabulary(
        "bert", PIECES, unknown_token_id=1, cls_token_id=2, seperator_token_id=3)
    yield "wordpiece-cased", 0, b"Play \xff play\xf0\x9f", vocabulary(
        "bert", PIECES, **{"normalizer.lowercase": False})
    yield "unigram", SPECIAL, " a  ab A??@@", vocabulary(
        "t5", SPM, unknown_token_id=0, add_space_prefix=True, precompiled_charsmap=charsmap())
    yield "unigram-merged", 0, "  a   b  ", vocabulary("t5", SPM, unknown_token_id=0, remove_extra_whitespaces=True)
    yield "unigram-map", 0, "aA", vocabulary(
        "t5", SPM, unknown_token_id=0, precompiled_charsmap=(ARRAY, U8, [255, 255, 0, 0, 1]))
    yield "model", 0, "a", vocabulary("rwkv", SPM)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, flags, text, file in seeds():
        text = text if isinstance(text, bytes) else text.encode()
        (folder / name).write_bytes(struct.pack("<BH", flags, len(text)) + text + file)
