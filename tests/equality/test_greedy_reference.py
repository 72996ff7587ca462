"""foal's greedy tokens and accepted counts equal to what PyTorch computed (models/foal/reference).

Sampled tier: every fifth prompt; full: all of them.
"""

import pytest

from batches import run_batch


@pytest.mark.parametrize("name", ["greedy", "greedy-hard"])
@pytest.mark.parametrize("drafts, emitted", [(15, "emitted_b16"), (7, "emitted_b8")])
def test_tokens_and_accepted_counts(gallop, foal_directories, reference, full, tmp_path, name,
                                    drafts, emitted):
    items = reference[name]["items"][:: 1 if full else 5]
    requests = [{"tokens": item["prompt_ids"], "max_tokens": reference[name]["max_new"],
                 "temperature": 0, "spec_tokens": drafts} for item in items]
    answers = run_batch(gallop, foal_directories, requests, tmp_path)
    wrong = [item["id"] for item, answer in zip(items, answers)
             if answer["tokens"] != item["greedy_ids"]]
    assert not wrong
    # A near-tie of the drafter's logits could fall the other way in other arithmetic; none does.
    different = [item["id"] for item, answer in zip(items, answers)
                 if answer["accepted_per_step"] != item[emitted]]
    assert not different
    for answer in answers:
        assert 1 + sum(answer["accepted_per_step"]) == len(answer["tokens"])
        assert answer["steps"] == len(answer["accepted_per_step"])
