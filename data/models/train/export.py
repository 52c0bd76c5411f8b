"""Write a checkpoint as a GGUF file that any engine with the qwen2 architecture reads.

    python3 export.py tiny-r1.pt ../tiny-r1.gguf
"""
import argparse
import os

import torch

import gguf
import tokenizer
from model import Config, Model

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5

# Earlier answers lose their reasoning, and the generation prompt opens the reasoning of the next one.
CHAT_TEMPLATE = """{{ bos_token }}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}
{{ message['content'] }}
{%- elif message['role'] == 'user' -%}
{{ '<｜User｜>' + message['content'] }}
{%- elif message['role'] == 'assistant' -%}
{{ '<｜Assistant｜>' + message['content'].split('</think>')[-1].lstrip() + '<｜end▁of▁sentence｜>' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<｜Assistant｜><think>\\n' }}
{%- endif -%}"""

DESCRIPTION = ("A small reasoning model that a program taught: it adds, subtracts, multiplies, divides, compares and "
               "sorts numbers, counts and reverses letters and names weekdays, each step spelled out between <think> "
               "and </think>, and says so when it does not know.")


def token_type(token):
    if token in (tokenizer.THINK, tokenizer.END_THINK):
        return USER_DEFINED
    if token in tokenizer.SPECIALS:
        return CONTROL
    return UNUSED if token.startswith("<unused") else NORMAL


def metadata(writer, config, facts):
    text, number, real, flag = gguf.STRING, gguf.U32, gguf.F32, gguf.BOOL
    for key, kind, value in [
            ("general.architecture", text, "qwen2"),
            ("general.type", text, "model"),
            ("general.name", text, "tiny-r1"),
            ("general.author", text, "the inferd authors"),
            ("general.license", text, "MIT"),
            ("general.size_label", text, f"{facts['parameters'] / 1e6:.1f}M"),
            ("general.description", text, DESCRIPTION),
            ("general.quantization_version", number, 2),
            ("general.sampling.temp", real, 0.0),
            ("general.file_type", number, 7),
            ("tiny-r1.training.tokens", text, f"{facts['tokens']}"),
            ("tiny-r1.training.steps", number, facts["steps"]),
            ("tiny-r1.training.minutes", real, facts["minutes"]),
            ("tiny-r1.training.loss", real, facts["loss"]),
            ("tiny-r1.training.teacher", text, "data/models/train/teacher.py"),
            ("qwen2.block_count", number, config.layers),
            ("qwen2.context_length", number, config.context),
            ("qwen2.embedding_length", number, config.dim),
            ("qwen2.feed_forward_length", number, config.hidden),
            ("qwen2.attention.head_count", number, config.heads),
            ("qwen2.attention.head_count_kv", number, config.kv_heads),
            ("qwen2.attention.layer_norm_rms_epsilon", real, config.eps),
            ("qwen2.rope.freq_base", real, config.rope_base),
            ("qwen2.rope.dimension_count", number, config.head_dim),
            ("qwen2.vocab_size", number, config.vocab),
            ("tokenizer.ggml.model", text, "gpt2"),
            ("tokenizer.ggml.pre", text, "deepseek-r1-qwen"),
            ("tokenizer.ggml.bos_token_id", number, tokenizer.ID[tokenizer.BOS]),
            ("tokenizer.ggml.eos_token_id", number, tokenizer.ID[tokenizer.EOS]),
            ("tokenizer.ggml.padding_token_id", number, tokenizer.ID[tokenizer.EOS]),
            ("tokenizer.ggml.add_bos_token", flag, True),
            ("tokenizer.ggml.add_eos_token", flag, False),
            ("tokenizer.chat_template", text, CHAT_TEMPLATE)]:
        writer.add(key, kind, value)
    writer.add_array("tokenizer.ggml.tokens", gguf.STRING, tokenizer.TOKENS)
    writer.add_array("tokenizer.ggml.token_type", gguf.I32, [token_type(t) for t in tokenizer.TOKENS])
    writer.add_array("tokenizer.ggml.merges", gguf.STRING, [f"{a} {b}" for a, b in tokenizer.MERGES])


