#!/usr/bin/python3
"""Writes tiny models with random weights: those whose logits are recorded in data/logits, and many more of the families
that the engine knows, to hold it against another engine.

    make-models.py FOLDER [NAME...]

One file per NAME of FAMILIES, all of them if none is given. The weights depend on the name and the shapes alone.
"""
import math
import os
import random
import struct
import sys

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
TENSOR_F32 = 0
ALIGNMENT = 32
N_VOCAB = 258


def string(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def scalar(v):
    if isinstance(v, bool):
        return BOOL, struct.pack("<?", v)
    if isinstance(v, int):
        return U32, struct.pack("<I", v)
    if isinstance(v, float):
        return F32, struct.pack("<f", v)
    return STRING, string(v)


def value(v):
    if not isinstance(v, list):
        kind, body = scalar(v)
        return struct.pack("<I", kind) + body
    kind = scalar(v[0])[0]
    kind = I32 if kind == U32 else kind  # as the types of tokens must be
    return struct.pack("<IIQ", ARRAY, kind, len(v)) + b"".join(scalar(x)[1] for x in v)


def pad(b):
    return b + b"\0" * (-len(b) % ALIGNMENT)


class Model:
    def __init__(self, name, arch):
        self.random = random.Random(name)
        self.arch = arch
        self.keys = []
        self.tensors = []
        self.key("general.architecture", arch)
        self.key("general.name", "golden " + name)

    def key(self, name, v):
        self.keys.append(string(name) + value(v))

    def arch_keys(self, keys):
        for name, v in keys.items():
            self.key(f"{self.arch}.{name}", v)

    def floats(self, n, mean, deviation):
        return [self.random.gauss(mean, deviation) for _ in range(n)]

    def add(self, name, shape, body):
        self.tensors.append((name, shape, body))

    def matrix(self, name, *shape):
        """Such weights that a product's outputs are about as large as its inputs."""
        n = math.prod(shape)
        values = self.floats(n, 0, 1.5 / math.sqrt(shape[0]))
        self.add(name, shape, struct.pack(f"<{n}f", *values))

    def vector(self, name, n, mean=1.0, deviation=0.2):
        self.add(name, (n,), struct.pack(f"<{n}f", *self.floats(n, mean, deviation)))

    def vectors(self, name, *shape, deviation=0.3):
        self.add(name, shape, struct.pack(f"<{math.prod(shape)}f", *self.floats(math.prod(shape), 0, deviation)))

    def save(self, path):
        head = struct.pack("<4sIQQ", b"GGUF", 3, len(self.tensors), len(self.keys)) + b"".join(self.keys)
        data = b""
        for name, shape, body in self.tensors:
            head += string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
            head += struct.pack("<IQ", TENSOR_F32, len(data))
            data += pad(body)
        with open(path, "wb") as f:
            f.write(pad(head) + data)


def byte_letters():
    """GPT-2's printable letter for every byte."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in plain]
    return [chr(b) if b in plain else chr(256 + others.index(b)) for b in range(256)]


def vocabulary(m, pre):
    tokens = byte_letters() + ["th", "<|end|>"]
    m.key("tokenizer.ggml.model", "gpt2")
    m.key("tokenizer.ggml.pre", pre)
    m.key("tokenizer.ggml.tokens", tokens)
    m.key("tokenizer.ggml.token_type", [1] * 257 + [3])
    m.key("tokenizer.ggml.merges", ["t h"])
    m.key("tokenizer.ggml.eos_token_id", 257)
    m.key("tokenizer.ggml.add_bos_token", False)


class Shape:
    """What the tensors of a decoder are made of; keywords override."""

    def __init__(self, **kw):
        self.layers, self.embd, self.heads, self.kv_heads, self.head, self.ff = 3, 64, 4, 2, 16, 96
        self.experts, self.used, self.ff_expert, self.dense = 0, 0, 0, 0
        self.tied = False
        self.fused = False
        self.__dict__.update(kw)


def decoder_keys(m, s, more):
    keys = {
        "block_count": s.layers, "context_length": 512, "embedding_length": s.embd, "feed_forward_length": s.ff,
        "attention.head_count": s.heads, "attention.head_count_kv": s.kv_heads,
        "attention.key_length": s.head, "attention.value_length": s.head,
        "attention.layer_norm_rms_epsilon": 1e-5, "rope.dimension_count": s.head, "rope.freq_base": 10000.0,
    }
    if s.experts:
        keys |= {"expert_count": s.experts, "expert_used_count": s.used}
    m.arch_keys(keys | more)


def embeddings(m, s):
    m.matrix("token_embd.weight", s.embd, N_VOCAB)
    m.vector("output_norm.weight", s.embd)
    if not s.tied:
        m.matrix("output.weight", s.embd, N_VOCAB)


def attention(m, s, p, biases=(), qk_norm=False):
    q, kv = s.heads * s.head, s.kv_heads * s.head
    m.vector(p + "attn_norm.weight", s.embd)
    if s.fused:
        m.matrix(p + "attn_qkv.weight", s.embd, q + 2 * kv)
    else:
        for letter, width in (("q", q), ("k", kv), ("v", kv)):
            m.matrix(f"{p}attn_{letter}.weight", s.embd, width)
            if letter in biases:
                m.vector(f"{p}attn_{letter}.bias", width, 0)
    m.matrix(p + "attn_output.weight", q, s.embd)
    if "o" in biases:
        m.vector(p + "attn_output.bias", s.embd, 0)
    if qk_norm:
        m.vector(p + "attn_q_norm.weight", s.head)
        m.vector(p + "attn_k_norm.weight", s.head)


def experts(m, s, p):
    m.matrix(p + "ffn_gate_inp.weight", s.embd, s.experts)
    m.matrix(p + "ffn_gate_exps.weight", s.embd, s.ff_expert, s.experts)
    m.matrix(p + "ffn_up_exps.weight", s.embd, s.ff_expert, s.experts)
    m.matrix(p + "ffn_down_exps.weight", s.ff_expert, s.embd, s.experts)


def shared_expert(m, s, p, width):
    m.matrix(p + "ffn_gate_shexp.weight", s.embd, width)
    m.matrix(p + "ffn_up_shexp.weight", s.embd, width)
    m.matrix(p + "ffn_down_shexp.weight", width, s.embd)


def feed_forward(m, s, p):
    m.vector(p + "ffn_norm.weight", s.embd)
    if s.experts and int(p.split(".")[1]) >= s.dense:
        experts(m, s, p)
    else:
        m.matrix(p + "ffn_gate.weight", s.embd, s.ff)
        m.matrix(p + "ffn_up.weight", s.embd, s.ff)
        m.matrix(p + "ffn_down.weight", s.ff, s.embd)


def gpt_oss(m, window=8, scaling=True):
    s = Shape(layers=2, experts=4, used=2, ff_expert=32)
    more = {"expert_feed_forward_length": s.ff_expert, "attention.sliding_window": window}
    if scaling:
        more |= {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16}
    decoder_keys(m, s, more)
    vocabulary(m, "gpt-4o")
    embeddings(m, s)
    for i in range(s.layers):
        p = f"blk.{i}."
        attention(m, s, p, biases="qkvo")
        m.vector(p + "attn_sinks.weight", s.heads, 0.5, 1)
        m.vector(p + "post_attention_norm.weight", s.embd)
        experts(m, s, p)
        m.vector(p + "ffn_gate_inp.bias", s.experts, 0)
        m.vectors(p + "ffn_gate_exps.bias", s.ff_expert, s.experts, deviation=4)  # beyond the limits of 7
        m.vectors(p + "ffn_up_exps.bias", s.ff_expert, s.experts, deviation=4)
        m.vectors(p + "ffn_down_exps.bias", s.embd, s.experts)


def llama(m, biases="", rope_freqs=False, longrope=False, more={}, **kw):
    s = Shape(**kw)
    decoder_keys(m, s, more)
    vocabulary(m, "gpt-2")
    embeddings(m, s)
    if rope_freqs:
        m.vector("rope_freqs.weight", s.head // 2, 2, 0.5)
    if longrope:
        m.vector("rope_factors_long.weight", s.head // 2, 4, 0.5)
        m.vector("rope_factors_short.weight", s.head // 2, 1.2, 0.1)
    for i in range(s.layers):
        attention(m, s, f"blk.{i}.", biases=biases)
        feed_forward(m, s, f"blk.{i}.")


def qwen(m, biases="", qk_norm=False, gated=False, more={}, **kw):
    s = Shape(**kw)
    if s.ff_expert:
        more = more | {"expert_feed_forward_length": s.ff_expert}
    decoder_keys(m, s, more)
    vocabulary(m, "qwen2")
    embeddings(m, s)
    for i in range(s.layers):
        p = f"blk.{i}."
        attention(m, s, p, biases=biases, qk_norm=qk_norm)
        feed_forward(m, s, p)
        if gated:
            shared_expert(m, s, p, s.ff)
            m.vector(p + "ffn_gate_inp_shexp.weight", s.embd, 0)


def gemma(m, qk_norm=False, more={}, **kw):
    s = Shape(tied=True, **kw)
    decoder_keys(m, s, more)
    vocabulary(m, "gpt-2")
    embeddings(m, s)
    for i in range(s.layers):
        p = f"blk.{i}."
        attention(m, s, p, qk_norm=qk_norm)
        feed_forward(m, s, p)
        m.vector(p + "post_attention_norm.weight", s.embd)
        m.vector(p + "post_ffw_norm.weight", s.embd)


def granite(m, shared=0, more={}, **kw):
    s = Shape(**kw)
    more = {"embedding_scale": 12.0, "residual_scale": 0.22, "logit_scale": 8.0, "attention.scale": 0.1} | more
    if shared:
        more["expert_shared_feed_forward_length"] = shared
    decoder_keys(m, s, more)
    vocabulary(m, "gpt-2")
    embeddings(m, s)
    for i in range(s.layers):
        p = f"blk.{i}."
        attention(m, s, p)
        feed_forward(m, s, p)
        if shared:
            shared_expert(m, s, p, shared)


def phi3(m, factors=True, rope=16, more={}, **kw):
    s = Shape(fused=True, kv_heads=4, **kw)
    decoder_keys(m, s, more)
    vocabulary(m, "gpt-2")
    embeddings(m, s)
    if factors:
        m.vector("rope_factors_long.weight", rope // 2, 4, 0.5)
        m.vector("rope_factors_short.weight", rope // 2, 1.2, 0.1)
    for i in range(s.layers):
        p = f"blk.{i}."
        attention(m, s, p)
        m.vector(p + "ffn_norm.weight", s.embd)
        m.matrix(p + "ffn_up.weight", s.embd, 2 * s.ff)
        m.matrix(p + "ffn_down.weight", s.ff, s.embd)


def deepseek2(m, q_rank=0, split=True, bias=False, shared=1, more={}, **kw):
    s = Shape(**kw)
    rope, nope, rank, v_dim = 8, 16, 32, 16
    keys = {
        "block_count": s.layers, "context_length": 512, "embedding_length": s.embd, "feed_forward_length": s.ff,
        "attention.head_count": s.heads, "attention.head_count_kv": 1 if split else s.heads,
        "attention.layer_norm_rms_epsilon": 1e-6, "rope.dimension_count": rope, "rope.freq_base": 10000.0,
        "attention.kv_lora_rank": rank, "leading_dense_block_count": s.dense, "expert_shared_count": shared,
        "expert_count": s.experts, "expert_used_count": s.used, "expert_feed_forward_length": s.ff_expert,
        "attention.key_length": rank + rope if split else nope + rope,
        "attention.value_length": rank if split else v_dim,
    }
    if split:
        keys |= {"attention.key_length_mla": nope + rope, "attention.value_length_mla": v_dim}
    if q_rank:
        keys["attention.q_lora_rank"] = q_rank
    m.arch_keys(keys | more)
    vocabulary(m, "deepseek-v3")
    embeddings(m, s)
    for i in range(s.layers):
        p = f"blk.{i}."
        m.vector(p + "attn_norm.weight", s.embd)
        if q_rank:
            m.matrix(p + "attn_q_a.weight", s.embd, q_rank)
            m.vector(p + "attn_q_a_norm.weight", q_rank)
            m.matrix(p + "attn_q_b.weight", q_rank, s.heads * (nope + rope))
        else:
            m.matrix(p + "attn_q.weight", s.embd, s.heads * (nope + rope))
        m.matrix(p + "attn_kv_a_mqa.weight", s.embd, rank + rope)
        m.vector(p + "attn_kv_a_norm.weight", rank)
        if split:
            m.matrix(p + "attn_k_b.weight", nope, rank, s.heads)
            m.matrix(p + "attn_v_b.weight", rank, v_dim, s.heads)
        else:
            m.matrix(p + "attn_kv_b.weight", rank, s.heads * (nope + v_dim))
        m.matrix(p + "attn_output.weight", s.heads * v_dim, s.embd)
        feed_forward(m, s, p)
        if i >= s.dense:
            shared_expert(m, s, p, shared * s.ff_expert)
            if bias:
                m.vector(p + "exp_probs_b.bias", s.experts, 0)


# name: architecture, function, its keywords
YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16}
FAMILIES = {
    "gpt-oss": ("gpt-oss", gpt_oss, {}),
    "mixtral": ("llama", llama, dict(layers=2, ff=32, ff_expert=32, experts=4, used=2)),
    "llama-yarn": ("llama", llama, dict(more=YARN)),
    "llama-yarn-attn": ("llama", llama, dict(more=YARN | {"rope.scaling.attn_factor": 1.3})),
    "llama-linear": ("llama", llama, dict(more={"rope.scaling.type": "linear", "rope.scaling.factor": 4.0})),
    "llama-none": ("llama", llama, dict(more={"rope.scaling.type": "none", "rope.scaling.factor": 4.0})),
    "llama-scale": ("llama", llama, dict(more={"attention.scale": 0.2})),
    "llama-head": ("llama", llama, dict(head=32, tied=True, biases="qkvo", rope_freqs=True)),
    "llama-longrope": ("llama", llama, dict(longrope=True, more={"rope.scaling.type": "longrope",
                                            "rope.scaling.original_context_length": 32, "rope.scaling.attn_factor": 1.2})),
    "llama-window": ("llama", llama, dict(more={"attention.sliding_window": 400})),
    "qwen3": ("qwen3", qwen, dict(qk_norm=True, tied=True)),
    "qwen3-yarn": ("qwen3", qwen, dict(qk_norm=True, head=32, more=YARN)),
    "qwen2": ("qwen2", qwen, dict(biases="qkv", tied=True)),
    "qwen2-yarn": ("qwen2", qwen, dict(biases="qkv", more=YARN)),
    "qwen3moe": ("qwen3moe", qwen, dict(qk_norm=True, experts=8, used=3, ff_expert=32)),
    "qwen2moe": ("qwen2moe", qwen, dict(biases="qkv", experts=8, used=3, ff_expert=32, gated=True)),
    "qwen2moe-shared": ("qwen2moe", qwen, dict(biases="qkv", experts=8, used=3, ff_expert=32, gated=True,
                                               more={"expert_shared_feed_forward_length": 96})),
    "gemma2": ("gemma2", gemma, dict(more={"attention.sliding_window": 8, "attn_logit_softcapping": 5.0,
                                           "final_logit_softcapping": 10.0})),
    "gemma2-defaults": ("gemma2", gemma, dict()),
    "gemma2-27b": ("gemma2", gemma, dict(layers=46, head=32, embd=32, ff=32, more={"attention.sliding_window": 8})),
    "gemma3": ("gemma3", gemma, dict(layers=7, qk_norm=True, more={
        "attention.sliding_window": 8, "rope.freq_base": 1000000.0, "rope.scaling.type": "linear",
        "rope.scaling.factor": 8.0})),
    "gemma3-1b": ("gemma3", gemma, dict(layers=7, qk_norm=True, more={
        "attention.sliding_window": 8, "rope.freq_base": 1000000.0, "final_logit_softcapping": 10.0})),
    "gemma3-27b": ("gemma3", gemma, dict(layers=62, qk_norm=True, head=32, embd=32, ff=32, more={
        "attention.sliding_window": 8, "rope.freq_base": 1000000.0})),
    "gemma3-global": ("gemma3", gemma, dict(qk_norm=True)),
    "gemma3-pattern": ("gemma3", gemma, dict(layers=7, qk_norm=True, more={
        "attention.sliding_window": 8, "attention.sliding_window_pattern": 3,
        "rope.freq_base_swa": 500.0})),
    "granite": ("granite", granite, dict()),
    "granite-tied": ("granite", granite, dict(tied=True, more={"residual_scale": 0.0})),
    "granite-nope": ("granite", granite, dict(more={"rope.scaling.finetuned": False})),
    "granitemoe": ("granitemoe", granite, dict(ff=64, ff_expert=64, experts=4, used=2)),
    "granitemoe-shared": ("granitemoe", granite, dict(layers=2, ff=32, ff_expert=32, experts=4, used=2, shared=16)),
    "p3": ("phi3", phi3, dict(factors=False)),
    "p3-window": ("phi3", phi3, dict(factors=False, more={"attention.sliding_window": 400})),
    "p3-partial": ("phi3", phi3, dict(rope=12, more={"rope.dimension_count": 12, "rope.scaling.attn_factor": 1.2,
                                                       "rope.scaling.original_context_length": 32})),
    "p3-short": ("phi3", phi3, dict(tied=True, more={"rope.scaling.attn_factor": 1.2,
                                            "rope.scaling.original_context_length": 4096})),
    "deepseek-v2": ("deepseek2", deepseek2, dict(q_rank=24, dense=1, experts=8, used=3, ff_expert=32, shared=2, more=YARN | {
        "rope.scaling.yarn_log_multiplier": 0.0707, "expert_weights_scale": 16.0})),
    "deepseek-v2-groups": ("deepseek2", deepseek2, dict(q_rank=24, dense=1, experts=8, used=2, ff_expert=32, shared=2, more=YARN | {
        "rope.scaling.yarn_log_multiplier": 0.0707, "expert_weights_scale": 16.0, "expert_group_count": 4,
        "expert_group_used_count": 2, "expert_weights_norm": False, "expert_gating_func": 1})),
    "deepseek-v2-lite": ("deepseek2", deepseek2, dict(layers=27, embd=32, ff=32, dense=1, experts=8, used=3, ff_expert=32,
        shared=2, more=YARN | {"rope.scaling.yarn_log_multiplier": 0.0707})),
    "deepseek-v2-lite-legacy": ("deepseek2", deepseek2, dict(layers=27, embd=32, ff=32, dense=1, experts=8, used=3, ff_expert=32,
        shared=2, split=False, more=YARN | {"rope.scaling.yarn_log_multiplier": 0.0707})),
    "deepseek-v3": ("deepseek2", deepseek2, dict(layers=2, q_rank=24, dense=1, experts=8, used=3, ff_expert=32, bias=True, more=YARN | {
        "rope.scaling.yarn_log_multiplier": 0.1, "expert_weights_scale": 2.5, "expert_weights_norm": True,
        "expert_gating_func": 2, "expert_group_count": 4, "expert_group_used_count": 2})),
    "deepseek-yarn-nolog": ("deepseek2", deepseek2, dict(q_rank=24, dense=1, experts=8, used=3, ff_expert=32, more=YARN)),
    "deepseek-yarn-attn": ("deepseek2", deepseek2, dict(q_rank=24, dense=1, experts=8, used=3, ff_expert=32, more=YARN | {
        "rope.scaling.yarn_log_multiplier": 0.05, "rope.scaling.attn_factor": 1.2})),
}


def main(folder, *names):
    for name in names or FAMILIES:
        arch, make, keywords = FAMILIES[name]
        m = Model(name, arch)
        make(m, **keywords)
        m.save(os.path.join(folder, name + ".gguf"))


main(*sys.argv[1:])
