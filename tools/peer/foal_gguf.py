#!/usr/bin/env python3
"""`foal_gguf.py GGUF_PY MODEL OUT`: a Qwen3.5 target of this project as a BF16 GGUF file.

GGUF_PY is the folder of llama.cpp's own writer package. No weight is rounded: BF16 matrices are
copied, everything of one dimension and the convolution goes to F32. What differs from the
checkpoint is layout only, and is what llama.cpp's graph of `qwen35` reads:
- norms hold 1 + w, the decay -exp(A_log);
- value heads lie interleaved (head v of every key head, then head v + 1), not grouped by key head.
"""

import json
import pathlib
import struct
import sys

import numpy

FULL_ATTENTION = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
                  "o_proj": "attn_output", "q_norm": "attn_q_norm", "k_norm": "attn_k_norm"}
LINEAR_ATTENTION = {"in_proj_qkv": "attn_qkv", "in_proj_z": "attn_gate", "in_proj_a": "ssm_alpha",
                    "in_proj_b": "ssm_beta", "out_proj": "ssm_out", "conv1d": "ssm_conv1d",
                    "norm": "ssm_norm"}
MLP = {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
OUTER = {"model.embed_tokens.weight": "token_embd.weight", "lm_head.weight": "output.weight",
         "model.norm.weight": "output_norm.weight"}
BLOCK_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm"}


def read_tensors(path):
    """Name to array; BF16 as its 16 bits (numpy has no such type)."""
    data = path.read_bytes()
    (header_bytes,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + header_bytes])
    header.pop("__metadata__", None)
    types = {"BF16": "<u2", "F32": "<f4"}
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + header_bytes + offset for offset in entry["data_offsets"])
        tensors[name] = numpy.frombuffer(data[begin:end], types[entry["dtype"]]).reshape(
            entry["shape"])
    return tensors


def widen(array):
    """F32 of an array of read_tensors."""
    if array.dtype == numpy.float32:
        return array
    return (array.astype(numpy.uint32) << 16).view(numpy.float32)


def gguf_name(name):
    """llama.cpp's name of a tensor of the checkpoint."""
    if name in OUTER:
        return OUTER[name]
    _, _, layer, *rest = name.split(".")
    if rest[0] in BLOCK_NORMS:
        return f"blk.{layer}.{BLOCK_NORMS[rest[0]]}.weight"
    if rest[-1] == "A_log":
        return f"blk.{layer}.ssm_a"
    if rest[-1] == "dt_bias":
        return f"blk.{layer}.ssm_dt.bias"
    table = {"self_attn": FULL_ATTENTION, "linear_attn": LINEAR_ATTENTION, "mlp": MLP}[rest[0]]
    return f"blk.{layer}.{table[rest[1]]}.weight"


def interleave(array, axis, begin, k_heads, head_rows):
    """Value heads from [k_heads, v_per_k] to [v_per_k, k_heads], from row `begin` of `axis` on."""
    rows = numpy.arange(array.shape[axis])
    rows[begin:] = rows[begin:].reshape(k_heads, -1, head_rows).swapaxes(0, 1).reshape(-1)
    return numpy.take(array, rows, axis)


def convert(name, array, config):
    """A tensor in the layout and the precision that the file holds."""
    part = name.split(".")[-1 if name.endswith(("A_log", "dt_bias")) else -2]
    k_heads, v_dim = config["linear_num_key_heads"], config["linear_value_head_dim"]
    key_rows = 2 * k_heads * config["linear_key_head_dim"]
    if part == "conv1d":
        array = array[:, 0, :]
    if ".linear_attn." in name and part != "norm":
        qkv = (0, key_rows, v_dim)
        axis, begin, head_rows = {"in_proj_qkv": qkv, "conv1d": qkv, "in_proj_z": (0, 0, v_dim),
                                  "out_proj": (1, 0, v_dim)}.get(part, (0, 0, 1))
        array = interleave(array, axis, begin, k_heads, head_rows)
    if part == "A_log":
        return -numpy.exp(widen(array))
    if part.endswith("norm") and ".linear_attn." not in name:
        return widen(array) + numpy.float32(1)
    return widen(array) if array.ndim == 1 or part == "conv1d" else array


def add_config(writer, config):
    rope = config["rope_parameters"]
    if rope.get("rope_type", "default") != "default":
        raise SystemExit(f"config.json: rope_type is {rope['rope_type']}; expected default")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(int(config["head_dim"] * rope["partial_rotary_factor"]))
    writer.add_rope_dimension_sections([*rope["mrope_section"], 0])
    writer.add_full_attention_interval(config["full_attention_interval"])
    writer.add_ssm_conv_kernel(config["linear_conv_kernel_dim"])
    writer.add_ssm_state_size(config["linear_key_head_dim"])
    writer.add_ssm_group_count(config["linear_num_key_heads"])
    writer.add_ssm_time_step_rank(config["linear_num_value_heads"])
    writer.add_ssm_inner_size(config["linear_num_value_heads"] * config["linear_value_head_dim"])


def add_tokenizer(writer, gguf, model, config):
    """The vocabulary; ids without a token are marked unused."""
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokens = [f"[PAD{index}]" for index in range(config["vocab_size"])]
    types = [gguf.TokenType.UNUSED] * len(tokens)
    for token, index in tokenizer["model"]["vocab"].items():
        tokens[index], types[index] = token, gguf.TokenType.NORMAL
    for entry in tokenizer["added_tokens"]:
        special = gguf.TokenType.CONTROL if entry["special"] else gguf.TokenType.USER_DEFINED
        tokens[entry["id"]], types[entry["id"]] = entry["content"], special
    merges = [merge if isinstance(merge, str) else " ".join(merge)
              for merge in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen35")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def main(gguf_py, model, out):
    sys.path.insert(0, gguf_py)
    import gguf
    model = pathlib.Path(model)
    config = json.loads((model / "config.json").read_text())
    writer = gguf.GGUFWriter(out, "qwen35")
    writer.add_name("foal")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    add_config(writer, config)
    add_tokenizer(writer, gguf, model, config)
    for name, array in read_tensors(model / "model.safetensors").items():
        array = numpy.ascontiguousarray(convert(name, array, config))
        if array.dtype == numpy.uint16:
            writer.add_tensor(gguf_name(name), array.view(numpy.uint8),
                              raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(gguf_name(name), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