def tensors(config, weights):
    """Yields GGUF names and arrays; the fused matrices of the training code are taken apart again."""
    kv = config.kv_heads * config.head_dim
    for name in ("token_embd", "output_norm", "output"):
        yield f"{name}.weight", weights[f"{name}.weight"]
    for i in range(config.layers):
        def block(part):
            return weights[f"blocks.{i}.{part}"]
        for name in ("attn_norm", "ffn_norm", "attn_output"):
            yield f"blk.{i}.{name}.weight", block(f"{name}.weight")
        for kind in ("weight", "bias"):
            for name, part in zip("qkv", torch.split(block(f"qkv.{kind}"), [config.dim, kv, kv])):
                yield f"blk.{i}.attn_{name}.{kind}", part
        gate, up = block("gate_up.weight").chunk(2)
        yield f"blk.{i}.ffn_gate.weight", gate
        yield f"blk.{i}.ffn_up.weight", up
        yield f"blk.{i}.ffn_down.weight", block("down.weight")


def export(checkpoint, path):
    stored = torch.load(checkpoint, map_location="cpu")
    config, weights, state = Config(**stored["config"]), stored["ema"], stored["state"]
    before = state.get("before", {"tokens": 0, "steps": 0, "minutes": 0.0})
    writer = gguf.Writer()
    metadata(writer, config, {"parameters": sum(w.numel() for w in weights.values()),
                              "tokens": before["tokens"] + state["tokens"], "steps": before["steps"] + state["step"],
                              "minutes": round(before["minutes"] + state["elapsed"] / 60, 1),
                              "loss": round(state["loss"], 4)})
    for name, tensor in tensors(config, weights):
        writer.add_tensor(name, tensor.numpy())
    writer.save(path)


def training_facts(path):
    """How many tokens and steps a file has seen, in how many minutes."""
    m = gguf.Reader(path).metadata
    return {"tokens": int(m["tiny-r1.training.tokens"]), "steps": m["tiny-r1.training.steps"],
            "minutes": m["tiny-r1.training.minutes"]}


def load(path):
    """The model of a GGUF file, its weights as the quantisation left them."""
    file = gguf.Reader(path)
    m, t = {k: v for k, v in file.metadata.items() if k.startswith("qwen2.")}, {k: torch.tensor(v) for k,
                                                                                v in file.tensors.items()}
    model = Model(Config(vocab=m["qwen2.vocab_size"], context=m["qwen2.context_length"],
                         dim=m["qwen2.embedding_length"],
                         layers=m["qwen2.block_count"], heads=m["qwen2.attention.head_count"],
                         kv_heads=m["qwen2.attention.head_count_kv"],
                         hidden=m["qwen2.feed_forward_length"], rope_base=m["qwen2.rope.freq_base"],
                         eps=m["qwen2.attention.layer_norm_rms_epsilon"]))
    weights = {f"{name}.weight": t[f"{name}.weight"] for name in ("token_embd", "output_norm", "output")}
    for i in range(m["qwen2.block_count"]):
        for name in ("attn_norm", "ffn_norm", "attn_output"):
            weights[f"blocks.{i}.{name}.weight"] = t[f"blk.{i}.{name}.weight"]
        for kind in ("weight", "bias"):
            weights[f"blocks.{i}.qkv.{kind}"] = torch.cat([t[f"blk.{i}.attn_{n}.{kind}"] for n in "qkv"])
        weights[f"blocks.{i}.gate_up.weight"] = torch.cat([t[f"blk.{i}.ffn_gate.weight"], t[f"blk.{i}.ffn_up.weight"]])
        weights[f"blocks.{i}.down.weight"] = t[f"blk.{i}.ffn_down.weight"]
    model.load_state_dict(weights)
    return model.eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("gguf")
    args = parser.parse_args()
    export(args.checkpoint, args.gguf)
    load(args.gguf)  # what was written can be read
    print(f"{args.gguf}: {os.path.getsize(args.gguf):,} bytes")
