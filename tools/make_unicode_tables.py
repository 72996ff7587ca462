#!/usr/bin/env python3
"""Writes the character classes that the tokenizer needs: src/text/unicode_tables.inc, what its own
scanners look for, and src/text/unicode_categories.inc, what a regex may name; and, for templates,
src/text/unicode_str_tables.inc: what Python's str says of each code point.

The classes must be those of the PyPI package `tokenizers`, whose regex engine and normaliser carry
their own Unicode versions, so that package itself is asked about every code point. `unicodedata2`
(a newer Unicode than either) names the code points whose normalisation the package does not know.

  pip install tokenizers unicodedata2
  python3 tools/make_unicode_tables.py flags > src/text/unicode_tables.inc
  python3 tools/make_unicode_tables.py categories > src/text/unicode_categories.inc
  python3 tools/make_unicode_tables.py str > src/text/unicode_str_tables.inc

For `str` the running Python itself is asked, and neither package is needed. Debian 12's (3.11) has
Unicode 14.
"""

import itertools
import sys
import unicodedata

if sys.argv[1:] != ["str"]:
    import tokenizers
    import unicodedata2 as unicode
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

    NFC = normalizers.NFC().normalize_str

LETTER, MARK, NUMBER, SPACE, WORD, NFC_CHECK, NFC_INERT = (1 << bit for bit in range(7))
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL_VOWELS_AND_TAILS = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
# In the order of unicode_sets.cc. Code points of no category are Cn, of no script of the list 0.
CATEGORIES = ["Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd",
              "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf",
              "Co"]
SCRIPTS = ["", "Han", "Hiragana", "Katakana", "Hangul", "Latin", "Greek", "Cyrillic", "Arabic",
           "Hebrew", "Thai", "Devanagari", "Bengali", "Tamil", "Georgian", "Armenian"]
# Python's str, in the order of unicode_str.h: StrFlags and CaseMapping.
PREDICATES = [str.isalpha, str.isdecimal, str.isdigit, str.isnumeric, str.isupper, str.islower,
              lambda c: unicodedata.category(c) == "Lt", lambda c: case_ignorable(c),
              str.isprintable, str.isspace]
MAPPINGS = [str.lower, str.upper, str.title, str.casefold]


def matching(pattern):
    """The code points that the package's regex engine matches with `pattern`."""
    split = pre_tokenizers.Split(Regex(pattern), behavior="removed")
    found = set()
    for begin in range(0, len(CODE_POINTS), 4096):
        batch = CODE_POINTS[begin:begin + 4096]
        kept = {ord(char) for piece, _ in split.pre_tokenize_str("".join(map(chr, batch)))
                for char in piece}
        found.update(c for c in batch if c not in kept)
    return found


def word_characters():
    """The code points beside which a `single_word` added token is not recognised."""
    tokenizer = Tokenizer(models.BPE(vocab={}, merges=[]))
    tokenizer.add_tokens([AddedToken("\x00\x01", single_word=True, normalized=False)])
    return {c for c in CODE_POINTS if not tokenizer.encode("\x00\x01" + chr(c)).ids}


def nfc_inert():
    """Code points with a combining class or decomposition that the package does not know."""
    inert = set()
    for c in CODE_POINTS:
        char, parts = chr(c), unicode.decomposition(chr(c))
        canonical = parts and parts[0] != "<"
        if unicode.combining(char) == 0 and not canonical:
            continue
        probes = ["a" + char + "\u0334", "a\u0345" + char]
        if canonical:
            probes += [char, "".join(chr(int(part, 16)) for part in parts.split())]
        if any(NFC(probe) != unicode.normalize("NFC", probe) for probe in probes):
            inert.add(c)
    return inert


def nfc_check(inert):
    """Code points that a text in NFC may lack or that may combine with what stands before them."""
    check = set(HANGUL_VOWELS_AND_TAILS)
    for c in CODE_POINTS:
        char, parts = chr(c), unicode.decomposition(chr(c))
        if c in inert:
            continue
        if unicode.combining(char) or NFC(char) != char:
            check.add(c)
        if parts and parts[0] != "<" and len(parts.split()) == 2:
            check.add(int(parts.split()[1], 16))
    return check - inert


