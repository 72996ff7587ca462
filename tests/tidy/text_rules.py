"""Rules about the text of single files. A rule takes a Tree and returns one message per breach."""

import ast
import re

import numpy

MAX_COLUMNS = 100
MAX_FILE_LINES = 600
MAX_KERNEL_LINES = 800
MAX_HOST_LINES = 70
MAX_DEVICE_LINES = 120
MAX_HOST_P90 = 35

# The files whose lines are data of other programs, not ours to format.
DATA = ("models/", "LICENSE", "tests/golden/")

BANNED = [
    (r"\b(TODO|FIXME|XXX|HACK)\b", "an open end: finish it or leave it out"),
    (r"(?i)not implemented", "name what is missing and what was found instead"),
    (r"(?i)placeholder for", "nothing stands in for something else"),
    (r"\bstd::endl\b", "write '\\n'; endl flushes"),
    (r"\bGTEST_SKIP\b|\bDISABLED_", "a test that cannot run fails"),
]

# Words that may stand in one place only: pattern, where, why.
PLACED = [
    (r"\basm\b\s*(volatile)?\s*\(", r"/ptx\.cuh$|^src/base/thread_pool\.cc$",
     "inline assembly belongs in ptx.cuh (thread_pool.cc has the pause instruction)"),
    (r"\bcudaMalloc\w*\b", r"/cuda_backend\.", "device memory is allocated by cuda_backend"),
    (r"\bcudaDeviceSynchronize\b", r"_test\.(cc|cu)$", "synchronising the device is for tests"),
    (r'#\s*include\s*[<"](cuda|cublas)', r"^src/ops/cuda/|_cuda\.cu$", "no CUDA header here"),
    (r"\b(secure_)?getenv\b|\benviron\b", r"^src/cli/environment\.cc$",
     "the environment is read in src/cli/environment.cc"),
]

CODE_COMMENT = re.compile(
    r"""^\s*//\s*(
        [\w:.\->\[\]]+\s*(\(|[-+*/|&]?=)[^.]*;  |  # a call or an assignment
        (if|for|while|switch)\s*\(.*[;{]        |
        (return|break|continue)\b[^.]*;         |
        (const\s|auto\s|int\s|std::)[^.]*;      |
        \#\s*(include|if|define)\b.*            |
        [{}]+;?
    )\s*$""", re.VERBOSE)


def _ours(tree, *endings):
    return [path for path in tree.texts if not path.startswith(DATA) and path.endswith(endings)]


def columns(tree):
    """At most 100 characters in a line of C++, CUDA and Python."""
    paths = tree.cpp() + tree.python()
    return [f"{path}:{number}: {len(line)} columns, at most {MAX_COLUMNS}"
            for path in dict.fromkeys(paths) for number, line in tree.lines(path)
            if len(line) > MAX_COLUMNS]


def blanks(tree):
    """No tab, no blank at the end of a line, a newline at the end of the file."""
    found = []
    for path in _ours(tree, ""):
        for number, line in tree.lines(path):
            if "\t" in line and path != "Makefile":
                found.append(f"{path}:{number}: a tab")
            if line != line.rstrip():
                found.append(f"{path}:{number}: a blank at the end of the line")
        if tree.texts[path] and not tree.texts[path].endswith("\n"):
            found.append(f"{path}: no newline at the end")
    return found


def file_lengths(tree):
    """Files of at most 600 lines, kernels 800; generated tables (.inc) are exempt."""
    found = []
    for path in dict.fromkeys(tree.cpp() + tree.python()):
        limit = MAX_KERNEL_LINES if path.endswith((".cu", ".cuh")) else MAX_FILE_LINES
        lines = tree.texts[path].count("\n")
        if lines > limit:
            found.append(f"{path}: {lines} lines, at most {limit}")
    return found


def banned_words(tree):
    """Open ends, flushes and silent skips, in code and build files."""
    paths = [p for p in tree.files("src/*", "tests/*", "cmake/*", "tools/*", "CMakeLists.txt")
             if not p.startswith(("tests/tidy/",) + DATA)]
    found = []
    for path in paths:
        for pattern, why in BANNED:
            for match in re.finditer(pattern, tree.texts[path]):
                line = tree.texts[path].count("\n", 0, match.start()) + 1
                found.append(f"{path}:{line}: '{match.group()}': {why}")
    return found


def placed_words(tree):
    """Words that have one home."""
    found = []
    for path in tree.cpp():
        for pattern, home, why in PLACED:
            match = re.search(pattern, _without_comments(tree.texts[path]))
            if match and not re.search(home, path):
                found.append(f"{path}: '{match.group().strip()}': {why}")
    return found


def using_namespace(tree):
    """No `using namespace` in a header."""
    return [f"{path}:{number}: using namespace in a header" for path in tree.files("*.h", "*.cuh")
            for number, line in tree.lines(path) if re.match(r"\s*using namespace\b", line)]


def commented_code(tree):
    """No code in comments: lines of C++ that end like statements, Python that parses as one."""
    found = [f"{path}:{number}: code in a comment: {line.strip()}" for path in tree.cpp()
             for number, line in tree.lines(path) if CODE_COMMENT.match(line)]
    for path in tree.python():
        found += [f"{path}:{number}: code in a comment: {line.strip()}"
                  for number, line in tree.lines(path) if _is_python_statement(line.strip())]
    return found


def _is_python_statement(line):
    if not line.startswith("# ") or not re.search(r"[=()]", line):
        return False
    try:
        body = ast.parse(line[2:].strip()).body
    except (SyntaxError, ValueError):
        return False
    statements = (ast.Assign, ast.AugAssign, ast.Import, ast.Return)
    return len(body) == 1 and (isinstance(body[0], statements) or _is_call(body[0]))


def _is_call(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def header_prologues(tree):
    """A header opens with 1 to 8 lines on what it owns, then `#pragma once`.

    One that is compiled once per instruction set (`*_inl.h`) has Highway's guard in its place.
    """
    found = []
    for path in tree.files("src/*.h", "src/*.cuh"):
        lines = tree.texts[path].split("\n")
        comment = next((i for i, line in enumerate(lines) if not line.startswith("//")), 0)
        if not 1 <= comment <= 8:
            found.append(f"{path}: opens with {comment} comment lines, expected 1 to 8")
        elif path.endswith("_inl.h"):
            if not lines[comment].endswith("== defined(HWY_TARGET_TOGGLE)"):
                found.append(f"{path}: line {comment + 1} is not a guard per instruction set")
        elif lines[comment] != "#pragma once":
            found.append(f"{path}: line {comment + 1} is not '#pragma once'")
    return found


def function_lengths(functions):
    """`functions`: (path, line, name, lines). Host at most 70 and p90 at most 35, device 120."""
    found = []
    for path, line, name, lines in functions:
        limit = MAX_DEVICE_LINES if path.endswith((".cu", ".cuh")) else MAX_HOST_LINES
        if lines > limit:
            found.append(f"{path}:{line}: {name} has {lines} lines, at most {limit}")
    host = [lines for path, _, _, lines in functions if not path.endswith((".cu", ".cuh"))]
    p90 = float(numpy.percentile(host, 90)) if host else 0.0
    if p90 > MAX_HOST_P90:
        found.append(f"p90 of {len(host)} functions is {p90:.0f} lines, at most {MAX_HOST_P90}")
    return found


def python_functions(tree):
    """(path, line, name, lines) of every Python function."""
    return [(path, node.lineno, node.name, node.end_lineno - node.lineno + 1)
            for path in tree.python() for node in ast.walk(ast.parse(tree.texts[path]))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _without_comments(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)
