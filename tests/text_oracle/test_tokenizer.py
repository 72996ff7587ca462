"""gallop's tokenizer against the PyPI package `tokenizers`: all ids and decoded texts equal."""

import itertools
import json
import random
import subprocess
import unicodedata

import pytest
import text_cases
from tokenizers import AddedToken, Tokenizer, normalizers

QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|"
          r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = QWEN35.replace(r"[\p{L}\p{M}]+", r"\p{L}+").replace(r"\p{L}\p{M}\p{N}", r"\p{L}\p{N}")
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
BEHAVIORS = ["Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"]
STRINGS_PER_VARIANT = 150


def split(regex, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}


def byte_level(use_regex=False, add_prefix_space=False):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True,
            "use_regex": use_regex}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def added(content, token_id, flags="", special=False):
    return {"id": token_id, "content": content, "special": special,
            **{flag: flag in flags.split() for flag in
               ("single_word", "lstrip", "rstrip", "normalized")}}


def run(gallop, directory, lines, *options):
    """The program's answers to JSON lines."""
    result = subprocess.run([gallop, "tokenize", "--model", directory, *options],
                            input="".join(line + "\n" for line in lines).encode(),
                            capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()
    answers = [json.loads(line) for line in result.stdout.decode().split("\n")[:-1]]
    assert len(answers) == len(lines)
    return answers


def oracle(directory):
    """The package's tokenizer with the added_tokens_decoder of tokenizer_config.json."""
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    config = directory / "tokenizer_config.json"
    if config.is_file():
        entries = json.loads(config.read_text()).get("added_tokens_decoder", {})
        for _, entry in sorted(entries.items(), key=lambda item: int(item[0])):
            tokenizer.add_tokens([AddedToken(**entry)])
    return tokenizer


def encodable(tokenizer, strings):
    """Without the strings on which the package panics (a token of spaces inside what another one's
    rstrip took gives it a slice that ends before it begins)."""
    kept = []
    for string in strings:
        try:
            tokenizer.encode(string)
        except BaseException as error:  # PanicException is no Exception
            if type(error).__name__ != "PanicException":
                raise
        else:
            kept.append(string)
    assert len(kept) > len(strings) / 2
    return kept


def compare(gallop, directory, strings, add_special=True):
    """Ids of all strings, then the texts of those ids."""
    tokenizer = oracle(directory)
    expected = [encoding.ids for encoding in
                tokenizer.encode_batch(strings, add_special_tokens=add_special)]
    lines = [json.dumps(string, ensure_ascii=i % 2 == 0) for i, string in enumerate(strings)]
    found = run(gallop, directory, lines, "--add-special", "on" if add_special else "off")
    different = [(string, want, got) for string, want, got in zip(strings, expected, found)
                 if want != got]
    assert not different, f"{len(different)} of {len(strings)} differ, first: {different[0]!r}"
    return compare_decoding(gallop, directory, tokenizer, expected)


def compare_exactly(gallop, directory, strings):
    """As compare; what was in NFC before must come back byte for byte."""
    normalize = normalizers.NFC().normalize_str
    for string, text in zip(strings, compare(gallop, directory, strings), strict=True):
        assert text == string or normalize(string) != string, f"{string!r} came back as {text!r}"


def compare_decoding(gallop, directory, tokenizer, id_lists):
    expected = tokenizer.decode_batch(id_lists, skip_special_tokens=False)
    found = run(gallop, directory, [json.dumps(ids) for ids in id_lists], "--decode")
    different = [(ids, want, got) for ids, want, got in zip(id_lists, expected, found)
                 if want != got]
    assert not different, f"{len(different)} of {len(id_lists)} differ, first: {different[0]!r}"
    return found


@pytest.fixture(scope="module")
def corpus(foal):
    return (foal / "target" / "samples.txt").read_text() + open(__file__, encoding="utf-8").read()


@pytest.fixture(scope="module")
def foal_json(foal):
    return json.loads((foal / "target" / "tokenizer.json").read_text())


def write_variant(directory, base, changes, config=None):
    """A tokenizer.json like `base` with other values at dotted keys."""
    tree = json.loads(json.dumps(base))
    for key, value in changes.items():
        *path, last = key.split(".")
        node = tree
        for name in path:
            node = node[name]
        node[last] = value
    (directory / "tokenizer.json").write_text(json.dumps(tree), encoding="utf-8")
    if config is not None:
        (directory / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return directory


def strings_for(seed, contents, corpus, count=STRINGS_PER_VARIANT):
    rng = random.Random(seed)
    return [text_cases.make_string(rng, contents, corpus) for _ in range(count)]


def test_foal_strings(gallop, foal, full, corpus, request):
    count = request.config.getoption("--strings", None) or (1_000_000 if full else 20_000)
    contents = list(oracle(foal / "target").get_added_tokens_decoder().values())
    contents = [token.content for token in contents]
    for begin in range(0, count, 50_000):
        strings = strings_for(begin, contents, corpus, min(50_000, count - begin))
        compare_exactly(gallop, foal / "target", strings)
    print(f"{count} strings: all ids and texts equal")


def test_every_file(gallop, foal, root):
    texts = text_cases.tracked_texts(root)
    assert len(texts) > 200
    compare_exactly(gallop, foal / "target", texts)
    print(f"{len(texts)} files, {sum(map(len, texts))} characters: all ids and texts equal")


def test_foal_every_code_point(gallop, foal):
    strings = [f"a{chr(code)}b \u0301{chr(code)}" for code in range(0x110000)
               if text_cases.is_text(code)]
    compare(gallop, foal / "target", strings)


def test_foal_random_ids(gallop, foal):
    rng = random.Random(7)
    tokenizer = oracle(foal / "target")
    size = tokenizer.get_vocab_size()
    lists = [[rng.randrange(256 if rng.random() < 0.5 else size) for _ in range(rng.randint(0, 12))]
             for _ in range(5000)]
    compare_decoding(gallop, foal / "target", tokenizer, lists)


def pre_tokenizer_variants():
    for regex in (QWEN35, QWEN2, LLAMA3, GPT2):
        for behavior, invert in itertools.product(BEHAVIORS, (False, True)):
            yield sequence(split(regex, behavior, invert), byte_level())
        yield sequence(split(regex), byte_level(add_prefix_space=True))
        yield sequence(split(regex), byte_level(use_regex=True, add_prefix_space=True))
        yield sequence(byte_level(), split(regex))
        yield split(regex)
    for use_regex, prefix in itertools.product((False, True), repeat=2):
        yield byte_level(use_regex, prefix)
        yield sequence(byte_level(use_regex, prefix), byte_level(use_regex, prefix))
    yield sequence(sequence(split(QWEN35)), sequence(split(GPT2), byte_level()))


@pytest.mark.parametrize("index,pre_tokenizer", list(enumerate(pre_tokenizer_variants())))
def test_pre_tokenizer(gallop, foal_json, tmp_path, corpus, index, pre_tokenizer):
    changes = {"pre_tokenizer": pre_tokenizer, "model.ignore_merges": index % 3 == 0,
               "normalizer": None if index % 2 else {"type": "NFC"}}
    if index % 4 == 1:
        changes["model.merges"] = [" ".join(pair) for pair in foal_json["model"]["merges"]]
    write_variant(tmp_path, foal_json, changes)
    compare(gallop, tmp_path, strings_for(index, ["<think>", "<|im_end|>"], corpus))


def test_incomplete_alphabet(gallop, foal_json, tmp_path, corpus):
    """Bytes without a token are left out."""
    keep = {token: i for i, token in enumerate(t for t in foal_json["model"]["vocab"]
                                               if not set(t) & set("e\u0120\u00c3\u0327"))}
    merges = [pair for pair in foal_json["model"]["merges"]
              if all(part in keep for part in (*pair, "".join(pair)))]
    write_variant(tmp_path, foal_json, {"model.vocab": keep, "model.merges": merges,
                                        "added_tokens": []})
    compare(gallop, tmp_path, strings_for(11, ["<think>"], corpus))


def random_added_tokens(rng, first_id, vocabulary):
    """Tokens that overlap, hold spaces and marks, equal vocabulary entries or each other's NFC."""
    contents = ["<x>", "<x", "<x>y", "x>y", " <s>", "<s> ", "  ", "\u00e9", "e\u0301", "\u212b",
                "\u00c5", "A\u030a", "tool call", "\u0120the", "the", "\u4f60", "a", "\n",
                "\U0001F680", "'s", "_w_", "\u0301", "er"]
    flags = ["single_word", "lstrip", "rstrip", "normalized"]
    tokens, next_id = [], first_id
    chosen_contents = rng.sample(contents, rng.randint(3, 10))
    for content in chosen_contents:
        nfc = unicodedata.normalize("NFC", content)
        if any(unicodedata.normalize("NFC", token["content"]) == nfc for token in tokens):
            continue  # the package would take one of the two at random
        chosen = " ".join(flag for flag in flags if rng.random() < 0.35)
        token_id = vocabulary.get(content)
        if token_id is None:
            token_id, next_id = next_id, next_id + 1
        tokens.append(added(content, token_id, chosen, rng.random() < 0.5))
    return tokens


@pytest.mark.parametrize("seed", range(40))
def test_added_tokens(gallop, foal_json, tmp_path, corpus, seed):
    rng = random.Random(seed)
    vocabulary = foal_json["model"]["vocab"]
    tokens = random_added_tokens(rng, len(vocabulary), vocabulary)
    config = None
    if seed % 2:  # some move to tokenizer_config.json, some are there again with other flags
        config_tokens = [token for token in tokens if rng.random() < 0.4]
        cut = rng.randint(1, len(tokens))
        config_tokens += tokens[cut:]
        decoder = {}
        for token in config_tokens:
            entry = {key: value for key, value in token.items() if key != "id"}
            entry["rstrip"] = rng.random() < 0.5
            entry["special"] = rng.random() < 0.5
            decoder[str(token["id"])] = entry
        tokens = tokens[:cut]
        config = {"added_tokens_decoder": decoder}
    pre_tokenizer = rng.choice([sequence(split(QWEN35), byte_level()), byte_level(True, True)])
    write_variant(tmp_path, foal_json,
                  {"added_tokens": tokens, "pre_tokenizer": pre_tokenizer,
                   "normalizer": rng.choice([None, {"type": "NFC"}])}, config)
    contents = [token["content"] for token in tokens]
    strings = strings_for(seed, contents + [a + b for a in contents for b in contents], corpus, 400)
    compare(gallop, tmp_path, encodable(oracle(tmp_path), strings))


def template(*parts):
    special = {"<|im_start|>": [4047], "two": [4048, 5]}
    return {"type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}} if part == "A" else
                       {"SpecialToken": {"id": part, "type_id": 0}} for part in parts],
            "pair": [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"],
            "special_tokens": {name: {"id": name, "ids": ids, "tokens": [name] * len(ids)}
                               for name, ids in special.items()}}


@pytest.mark.parametrize("processor", [
    byte_level(), template("A"), template("<|im_start|>", "A"),
    template("two", "A", "<|im_start|>"),
    {"type": "Sequence", "processors": [byte_level(), template("two", "A")]},
    {"type": "Sequence", "processors": [template("A", "two"), byte_level()]},
    {"type": "Sequence", "processors": []}])
def test_post_processor(gallop, foal_json, tmp_path, corpus, processor):
    write_variant(tmp_path, foal_json, {"post_processor": processor})
    strings = ["", "one"] + strings_for(3, ["<think>"], corpus, 50)
    compare(gallop, tmp_path, strings, True)
    compare(gallop, tmp_path, strings, False)
