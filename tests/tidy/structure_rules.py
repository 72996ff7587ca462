"""Rules about how files hang together: layers, cycles, build lists, options, documents, sizes."""

import fnmatch
import pathlib
import re

# Folders under src/ in layer order; an include points to a lower level or into the own folder.
LAYERS = [
    ["base"],
    ["tensor"],
    ["checkpoint", "codec", "text", "media"],
    ["ops"],
    ["model", "cache"],
    ["engine", "quant"],
    ["server"],
    ["cli"],
]
LEVEL = {folder: level for level, folders in enumerate(LAYERS) for folder in folders}

# The narrow waist: the server knows text and JSON, the engine tokens and events.
UNSEEN = {
    "text": {"tensor"},
    "engine": {"text"},
    "server": {"tensor", "checkpoint", "codec", "ops", "model", "cache", "quant"},
}

OPTIONS = {"GALLOP_CUDA", "GALLOP_SANITIZE", "GALLOP_FUZZ"}

# What the program may read from its environment; diagnostics are called GALLOP_*.
VARIABLES = {
    "MODEL_PATH", "SERVED_MODEL_NAME", "DFLASH_DRAFTER", "DFLASH_NUM_SPEC_TOKENS",
    "GPU_MEMORY_UTILIZATION", "MAX_MODEL_LEN", "MAX_NUM_SEQS", "MAX_NUM_BATCHED_TOKENS",
    "VLLM_API_KEY", "HF_TOKEN", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HOME",
}
MAX_DIAGNOSTICS = 8

# Conditional compilation, by file: may shrink, never grow. Each is about the instruction set.
CONDITIONALS = {
    "src/ops/cpu/simd.cc": 1,  # the table of all targets exists once
    "src/base/thread_pool.cc": 2,  # the pause instruction of x86-64 and aarch64
}

CONDITION = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b", re.MULTILINE)

MAX_TREE_BYTES = 48 << 20
MAX_TEST_TENSOR_BYTES = 8 << 20
TENSORS = ("*.safetensors", "*.npy", "*.npz", "*.bin", "*.pt")


def include_direction(tree):
    """An include points down the layers, and not past the narrow waist."""
    found = []
    for path in tree.files("src/*"):
        if not path.endswith((".h", ".cc", ".cu", ".cuh", ".inc")):
            continue
        folder = path.split("/")[1]
        if folder not in LEVEL:
            found.append(f"{path}: src/{folder} is not in the layer order")
            continue
        for include in tree.includes(path):
            target = include.split("/")[0]
            if f"src/{include}" not in tree.texts:
                found.append(f'{path}: includes "{include}", which is not a path under src/')
            elif target != folder and LEVEL[target] >= LEVEL[folder]:
                found.append(f"{path}: {folder} may not include {include}: not below it")
            elif target in UNSEEN.get(folder, ()):
                found.append(f"{path}: {folder} may not know {include}")
    return found


def include_cycles(tree):
    """No header reaches itself through its includes. A file may include itself (Highway)."""
    graph = {path: [f"src/{i}" for i in tree.includes(path) if f"src/{i}" != path]
             for path in tree.cpp()}
    done, found = set(), []

    def visit(path, trail):
        if path in trail:
            found.append("include cycle: " + " > ".join(trail[trail.index(path):] + [path]))
        elif path not in done:
            for target in graph.get(path, ()):
                visit(target, trail + [path])
            done.add(path)

    for path in graph:
        visit(path, [])
    return found


def orphans(tree):
    """Each source is named in a CMakeLists.txt at or above it, each header has an includer."""
    included = {f"src/{include}" for path in tree.cpp() for include in tree.includes(path)}
    found = []
    for path in tree.files("src/*"):
        if path.endswith((".h", ".cuh", ".inc")) and path not in included:
            found.append(f"{path}: nobody includes it")
        elif path.endswith((".cc", ".cu", ".html", ".js", ".css")) and not _in_build(tree, path):
            found.append(f"{path}: in no CMakeLists.txt")
    return found


def _in_build(tree, path):
    for parent in pathlib.PurePath(path).parents:
        build = tree.texts.get(str(parent / "CMakeLists.txt"))
        name = str(pathlib.PurePath(path).relative_to(parent))
        if build and re.search(rf"(^|[\s/(]){re.escape(name)}($|[\s)])", build, re.MULTILINE):
            return True
    return False


