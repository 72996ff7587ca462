"""The DFlash drafter in plain PyTorch, float32, one sequence: the independent reference for ours.

Written from the algorithm's description: context rows give keys and values only, block rows see the
whole context and each other (a sliding layer: causal, within its window).
"""

import json
import math
import pathlib

import torch
from safetensors.torch import load_file


class Drafter:
    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.config = json.loads((directory / "config.json").read_text())
        weights = load_file(directory / "model.safetensors")
        self.weights = {name: tensor.float() for name, tensor in weights.items()}

    def norm(self, x, weight):
        variance = x.pow(2).mean(-1, keepdim=True)
        return x * torch.rsqrt(variance + self.config["rms_norm_eps"]) * weight

    def rope(self, x, positions):
        dim = self.config["head_dim"]
        inverse = self.config["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float32) / dim)
        angles = (positions.float()[:, None] * inverse[None]).repeat(1, 2)[:, None]
        rotated = torch.cat([-x[..., dim // 2 :], x[..., : dim // 2]], -1)
        return x * angles.cos() + rotated * angles.sin()

    def heads(self, x, weight, norm, positions):
        x = (x @ weight.T).view(x.shape[0], -1, self.config["head_dim"])
        return x if norm is None else self.rope(self.norm(x, norm), positions)

    def attention(self, layer, hidden, context):
        config, weights = self.config, self.weights
        prefix = f"layers.{layer}.self_attn."
        n, b = context.shape[0], hidden.shape[0]
        positions = torch.arange(n + b)
        both = torch.cat([context, hidden])
        q = self.heads(
            hidden,
            weights[prefix + "q_proj.weight"],
            weights[prefix + "q_norm.weight"],
            positions[n:],
        )
        k = self.heads(
            both, weights[prefix + "k_proj.weight"], weights[prefix + "k_norm.weight"], positions
        )
        v = self.heads(both, weights[prefix + "v_proj.weight"], None, positions)
        group = config["num_attention_heads"] // config["num_key_value_heads"]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(config["head_dim"])
        if config["layer_types"][layer] == "sliding_attention":
            age = positions[n:, None] - positions[None]
            scores = scores.masked_fill(
                ~((age >= 0) & (age < config["sliding_window"]))[None], -torch.inf
            )
        mixed = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).reshape(b, -1)
        return mixed @ weights[prefix + "o_proj.weight"].T

    def forward(self, features, block):
        """features [N, taps * hidden] of positions 0..N-1, block [B, hidden] embeddings behind;
        returns the final-normed hidden rows [B, hidden]."""
        weights = self.weights
        context = self.norm(features @ weights["fc.weight"].T, weights["hidden_norm.weight"])
        x = block
        for layer in range(self.config["num_hidden_layers"]):
            prefix = f"layers.{layer}."
            x = x + self.attention(
                layer, self.norm(x, weights[prefix + "input_layernorm.weight"]), context
            )
            y = self.norm(x, weights[prefix + "post_attention_layernorm.weight"])
            gate = torch.nn.functional.silu(y @ weights[prefix + "mlp.gate_proj.weight"].T)
            up = y @ weights[prefix + "mlp.up_proj.weight"].T
            x = x + (gate * up) @ weights[prefix + "mlp.down_proj.weight"].T
        return self.norm(x, weights["norm.weight"])
