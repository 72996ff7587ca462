#!/usr/bin/env python3
"""Writes tests/golden/ops/ops.safetensors: what PyTorch and transformers make of small op inputs.

    python3 -m venv /tmp/goldens
    /tmp/goldens/bin/pip install torch transformers numpy safetensors
    /tmp/goldens/bin/python tools/reference/make_op_goldens.py

Everything is float32 on the CPU. Each case holds its inputs and `out`; tests/ops_golden_test.cc
feeds the inputs to the ops and compares. The tensors are committed; nothing else needs torch.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers.models.qwen3 import modeling_qwen3 as qwen3
from transformers.models.qwen3_5 import modeling_qwen3_5 as qwen35

ROOT = Path(__file__).resolve().parents[2]


def norms():
    """RMSNorm of the target (1 + weight), of the drafter (weight), and the gated one."""
    x, weight = torch.randn(5, 100) * 3, torch.randn(100)
    target, drafter = qwen35.Qwen3_5RMSNorm(100, eps=1e-6), qwen3.Qwen3RMSNorm(100, eps=1e-6)
    gated = qwen35.Qwen3_5RMSNormGated(16, eps=1e-6)
    target.weight.data = drafter.weight.data = weight
    gated.weight.data = torch.randn(16)
    heads, gate = torch.randn(5, 3, 16), torch.randn(5, 3, 16) * 3
    return {
        "rms_norm.x": x,
        "rms_norm.weight": weight,
        "rms_norm.out": target(x),
        "rms_norm.plain": drafter(x),
        "gated_norm.x": heads,
        "gated_norm.gate": gate,
        "gated_norm.weight": gated.weight,
        "gated_norm.out": gated(heads, gate),
    }


def rope():
    """Norm and rotation of queries: a quarter of the head at theta 1e7, and the whole head."""
    positions = torch.tensor([[0, 1, 7, 300, 4097, 40000]])
    x = torch.randn(1, 6, 3, 64) * 2
    weight = torch.randn(64)
    out = {"rope.x": x[0], "rope.weight": weight, "rope.positions": positions[0].int()}
    partial = transformers.Qwen3_5TextConfig(
        head_dim=64,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 1e7,
            "partial_rotary_factor": 0.25,
            "mrope_section": [3, 3, 2],
        },
    )
    whole = transformers.Qwen3Config(
        head_dim=64, rope_parameters={"rope_type": "default", "rope_theta": 1e6}
    )
    target, drafter = qwen35.Qwen3_5RMSNorm(64, eps=1e-6), qwen3.Qwen3RMSNorm(64, eps=1e-6)
    target.weight.data = drafter.weight.data = weight
    for name, module, rotary, norm in (
        ("partial", qwen35, qwen35.Qwen3_5TextRotaryEmbedding(partial), target),
        ("whole", qwen3, qwen3.Qwen3RotaryEmbedding(whole), drafter),
    ):
        cos, sin = rotary(x, positions)
        query = norm(x).transpose(1, 2)
        rotated, _ = module.apply_rotary_pos_emb(query, query, cos, sin)
        out[f"rope.{name}"] = rotated.transpose(1, 2)[0]
    return out


def attention():
    """Grouped heads: causal, over a block that sees itself whole, and in a window of 4."""
    query, key, value = torch.randn(1, 4, 9, 32), torch.randn(1, 2, 9, 32), torch.randn(1, 2, 9, 32)
    row, column = torch.arange(9)[:, None], torch.arange(9)[None, :]
    visible = {
        "causal": column <= row,
        "full": torch.ones(9, 9, dtype=torch.bool),
        "window": (column <= row) & (row - column < 4),
    }
    out = {f"attention.{n}": t[0].transpose(0, 1) for n, t in zip("qkv", (query, key, value))}
    module = torch.nn.Module()
    module.num_key_value_groups = 2
    for name, mask in visible.items():
        added = torch.zeros(9, 9).masked_fill(~mask, float("-inf"))[None, None]
        result, _ = qwen35.eager_attention_forward(module, query, key, value, added, 32**-0.5)
        out[f"attention.{name}"] = result[0]
    return out


def convolution():
    """Twenty tokens at once, then three through the carried state."""
    x, weight = torch.randn(1, 12, 23), torch.randn(12, 4)
    first = qwen35.causal_conv1d_fn(x[..., :20], weight, activation="silu")
    rest = [
        qwen35.causal_conv1d_update(x[..., t : t + 1], state, weight, activation="silu")
        for state in [x[..., 16:20].clone()]
        for t in range(20, 23)
    ]
    out = torch.cat([first, *rest], dim=-1)
    return {"conv.x": x[0].T, "conv.weight": weight, "conv.out": out[0].T}


def delta_rule(name, k_heads, v_heads, dim, tokens, keep_state):
    """GDN by transformers' recurrent and chunked rules; gates as in Qwen3_5GatedDeltaNet."""
    query, key = torch.randn(2, 1, tokens, k_heads, dim)
    value = torch.randn(1, tokens, v_heads, dim)
    a, b = torch.randn(2, 1, tokens, v_heads) * 2
    a_log, dt_bias = torch.rand(v_heads) * 4 - 3, torch.randn(v_heads)
    decay = -a_log.exp() * F.softplus(a + dt_bias)
    options = {"output_final_state": True, "use_qk_l2norm_in_kernel": True}
    inputs = (query, key, value, decay, b.sigmoid())
    recurrent, state = qwen35.torch_recurrent_gated_delta_rule(*inputs, **options)
    chunked, _ = qwen35.torch_chunk_gated_delta_rule(*inputs, **options)
    out = {
        "qkv": torch.cat([t.flatten(2) for t in (query, key, value)], dim=-1)[0],
        "a": a[0],
        "b": b[0],
        "a_log": a_log,
        "dt_bias": dt_bias,
        "recurrent": recurrent[0],
        "chunked": chunked[0],
    }
    if keep_state:
        out["state"] = state[0]
    return {f"{name}.{part}": tensor for part, tensor in out.items()}


def gates():
    gate_up, x, gate = torch.randn(3, 64) * 4, torch.randn(3, 2, 16), torch.randn(3, 2, 16) * 4
    gate_half, up_half = gate_up.chunk(2, dim=-1)
    return {
        "silu_mul.gate_up": gate_up,
        "silu_mul.out": F.silu(gate_half) * up_half,
        "sigmoid_mul.x": x,
        "sigmoid_mul.gate": gate,
        "sigmoid_mul.out": x * gate.sigmoid(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "tests/golden/ops/ops.safetensors")
    out = parser.parse_args().out
    torch.manual_seed(1)
    with torch.no_grad():
        tensors = {
            **norms(),
            **rope(),
            **attention(),
            **convolution(),
            **delta_rule("gdn_small", 2, 4, 16, 70, True),
            **delta_rule("gdn_real", 1, 2, 128, 6, False),
            **gates(),
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    save_file({name: t.detach().contiguous() for name, t in tensors.items()}, out, versions)
    print(f"{out}: {len(tensors)} tensors, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