def cmake_options(tree):
    """The options are exactly GALLOP_CUDA, GALLOP_SANITIZE and GALLOP_FUZZ."""
    pattern = re.compile(r"^\s*(?:option\s*\(\s*(\w+)|set\s*\(\s*(\w+)[^)]*\bCACHE\b)",
                         re.MULTILINE)
    found = {match[1] or match[2] for path in tree.files("*CMakeLists.txt", "*.cmake")
             for match in pattern.finditer(tree.texts[path])}
    return [f"CMake option {name}: expected exactly {sorted(OPTIONS)}" for name in found ^ OPTIONS]


def environment_names(tree):
    """Only the agreed variables are read, and at most 8 for diagnostics."""
    names = set(re.findall(r'"([A-Z][A-Z0-9]*_[A-Z0-9_]+|HOME)"',
                           tree.texts.get("src/cli/environment.cc", "")))
    diagnostics = {name for name in names if name.startswith("GALLOP_")}
    found = [f"src/cli/environment.cc: {name} is not an agreed variable"
             for name in sorted(names - diagnostics - VARIABLES)]
    if len(diagnostics) > MAX_DIAGNOSTICS:
        found.append(f"{len(diagnostics)} variables for diagnostics, at most {MAX_DIAGNOSTICS}")
    return found


def conditionals(tree):
    """#if is for instruction sets; the number in each file may shrink, never grow."""
    found = []
    for path in tree.cpp():
        count = len(CONDITION.findall(tree.texts[path]))
        allowed = CONDITIONALS.get(path, 0)
        if count > allowed:
            found.append(f"{path}: {count} preprocessor conditions, at most {allowed}")
        elif count < allowed:
            found.append(f"{path}: only {count} preprocessor conditions: lower the ratchet")
    return found


def document_paths(tree):
    """Each path that a document names exists: links, and words in backticks with a known start."""
    tops = {path.split("/")[0] for path in tree.sizes if "/" in path}
    found = []
    for document in tree.files("*.md"):
        text = re.sub(r"^```.*?^```", "", tree.texts[document], flags=re.MULTILINE | re.DOTALL)
        names = [name.split("#")[0] for name in re.findall(r"\]\(([^)\s]+)\)", text)
                 if not re.match(r"[a-z]+:|#", name)]
        names += [name for name in re.findall(r"`([\w.][\w./{},*-]*)`", text)
                  if "/" in name and name.split("/")[0] in tops]
        for name in names:
            for path in _expand(name):
                if not _exists(tree, document, path):
                    found.append(f"{document}: names {path}, which does not exist")
    return found


def documents_in_comments(tree):
    """A document that code or a script refers to is in the tree."""
    found = []
    for path in tree.cpp() + tree.python() + tree.files("*CMakeLists.txt", "*.cmake"):
        if path.startswith("tests/tidy/"):
            continue
        names = re.findall(r"\b[A-Z_]+\.md\b", tree.texts[path])
        names += re.findall(r"\b(?:CONTRACTS|DESIGN)\b", tree.texts[path])
        found += [f"{path}: refers to {name}, which does not exist" for name in sorted(set(names))
                  if not _exists(tree, path, name)]
    return found


def _expand(name):
    """a.{h,cc} > a.h, a.cc"""
    match = re.search(r"\{([^}]*)\}", name)
    if not match:
        return [name]
    return [path for part in match[1].split(",")
            for path in _expand(name[:match.start()] + part + name[match.end():])]


def _exists(tree, document, name):
    for start in (pathlib.PurePath(document).parent, pathlib.PurePath(".")):
        path = _normal(start / name)
        if path in tree.sizes or path in tree.folders or path.startswith("build/"):
            return True
        if "*" in path and fnmatch.filter(tree.sizes, path):
            return True
    return False


def _normal(path):
    parts = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "."


def sizes(tree):
    """All tracked files below 48 MiB, the tests' tensors below 8 MiB."""
    whole = sum(tree.sizes.values())
    tensors = sum(size for path, size in tree.sizes.items()
                  if path.startswith("tests/") and any(fnmatch.fnmatch(path, t) for t in TENSORS))
    found = []
    if whole >= MAX_TREE_BYTES:
        found.append(f"the tree has {whole} bytes, the limit is {MAX_TREE_BYTES}")
    if tensors >= MAX_TEST_TENSOR_BYTES:
        found.append(f"test tensors have {tensors} bytes, the limit is {MAX_TEST_TENSOR_BYTES}")
    return found