def print_runs(values, bits):
    runs = []
    for value, run in itertools.groupby(range(0x110000), key=values.__getitem__):
        runs.append(f"0x{next(run) << bits | value:08x},")
    for begin in range(0, len(runs), 8):
        print(" ".join(runs[begin:begin + 8]))


def print_flags():
    flags = [0] * 0x110000
    inert = nfc_inert()
    for flag, members in ((LETTER, matching(r"\p{L}")), (MARK, matching(r"\p{M}")),
                          (NUMBER, matching(r"\p{N}")), (SPACE, matching(r"\s")),
                          (WORD, word_characters()), (NFC_CHECK, nfc_check(inert)),
                          (NFC_INERT, inert)):
        for c in members:
            flags[c] |= flag
    print("// Generated by tools/make_unicode_tables.py; do not edit.")
    print(f"// Classes as in `tokenizers` {tokenizers.__version__}; normalisation data checked "
          f"against Unicode {unicode.unidata_version}.")
    print("// Each entry: first code point of a run << 8 | flags (unicode.h, CharFlags).")
    print_runs(flags, 8)


def print_categories():
    values = [0] * 0x110000
    for index, name in enumerate(CATEGORIES[1:], 1):
        for c in matching(rf"\p{{{name}}}+"):
            values[c] |= index
    for index, name in enumerate(SCRIPTS[1:], 1):
        for c in matching(rf"\p{{{name}}}+"):
            values[c] |= index << 5
    for c in matching(r"[\w]+"):
        values[c] |= 1 << 9
    print("// Generated by tools/make_unicode_tables.py; do not edit.")
    print(f"// Classes as in `tokenizers` {tokenizers.__version__}. Each entry: first code point "
          "of a run << 10 |")
    print("// in [\\w] << 9 | script << 5 | general category (unicode_sets.cc).")
    print_runs(values, 10)


def case_ignorable(char):
    """Whether a final sigma looks through the character: str.lower is the only one that tells."""
    return ("A" + char + "\u03a3").lower()[-1] == "\u03c2" != ("1" + char + "\u03a3").lower()[-1]


def print_str():
    records, values, expansions = {}, [], []
    for c in range(0x110000):
        char = chr(c)
        flags = sum(1 << bit for bit, holds in enumerate(PREDICATES) if holds(char))
        deltas = []
        for index, mapping in enumerate(MAPPINGS):
            mapped = [ord(part) for part in mapping(char)]
            deltas.append(mapped[0] - c if len(mapped) == 1 else 0)
            if len(mapped) > 1:
                expansions.append((c << 2 | index, [*mapped, 0][:3]))
        if any(key == c << 2 | index for key, _ in expansions[-4:] for index in range(4)):
            flags |= 1 << len(PREDICATES)
        values.append(records.setdefault((flags, *deltas), len(records)))
    print("// Generated by tools/make_unicode_tables.py; do not edit.")
    print(f"// Python's str with Unicode {unicodedata.unidata_version}: flags, then what the four "
          "mappings add.")
    print("constexpr CharRecord kRecords[] = {")
    for flags, *deltas in records:
        print(f"    {{0x{flags:03x}, {{{', '.join(map(str, deltas))}}}}},")
    print("};\n// Each entry: code point << 2 | mapping, and the code points it becomes.")
    print("constexpr Expansion kExpansions[] = {")
    for begin in range(0, len(expansions), 2):
        print("    " + " ".join(f"{{0x{key:x}, {{{', '.join(f'0x{part:x}' for part in parts)}}}}},"
                                for key, parts in expansions[begin:begin + 2]))
    print("};\n// Each entry: first code point of a run << 10 | record.")
    print("constexpr uint32_t kRecordRuns[] = {")
    print_runs(values, 10)
    print("};")


if __name__ == "__main__":
    {"flags": print_flags, "categories": print_categories, "str": print_str}[sys.argv[1]]()
