"""Seeded strings that are hard on a tokenizer: all scripts, marks, spaces, code, added tokens."""

import subprocess
import unicodedata

SPACES = [" ", "  ", "\n", "\r\n", "\r", "\t", "\x0b", "\x0c", "\x85", "\u00a0", "\u1680", "\u2003",
          "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u200b", "\ufeff", "\u180e", "\x1c"]
CONTRACTIONS = ["'s", "'S", "'\u017f", "'t", "'T", "'re", "'RE", "'rE", "'ve", "'Ve", "'m", "'M",
                "'ll", "'LL", "'lL", "'l", "'r", "'d", "'D", "'", "''s", "\u2019s", "'sX",
                "'\u212a"]
EMOJI = ["\U0001F680", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F1E9\U0001F1EA",
         "\u2764\ufe0f", "\U0001F44D\U0001F3FD", "\u0031\ufe0f\u20e3", "\U0001FAE8",
         "\U0001F9D1\u200d\U0001F4BB"]
ODD = ["\ufffd", "\ufffe", "\uffff", "\U0001FFFE", "\U0010FFFF", "\U000E0001", "\ue000", "\x00",
       "\x01", "\x7f", "\x80", "\x9f", "\u00ad", "\u200d", "\u202e", "\u061c", "\u2060", "\u0149"]
WORDS = ["the", "Hello", "tokenizer", "na\u00efve", "Stra\u00dfe", "cafe\u0301", "I", "x1y2",
         "3.14", "12345", "1\u00b2\u00bd", "\u0967\u0968\u0969", "\u2167", "\u4f60\u597d",
         "\u4e16\u754c\uff01", "\u03ba\u03cc\u03c3\u03bc\u03bf\u03c2",
         "\u041f\u0440\u0438\u0432\u0435\u0442", "\u0645\u0631\u062d\u0628\u0627",
         "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627",
         "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
         "\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
         "don't", "we'LL", "O'Reilly's", "__init__", "->", "::", "!=", "...", "----",
         "#include <vector>", "\tif (x) {\n\t\treturn 0;\n\t}\n", "https://a.b/c?d=e&f#g",
         "{\"k\": [1, 2]}", "\\n", "<b>", "100%", "\u20ac5", "$", "\n\n", " \n ", "   \n\n  x",
         "a" * 70]
# First and last code points of stretches with letters, marks, digits and what came with newer
# Unicode versions.
STRETCHES = [(0x20, 0x7E), (0xA0, 0x24F), (0x250, 0x36F), (0x300, 0x36F), (0x370, 0x52F),
             (0x590, 0x8FF), (0x900, 0xDFF), (0xE00, 0x109F), (0x1100, 0x11FF), (0x1200, 0x1CFF),
             (0x1AB0, 0x1AFF), (0x1DC0, 0x1FFF), (0x2000, 0x2BFF), (0x2E80, 0x33FF),
             (0x3400, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7FF), (0xE000, 0xF8FF),
             (0xF900, 0xFFFF), (0x10000, 0x107FF), (0x10800, 0x10FFF), (0x11000, 0x12FFF),
             (0x16000, 0x16FFF), (0x1BC00, 0x1D7FF), (0x1D000, 0x1EFFF), (0x1F000, 0x1FBFF),
             (0x20000, 0x323AF), (0xE0000, 0xE01FF), (0x0, 0x10FFFF)]


def is_text(code):
    return not 0xD800 <= code < 0xE000


def script_piece(rng):
    begin, end = rng.choice(STRETCHES)
    codes = [rng.randint(begin, end) for _ in range(rng.randint(1, 8))]
    return "".join(chr(code) for code in codes if is_text(code))


def marked_piece(rng):
    """Letters with marks in any order, composed or not."""
    text = ""
    for _ in range(rng.randint(1, 3)):
        text += chr(rng.choice([rng.randint(0x41, 0x7A), rng.randint(0xC0, 0x24F),
                                rng.randint(0x1E00, 0x1FFF), rng.randint(0xAC00, 0xD7A3),
                                rng.randint(0x1100, 0x1112), rng.randint(0x915, 0x939)]))
        for _ in range(rng.randint(0, 3)):
            text += chr(rng.choice([rng.randint(0x300, 0x36F), rng.randint(0x300, 0x304),
                                    rng.randint(0x1161, 0x1175), rng.randint(0x11A7, 0x11C2),
                                    rng.randint(0x93C, 0x94D), rng.randint(0x1AB0, 0x1ACE)]))
    return unicodedata.normalize(rng.choice(["NFC", "NFD"]), text) if rng.random() < 0.7 else text


def added_piece(rng, added):
    """An added token, whole or cut, with things beside it that its flags look at."""
    token = rng.choice(added)
    if rng.random() < 0.15:
        token = token[:rng.randint(0, len(token))]
    before = rng.choice(["", "", " ", "  ", "\n", "\u3000", "a", "_", "\u0301", "-"])
    return before + token + rng.choice(["", "", " ", " \t", "\u2028", "b", "9", "\u0301", "."])


def make_string(rng, added, corpus):
    """One string; `corpus` is running text from which stretches are taken."""
    if rng.random() < 0.01:
        return rng.choice(["", " ", "\n", rng.choice(WORDS + EMOJI + ODD) * rng.randint(50, 400)])
    makers = [
        (5, lambda: rng.choice(WORDS)),
        (4, lambda: rng.choice(SPACES) * rng.choice([1, 1, 1, 2, 3])),
        (2, lambda: rng.choice(CONTRACTIONS)),
        (1, lambda: rng.choice(EMOJI)),
        (1, lambda: rng.choice(ODD)),
        (3, lambda: script_piece(rng)),
        (2, lambda: marked_piece(rng)),
        (2, lambda: added_piece(rng, added)),
        (2, lambda: corpus[(at := rng.randrange(len(corpus))):at + rng.randint(1, 60)]),
    ]
    weights, functions = zip(*makers)
    return "".join(make() for make in rng.choices(functions, weights, k=rng.randint(1, 14)))


def tracked_texts(root):
    """Every file of the repository that is text."""
    names = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True,
                           check=True).stdout.split("\0")
    texts = []
    for name in filter(None, names):
        try:
            texts.append((root / name).read_bytes().decode("utf-8"))
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return texts
