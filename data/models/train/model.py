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
    """x: [batch, heads, time, head_dim]; cos, sin: [time, head_dim]."""
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

    def forward(self, x, cos, sin, mask):
        c, (batch, time, _) = self.c, x.shape
        qkv = self.qkv(self.attn_norm(x)).view(batch, time, c.heads + 2 * c.kv_heads, c.head_dim).transpose(1, 2)
        qk = rotate(qkv[:, :c.heads + c.kv_heads], cos, sin)
        q, k, v = qk[:, :c.heads], qk[:, c.heads:], qkv[:, c.heads + c.kv_heads:]
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
