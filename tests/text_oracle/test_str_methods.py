"""The str methods of templates against Python's own, over every character.

The program's table has one Unicode version. Under a Python with another one, characters that the
table does not know yet (it says they are not printable) are left out.
"""

import json
import re
import subprocess
import unicodedata

from render_cases import model_directory

TABLES = "src/text/unicode_str_tables.inc"
BLOCK = 1 << 11
CHARACTERS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
PREDICATES = ["isalpha", "isalnum", "isdecimal", "isdigit", "isnumeric", "isupper", "islower",
              "isspace", "isprintable"]
MAPPINGS = ["upper", "lower", "title", "swapcase", "casefold"]
# A character alone; behind a letter or a digit and in front of a sigma; between sigma and letter.
FRAMES = ["{}", "A{}\u03a3", "1{}\u03a3", "A\u03a3{}b"]
PREDICATE_CALLS = ", ".join(f"x.{name}()|int" for name in PREDICATES)
MAPPING_CALLS = ", ".join(f"x.{name}()" for name in MAPPINGS)
TEMPLATE = f"""{{% for x in frames %}}{{{{ [{MAPPING_CALLS}]|tojson }}}}
{{% endfor %}}{{% for x in xs %}}{{{{ [{PREDICATE_CALLS}, x.capitalize()]|tojson }}}}
{{% endfor %}}"""


def case(block):
    """`|` between the frames is neither cased nor looked through."""
    frames = ["|".join(frame.format(char) for char in block) for frame in FRAMES]
    return {"messages": [], "kwargs": {"xs": block, "frames": frames}}


def expected(variables):
    for text in variables["frames"]:
        yield [getattr(text, name)() for name in MAPPINGS]
    for char in variables["xs"]:
        yield [*(int(getattr(char, name)()) for name in PREDICATES), char.capitalize()]


def unknown_characters(gallop, directory):
    """What the table does not know and Python does."""
    model_directory(directory, "{% for x in xs if not x.isprintable() %}{{ x }}{% endfor %}")
    found = render(gallop, directory, [case(block) for block in blocks(CHARACTERS)])
    return {char for text in found for char in text if char.isprintable()}


def blocks(characters):
    return [characters[begin:begin + BLOCK] for begin in range(0, len(characters), BLOCK)]


def render(gallop, directory, cases):
    batch = directory / "cases.jsonl"
    batch.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    done = subprocess.run([gallop, "render", "--model", directory, "--batch", batch],
                          capture_output=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    lines = done.stdout.decode("utf-8").split("\n")
    prompts = [json.loads(line)["prompt"] for line in lines if line]
    assert len(prompts) == len(cases)
    return prompts


def test_every_character(gallop, root, tmp_path):
    version = re.search(r"Unicode ([0-9.]+):", (root / TABLES).read_text("utf-8")).group(1)
    characters = CHARACTERS
    if unicodedata.unidata_version != version:
        unknown = unknown_characters(gallop, tmp_path)
        characters = [char for char in CHARACTERS if char not in unknown]
    cases = [case(block) for block in blocks(characters)]
    model_directory(tmp_path, TEMPLATE)
    wrong = []
    for block, prompt in zip(cases, render(gallop, tmp_path, cases), strict=True):
        found = [json.loads(line) for line in prompt.removesuffix("\n").split("\n")]
        for number, (have, want) in enumerate(zip(found, expected(block["kwargs"]), strict=True)):
            if have == want:
                continue
            chars = block["kwargs"]["xs"]
            if number >= len(FRAMES):
                char = chars[number - len(FRAMES)]
                wrong.append(f"U+{ord(char):04X}: expected {want}, found {have}")
            else:
                wrong += [f"{name} of {FRAMES[number]!r}, U+{ord(chars[0]):04X} to "
                          f"U+{ord(chars[-1]):04X}: expected {left!r}, found {right!r}"
                          for name, left, right in zip(MAPPINGS, want, have, strict=True)
                          if left != right]
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:20])
