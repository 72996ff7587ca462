"""Score tensors of the model that ships, by Hugging Face transformers (float32, CPU): the reference
for real head sizes.

    python make_foal_golden.py models/foal tests/golden/foal

Needs torch, transformers >= 5.12, safetensors. Writes golden.safetensors and golden.json: for
three short prompts of reference/greedy.json `i.logits` [tokens, vocab], `i.hidden.L` [tokens,
hidden] (the residual stream after layer L; the last layer's after model.norm, as transformers
returns it), and `i.draft.hidden`, `i.draft.logits` of the first block whose anchor is the
prompt's last id.
"""

import json
import pathlib
import sys

import torch
import transformers
from dflash_reference import Drafter
from safetensors.torch import save_file

LAYERS = [0, 3, 6, 7]
PROMPTS = 3


def main(foal, out):
    torch.set_grad_enabled(False)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        foal / "target", dtype=torch.float32, attn_implementation="eager"
    ).eval()
    drafter = Drafter(foal / "drafter")
    items = json.loads((foal / "reference" / "greedy.json").read_text())["items"]
    chosen = sorted(items, key=lambda item: len(item["prompt_ids"]))[:PROMPTS]
    taps = drafter.config["dflash_config"]["target_layer_ids"]
    mask = drafter.config["dflash_config"]["mask_token_id"]
    tensors, cases = {}, []
    for i, item in enumerate(chosen):
        ids = item["prompt_ids"]
        result = model(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False)
        tensors[f"{i}.logits"] = result.logits[0]
        for layer in LAYERS:
            tensors[f"{i}.hidden.{layer}"] = result.hidden_states[layer + 1][0]
        features = torch.cat([result.hidden_states[tap + 1][0, :-1] for tap in taps], -1)
        block = [ids[-1]] + [mask] * (drafter.config["block_size"] - 1)
        hidden = drafter.forward(features, model.get_input_embeddings().weight[block])
        tensors[f"{i}.draft.hidden"] = hidden
        tensors[f"{i}.draft.logits"] = hidden[1:] @ model.lm_head.weight.T
        cases.append({"id": item["id"], "ids": ids, "hidden_layers": LAYERS})
    out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: t.clone().contiguous() for name, t in tensors.items()}, out / "golden.safetensors"
    )
    (out / "golden.json").write_text(
        json.dumps(
            {
                "cases": cases,
                "transformers": transformers.__version__,
                "torch": torch.__version__,
                "dtype": "float32",
            }
        )
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
