"""Rules about the op list: one folder per family with contract, reference and test."""

import re

NOT_FAMILIES = {"cpu", "cuda", "decorators", "testing"}
MAX_OPS = 30
SHAPE = re.compile(r"//.*\[[^\]]*\]\s*\w+")
MEMBER = re.compile(r"^\s*(?:std::optional<)?TensorView>?\s+(\w+)\s*(?:=[^;]*|\{\})?;(.*)$")


def families(tree):
    """Folders of op families under src/ops."""
    names = {path.split("/")[2] for path in tree.files("src/ops/*/*")}
    return sorted(names - NOT_FAMILIES)


def op_names(tree):
    """The alternatives of `using Op = std::variant<...>` in ops.h."""
    text = tree.texts.get("src/ops/ops.h", "")
    match = re.search(r"using Op\s*=\s*std::variant<([^;]*)>\s*;", text)
    return [name.strip() for name in match[1].split(",")] if match else []


def op_folders(tree):
    """Contract, CPU reference and test in each family; ops.h includes each; at most 30 ops."""
    found = []
    listed = tree.includes("src/ops/ops.h") if "src/ops/ops.h" in tree.texts else []
    for family in families(tree):
        for ending in (".h", "_cpu.cc", "_test.cc"):
            path = f"src/ops/{family}/{family}{ending}"
            if path not in tree.texts:
                found.append(f"src/ops/{family}: no {family}{ending}")
        if f"ops/{family}/{family}.h" not in listed:
            found.append(f"src/ops/ops.h does not include {family}.h")
        if "src/ops/cuda/cuda_backend.h" in tree.texts and not tree.files(
                f"src/ops/{family}/{family}*_cuda*.cu"):
            found.append(f"src/ops/{family}: no CUDA kernel")
    if len(op_names(tree)) > MAX_OPS:
        found.append(f"src/ops/ops.h: {len(op_names(tree))} ops, at most {MAX_OPS}")
    return found


def shape_comments(tree):
    """Each TensorView member of a contract says its shape and dtype: `// [rows, width] f32`."""
    paths = [f"src/ops/{family}/{family}.h" for family in families(tree)]
    found = []
    for path in filter(tree.texts.get, paths + ["src/ops/ragged_batch.h"]):
        for number, line in tree.lines(path):
            member = MEMBER.match(line)
            if member and not SHAPE.search(member[2]):
                found.append(f"{path}:{number}: {member[1]} has no comment `// [shape] dtype`")
    return found


def sources(tree):
    """The comment above each op struct says where its formula comes from: `Source: ...`."""
    text = "\n".join(tree.texts[path] for path in tree.files("src/ops/*/*.h"))
    found = []
    for name in op_names(tree):
        match = re.search(rf"((?:^//[^\n]*\n)*)^struct {name}\b[^;]*\{{", text, re.MULTILINE)
        if not match:
            found.append(f"src/ops/ops.h: {name} has no struct in a contract")
        elif "Source:" not in match[1]:
            found.append(f"struct {name}: its comment has no `Source:`")
    return found
