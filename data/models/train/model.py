"""The network: a Qwen2 decoder small enough to be trained on two cores.

Exactly the architecture that GGUF calls `qwen2`: RMSNorm before each block, attention with grouped keys and
values, biases on Q, K and V only, NEOX-style rotary positions, SwiGLU, and an output matrix of its own.
"""
import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    vocab: int = 928
    context: int = 1024
    dim: int = 192
    layers: int = 5
    heads: int = 6
    kv_heads: int = 2
    hidden: int = 448
    rope_base: float = 10000.0
    eps: float = 1e-6

    @property
    def head_dim(self):
        return self.dim // self.heads


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def rope_tables(config):
    """cos and sin, each [context, head_dim], both halves alike (NEOX pairs element i with i + head_dim / 2)."""
    half = config.head_dim // 2
    freq = config.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(config.context, dtype=torch.float64)[:, None] * freq[None, :]
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    """x: [batch, heads, time, head_dim]; cos, sin: [time, head_dim] or [batch, 1, time, head_dim]."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-b, a], dim=-1) * sin


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        kv = c.kv_heads * c.head_dim
        self.c = c
        self.attn_norm = RMSNorm(c.dim, c.eps)
        self.qkv = nn.Linear(c.dim, c.dim + 2 * kv)
        self.attn_output = nn.Linear(c.dim, c.dim, bias=False)
        self.ffn_norm = RMSNorm(c.dim, c.eps)
        self.gate_up = nn.Linear(c.dim, 2 * c.hidden, bias=False)
        self.down = nn.Linear(c.hidden, c.dim, bias=False)

    def forward(self, x, cos, sin, mask, past=None):
        """past: a dict that keeps the keys and values of earlier positions while decoding."""
        c, (batch, time, _) = self.c, x.shape
        qkv = self.qkv(self.attn_norm(x)).view(batch, time, c.heads + 2 * c.kv_heads, c.head_dim).transpose(1, 2)
        qk = rotate(qkv[:, :c.heads + c.kv_heads], cos, sin)
        q, k, v = qk[:, :c.heads], qk[:, c.heads:], qkv[:, c.heads + c.kv_heads:]
        if past is not None:
            if "k" in past:
                k, v = torch.cat([past["k"], k], dim=2), torch.cat([past["v"], v], dim=2)
            past["k"], past["v"] = k, v
        # One matrix product per key/value head: its query heads are rows of the same matrix.
        group = c.heads // c.kv_heads
        q = q.reshape(batch * c.kv_heads, group * time, c.head_dim)
        k, v = k.reshape(batch * c.kv_heads, -1, c.head_dim), v.reshape(batch * c.kv_heads, -1, c.head_dim)
        score = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=1 / math.sqrt(c.head_dim))
        mix = torch.bmm(score.softmax(-1), v).view(batch, c.heads, time, c.head_dim)
        x = x + self.attn_output(mix.transpose(1, 2).reshape(batch, time, c.dim))
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embd = nn.Embedding(config.vocab, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.output_norm = RMSNorm(config.dim, config.eps)
        self.output = nn.Linear(config.dim, config.vocab, bias=False)
        self.cos, self.sin = rope_tables(config)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                deep = name.endswith(("attn_output.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 if "embd" in name else p.shape[1] ** -0.5 * (0.4 if deep else 0.8))
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def hidden(self, tokens):
        """tokens: [batch, time], each row one conversation from position 0. Returns [batch, time, dim]."""
        time, c = tokens.shape[1], self.config
        mask = torch.full((time, time), -1e9).triu(1).repeat(c.heads // c.kv_heads, 1)
        x = self.token_embd(tokens)
        for block in self.blocks:
            x = block(x, self.cos[:time], self.sin[:time], mask)
        return self.output_norm(x)

    @torch.no_grad()
    def generate(self, prompts, end, limit=220):
        """Greedy replies to several prompts (lists of ids) at once; rows are padded on the left."""
        c, rows = self.config, len(prompts)
        width = max(map(len, prompts))
        pad = torch.tensor([width - len(p) for p in prompts])
        tokens = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
        positions = (torch.arange(width)[None, :] - pad[:, None]).clamp(min=0)
        visible = torch.ones(width, width).tril().bool()[None] & (torch.arange(width)[None, None, :] >= pad[:, None, None])
        pasts, replies, done = [{} for _ in self.blocks], [[] for _ in prompts], [False] * rows
        for step in range(limit):
            cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
            mask = (~visible).float().mul(-1e9).repeat_interleave(c.kv_heads, 0).repeat(1, c.heads // c.kv_heads, 1)
            x = self.token_embd(tokens)
            for block, past in zip(self.blocks, pasts):
                x = block(x, cos, sin, mask, past)
            picked = self.output(self.output_norm(x[:, -1])).argmax(-1)
            for row, token in enumerate(picked.tolist()):
                if not done[row]:
                    replies[row].append(token)
                    done[row] = token == end
            if all(done):
                break
            tokens, positions = picked[:, None], positions[:, -1:] + 1
            visible = torch.cat([visible[:, -1:], torch.ones(rows, 1, 1).bool()], dim=2)
        return replies
