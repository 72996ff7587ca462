"""Split regexes without a hand-written scanner against the engine of the package `tokenizers`.

The pieces are made visible: a ByteLevel behind the Split sets a space before each of them. gallop
may refuse a regex, by name; one that it takes must cut every text as the package does.
"""

import json
import random
import subprocess

import pytest
import text_cases
from tokenizers import Tokenizer

CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
          r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
USUAL = {
    "cl100k": CL100K, "o200k": O200K, "digits": r"\p{N}{1,3}",
    "han": "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", "han script": r"[\p{Han}]+|[^\p{Han}]+",
    "punctuation": (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?"
                    r"[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "thousands": r"\d{1,3}(?=(?:\d{3})*\b)", "word": r"\w+|[^\w\s]+", "in class": r"[\w-]+|\W",
    "lines": r"^\s+|\s+$",
    "spaces": " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+",
    "plain": r" ?[^\s.,!?]+", "text ends": r"\A.|.\z|\n\Z", "empty": "x*|(?=b)",
    "folded": r"(?i)k+|'s",
}
CHARACTERS = list("abksfilt'1_ \n\t-.xX(S") + [
    "\u00e9", "\u017f", "\u212a", "\u00df", "\ufb01", "\ufb06", "\u4f60", "\u0301", "\u00b2",
    "\u00bd",
    "\u3000", "\x85", "\u0661", "\u1c89", "\U00011bc0", "\U0001F680", "\u01c5", "\x0b", "\u2028"]
SETS = [r"\s", r"\S", r"\d", r"\D", r"\w", r"\W", r"\h", r"\H", r"\p{L}", r"\P{L}", r"\p{^Lu}",
        r"\p{Lu}", r"\p{Ll}", r"\p{M}", r"\p{N}", r"\p{P}", r"\p{S}", r"\p{Z}", r"\p{C}", r"\p{Nd}",
        r"\p{Han}", r"\p{Latin}", r"\p{Cyrillic}", r"\p{Zs}", r"\p{Lt}", r"\p{Sc}"]
ASSERTIONS = ["^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z"]
QUANTIFIERS = ["*", "+", "?", "*?", "+?", "??", "*+", "++", "?+", "{2}", "{1,2}", "{,2}", "{2,}",
               "{1,3}?", "{1,2}+", "{2}+"]


class Maker:
    """Regexes and texts from one seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def literal(self):
        char = self.random.choice(CHARACTERS)
        if self.random.random() < 0.1:
            return f"\\x{{{ord(char):X}}}"
        return "\\" + char if char in "'-.( " or self.random.random() < 0.03 else char

    def item(self):
        pick = self.random.random()
        if pick < 0.35:
            return self.random.choice(SETS)
        if pick < 0.5:
            return self.random.choice(["a-f", "0-9", "A-Z", "\u00c0-\u024f", "\u3000-\u9fff"])
        return self.literal()

    def char_class(self):
        items = "".join(self.item() for _ in range(self.random.randint(1, 4)))
        return "[" + self.random.choice(["", "^"]) + items + "]"

    def group(self, depth):
        kind = self.random.choice(["(?:", "(?:", "(", "(?>", "(?=", "(?!", "(?<=", "(?<!", "(?i:",
                                   "(?i)", "(?-i:"])
        return "(?i)" if kind == "(?i)" else kind + self.regex(depth + 1) + ")"

    def atom(self, depth):
        pick = self.random.random()
        if pick < 0.4:
            return self.literal()
        if pick < 0.55:
            return self.random.choice(SETS)
        if pick < 0.7:
            return self.char_class()
        if pick < 0.75:
            return self.random.choice([".", *ASSERTIONS])
        return self.group(depth) if depth < 3 else self.literal()

    def regex(self, depth=0):
        branches = []
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            parts = []
            for _ in range(self.random.randint(1, 3)):
                quantifier = self.random.choice(QUANTIFIERS + [""] * 40)
                parts.append(self.atom(depth) + quantifier)
            branches.append("".join(parts))
        return "|".join(branches)

    def text(self):
        return "".join(self.random.choice(CHARACTERS) for _ in range(self.random.randint(0, 14)))


def byte_tokenizer(regex, behavior, invert):
    """A tokenizer.json of the 256 bytes that shows where the pieces begin."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    names = {byte: chr(byte) for byte in printable}
    for byte in sorted(set(range(256)) - set(printable)):
        names[byte] = chr(0x100 + len(names) - len(printable))
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
             "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "post_processor": None, "decoder": level,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "byte_fallback": False, "ignore_merges": False, "merges": [],
                  "vocab": {names[byte]: byte for byte in range(256)}}})


def oracle(text):
    """The package's tokenizer, or None where its engine refuses the regex."""
    try:
        return Tokenizer.from_str(text)
    except Exception:  # pylint: disable=broad-except
        return None


def check(gallop, directory, regex, behavior, invert, texts):
    """The program's refusal, or None when all texts are cut as by the package."""
    text = byte_tokenizer(regex, behavior, invert)
    (directory / "tokenizer.json").write_text(text, encoding="utf-8")
    done = subprocess.run([gallop, "tokenize", "--model", directory], capture_output=True,
                          input="".join(json.dumps(t) + "\n" for t in texts).encode(), check=False)
    if done.returncode:
        message = done.stderr.decode()
        shown = regex.isprintable() and regex.isascii()  # else stderr has it escaped
        assert done.returncode == 1 and "is not supported: " in message, message
        assert not shown or regex in message, message
        return message
    tokenizer = oracle(text)
    assert tokenizer, f"gallop takes {regex!r}, which the package refuses"
    found = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    for string, ids in zip(texts, found, strict=True):
        want = tokenizer.encode(string).ids
        assert ids == want, (f"{regex!r} {behavior} invert={invert} on {string!r}: "
                             f"{bytes(ids)!r} instead of {bytes(want)!r}")
    return None


@pytest.mark.parametrize("name", USUAL)
def test_usual(name, gallop, foal, full, tmp_path):
    corpus = (foal / "target" / "samples.txt").read_text()
    rng = random.Random(name)
    texts = [text_cases.make_string(rng, ["<x>"], corpus) for _ in range(5000 if full else 500)]
    for behavior in ("Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"):
        for invert in (False, True):
            refusal = check(gallop, tmp_path, USUAL[name], behavior, invert, texts)
            assert name == "spaces" or not refusal, refusal


def test_generated(gallop, full, tmp_path):
    maker = Maker("regex-20261125")
    count, taken = 5000 if full else 300, 0
    for _ in range(count):
        regex = maker.regex()
        behavior = maker.random.choice(["Isolated", "Isolated", "Removed", "Contiguous",
                                        "MergedWithPrevious", "MergedWithNext"])
        invert = maker.random.random() < 0.3
        if oracle(byte_tokenizer(regex, behavior, invert)) is None:
            continue
        texts = [maker.text() for _ in range(60)]
        taken += check(gallop, tmp_path, regex, behavior, invert, texts) is None
    print(f"{taken} of {count} generated regexes are taken, all texts cut alike")
    assert taken >= count // 4
