"""The tokens of a request depend on nothing that runs beside it: speculation on or off and how many
drafts, alone or in a batch, prefill chunks, threads; greedy and seeded sampling.

Sampled tier: 20 prompts in 12 cells each; full: 20 prompts in every cell, 180 more in 12 each.
"""

import itertools
import json
import random

import pytest

import packed
from batches import run_batch

FACTORS = {"spec": ["off", 4, 8, 15], "seqs": [1, 8], "chunk": [1, 7, 64, 100], "threads": [1, 2],
           "sampled": [False, True]}
CELLS = [dict(zip(FACTORS, values)) for values in itertools.product(*FACTORS.values())]
CELLS_PER_PROMPT = 12


def line(prompt, cell, max_tokens):
    sampling = {"temperature": 0.8, "seed": 1234} if cell["sampled"] else {"temperature": 0}
    return {"tokens": prompt, "max_tokens": max_tokens, "spec_tokens": cell["spec"], **sampling}


def all_pairs_covered(cells):
    """Every pair of values of two factors stands in some cell."""
    for first, second in itertools.combinations(FACTORS, 2):
        wanted = set(itertools.product(FACTORS[first], FACTORS[second]))
        if wanted - {(cell[first], cell[second]) for cell in cells}:
            return False
    return True


def plan(prompts, whole, seed):
    """(prompt index, cell): the first `whole` prompts in every cell, the others in 12 each."""
    source = random.Random(seed)
    tasks = []
    for index in range(len(prompts)):
        cells = CELLS if index < whole else source.sample(CELLS, CELLS_PER_PROMPT)
        tasks += [(index, cell) for cell in cells]
    assert all_pairs_covered([cell for index, cell in tasks if index >= whole])
    source.shuffle(tasks)  # the batches mix everything
    return tasks


def count_differences(gallop, directories, prompts, tasks, max_tokens, tmp_path):
    """Runs every task, one process for each way to run; returns the tasks that differ from plain
    decoding alone."""
    expected = {}
    base = [(index, sampled) for index in range(len(prompts)) for sampled in (False, True)]
    lines = [line(prompts[i], {"spec": "off", "sampled": s}, max_tokens) for i, s in base]
    for key, answer in zip(base, run_batch(gallop, directories, lines, tmp_path, seqs=1)):
        expected[key] = answer["tokens"]
    differences = []
    process = lambda task: tuple(task[1][name] for name in ("seqs", "chunk", "threads"))
    for (seqs, chunk, threads), group in itertools.groupby(sorted(tasks, key=process), process):
        group = list(group)
        answers = run_batch(gallop, directories,
                            [line(prompts[i], cell, max_tokens) for i, cell in group], tmp_path,
                            seqs=seqs, chunk=chunk, threads=threads)
        differences += [(i, cell) for (i, cell), answer in zip(group, answers)
                        if answer["tokens"] != expected[(i, cell["sampled"])]]
    return differences


def test_foal(gallop, foal_directories, reference, full, tmp_path):
    hard = [item["prompt_ids"] for item in reference["greedy-hard"]["items"]]
    easy = [item["prompt_ids"] for item in reference["greedy"]["items"]]
    source = random.Random(5)
    if full:
        prompts = source.sample(hard, 10) + source.sample(easy, 10)
        rest = [p for p in hard + easy if p not in prompts]
        prompts += source.sample(rest, 180)
    else:
        prompts = source.sample(hard, 10) + source.sample(easy, 10)
    tasks = plan(prompts, 20 if full else 0, seed=6)
    differences = count_differences(gallop, foal_directories, prompts, tasks, 48, tmp_path)
    print(f"{len(prompts)} prompts, {len(tasks)} runs, {len(differences)} differences")
    assert differences == []


@pytest.mark.parametrize("scheme", ["modelopt-nvfp4", "modelopt-awq", "mixed"])
def test_packed_foal(gallop, foal_directories, reference, full, tmp_path, scheme):
    """The same over packed weights, with and without scales of inputs, and formats side by side."""
    directories = {part: packed.pack(directory, tmp_path / part, tmp_path / f"{part}-twin", scheme,
                                     seed=7, exact=False)
                   for part, directory in foal_directories.items()}
    source = random.Random(8)
    prompts = [item["prompt_ids"] for name in ("greedy-hard", "greedy")
               for item in source.sample(reference[name]["items"], 10 if full else 5)]
    tasks = plan(prompts, 0, seed=9)
    differences = count_differences(gallop, directories, prompts, tasks, 32, tmp_path)
    print(f"{scheme}: {len(prompts)} prompts, {len(tasks)} runs, {len(differences)} differences")
    assert differences == []


@pytest.mark.parametrize("name, drafts", [("text-small", ["off", 4, 7]),
                                          ("text-odd", ["off", 2, 4])])
def test_random_models(gallop, root, tmp_path, name, drafts):
    """Random drafters accept next to nothing: every step rolls back. Blocks up to the drafter's."""
    directory = root / "tests" / "golden" / name
    golden = json.loads((directory / "golden.json").read_text())
    prompts = [case["ids"] for case in golden["cases"]] + [golden["spec"]["ids"]]
    directories = {"target": directory / "model", "drafter": directory / "drafter"}
    cells = [{"spec": spec, "sampled": sampled} for spec in drafts for sampled in (False, True)]
    lines = [{**line(prompt, cell, 40), "ignore_eos": True} for cell in cells for prompt in prompts]
    plain = run_batch(gallop, directories, lines[: 2 * len(prompts)], tmp_path, seqs=1)
    plain = [answer["tokens"] for answer in plain]
    expected = [case["greedy"] for case in golden["cases"]] + [golden["spec"]["spec_tokens"]]
    assert plain[: len(prompts)] == [tokens[:40] for tokens in expected]  # transformers' answers
    for seqs, chunk, threads in itertools.product((1, 8), (1, 7, 64, 100), (1, 2)):
        answers = run_batch(gallop, directories, lines, tmp_path, seqs=seqs, chunk=chunk,
                            threads=threads)
        different = [index for index, answer in enumerate(answers)
                     if answer["tokens"] != plain[index % len(plain)]]
        assert different == [], (seqs, chunk, threads)
