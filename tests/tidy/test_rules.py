"""Each rule is shown a breach and must find it, and a clean counterpart and must be silent."""

import ops_rules
import pytest
import structure_rules
import text_rules
from test_tidy import cpp_functions, format_breaches
from tree import Tree

HEADER = "// Owns x.\n#pragma once\n"
OPS = ('#include "ops/norm/norm.h"\nusing Op = std::variant<Norm>;\n')
NORM = "// Source: a paper.\nstruct Norm {\n  TensorView out;  // [rows, width] f32\n};\n"
FAMILY = {"src/ops/ops.h": OPS, "src/ops/norm/norm.h": NORM, "src/ops/norm/norm_cpu.cc": "",
          "src/ops/norm/norm_test.cc": ""}
OPTIONS = "option(GALLOP_CUDA)\noption(GALLOP_FUZZ)\nset(GALLOP_SANITIZE \"\" CACHE STRING \"\")\n"

# rule, a tree that breaks it, a word of the message, a tree that does not
CASES = [
    (text_rules.columns, {"src/a.cc": "x" * 101}, "101", {"src/a.cc": "x" * 100}),
    (text_rules.columns, {"tools/a.py": "x" * 101}, "101", {"tools/a": "x" * 101}),
    (text_rules.blanks, {"src/a.cc": "\tint x;\n"}, "tab", {"Makefile": "a:\n\tb\n"}),
    (text_rules.blanks, {"src/a.cc": "int x; \n"}, "blank", {"src/a.cc": "int x;\n"}),
    (text_rules.blanks, {"src/a.cc": "int x;"}, "newline", {"src/a.cc": ""}),
    (text_rules.file_lengths, {"src/a.cc": "\n" * 601}, "601", {"src/a.cc": "\n" * 600}),
    (text_rules.file_lengths, {"tests/test_a.py": "\n" * 601}, "601", {"src/a.inc": "\n" * 601}),
    (text_rules.file_lengths, {"src/a.cu": "\n" * 801}, "801", {"src/a.cu": "\n" * 800}),
    (text_rules.banned_words, {"src/a.cc": "// TODO: x\n"}, "TODO", {"src/a.cc": "// todos\n"}),
    (text_rules.banned_words, {"src/a.cc": "// HACK\n"}, "HACK", {"src/a.cc": "hackney\n"}),
    (text_rules.banned_words, {"src/a.cc": '"Not implemented"'}, "Not", {"src/a.cc": '"not"'}),
    (text_rules.banned_words, {"src/a.cc": "// placeholder for x"}, "stands", {"src/a.cc": "x"}),
    (text_rules.banned_words, {"src/a.cc": "<< std::endl"}, "flushes", {"src/a.cc": "<< '\\n'"}),
    (text_rules.banned_words, {"src/a_test.cc": "GTEST_SKIP()"}, "fails", {"src/a_test.cc": ""}),
    (text_rules.placed_words, {"src/base/a.cc": 'std::getenv("X")'}, "environment.cc",
     {"src/cli/environment.cc": 'std::getenv("X")', "src/a.cc": "// not getenv\n"}),
    (text_rules.placed_words, {"src/ops/norm/norm_cuda.cu": 'asm volatile("")'}, "ptx.cuh",
     {"src/ops/cuda/device/ptx.cuh": 'asm volatile("")'}),
    (text_rules.placed_words, {"src/model/a.cc": "#include <cuda_runtime.h>"}, "CUDA header",
     {"src/ops/cuda/a.cu": "#include <cuda_runtime.h>"}),
    (text_rules.placed_words, {"src/model/a.cu": "cudaMalloc(&p, 4)"}, "cuda_backend",
     {"src/ops/cuda/cuda_backend.cu": "cudaMalloc(&p, 4)"}),
    (text_rules.using_namespace, {"src/a.h": "using namespace std;\n"}, "a.h:1",
     {"src/a.cc": "using namespace std;\n", "src/b.h": "using std::string;\n"}),
    (text_rules.commented_code, {"src/a.cc": "  // total += rows * width;\n"}, "a.cc:1",
     {"src/a.cc": "// total += rows, as in the paper\nint x;  // y = 2;\n"}),
    (text_rules.commented_code, {"src/a.cc": "// if (x) {\n"}, "a.cc:1",
     {"src/a.cc": "// if (x) holds, stop.\n"}),
    (text_rules.commented_code, {"a.py": "# total = sum(rows)\n"}, "a.py:1",
     {"a.py": "# the total is the sum of rows\n# sum of rows (see above)\n"}),
    (text_rules.commented_code, {"a.py": "# print(total)\n"}, "a.py:1", {"a.py": "# (x)\n"}),
    (text_rules.header_prologues, {"src/a.h": "#pragma once\n"}, "0 comment", {"src/a.h": HEADER}),
    (text_rules.header_prologues, {"src/a.h": "// x\nint y;\n"}, "pragma", {"src/a.h": HEADER}),
    (text_rules.header_prologues, {"src/a_inl.h": "// x\n#pragma once\n"}, "per instruction set",
     {"src/a_inl.h": "// x\n#if defined(A_INL_H_) == defined(HWY_TARGET_TOGGLE)\n"}),
    (structure_rules.include_direction,
     {"src/base/a.h": '#include "tensor/b.h"\n', "src/tensor/b.h": ""}, "not below",
     {"src/tensor/a.h": '#include "base/b.h"\n', "src/base/b.h": ""}),
    (structure_rules.include_direction,
     {"src/model/a.h": '#include "cache/b.h"\n', "src/cache/b.h": ""}, "not below",
     {"src/engine/a.h": '#include "cache/b.h"\n', "src/cache/b.h": ""}),
    (structure_rules.include_direction,
     {"src/server/a.h": '#include "tensor/b.h"\n', "src/tensor/b.h": ""}, "may not know",
     {"src/server/a.h": '#include "text/b.h"\n', "src/text/b.h": ""}),
    (structure_rules.include_direction, {"src/util/a.h": ""}, "layer order", {"src/cli/a.h": ""}),
    (structure_rules.include_direction, {"src/base/a.cc": '#include "b.h"\n', "src/base/b.h": ""},
     "not a path", {"src/base/a.cc": '#include "base/b.h"\n', "src/base/b.h": ""}),
    (structure_rules.include_cycles,
     {"src/base/a.h": '#include "base/b.h"\n', "src/base/b.h": '#include "base/a.h"\n'}, "cycle",
     {"src/base/a.h": '#include "base/b.h"\n', "src/base/b.h": ""}),
    (structure_rules.orphans, {"src/base/a.h": ""}, "nobody",
     {"src/base/a.h": "", "src/base/a.cc": '#include "base/a.h"\n',
      "src/base/CMakeLists.txt": "x(a.cc)\n"}),
    (structure_rules.orphans, {"src/base/a.cc": "", "src/base/CMakeLists.txt": "aa.cc\n"},
     "CMakeLists", {"src/ops/norm/a.cc": "", "src/ops/CMakeLists.txt": "  norm/a.cc norm/b.cc\n"}),
    (structure_rules.generated_files, {"src/a.inc": "0x00,\n"}, "do not edit",
     {"src/a.inc": "// Generated by tools/a.py; do not edit.\n", "tools/a.py": ""}),
    (structure_rules.generated_files,
     {"src/a.inc": "// Generated by tools/a.py; do not edit.\n"}, "tools/a.py", {}),
    (structure_rules.cmake_options, {"CMakeLists.txt": OPTIONS + "option(GALLOP_FAST)\n"},
     "GALLOP_FAST", {"CMakeLists.txt": OPTIONS}),
    (structure_rules.cmake_options, {"CMakeLists.txt": "option(GALLOP_CUDA)"}, "GALLOP_FUZZ",
     {"CMakeLists.txt": OPTIONS}),
    (structure_rules.environment_names, {"src/cli/environment.cc": 'read("LD_PATH")'}, "LD_PATH",
     {"src/cli/environment.cc": 'read("HF_HOME"); read("GALLOP_ISA"); "text"'}),
    (structure_rules.environment_names,
     {"src/cli/environment.cc": "".join(f'"GALLOP_{i}"' for i in range(9))}, "9 variables",
     {"src/cli/environment.cc": "".join(f'"GALLOP_{i}"' for i in range(8))}),
    (structure_rules.conditionals, {"src/base/a.h": "#ifdef X\n#endif\n"}, "at most 0",
     {"src/base/a.h": "#pragma once\n"}),
    (structure_rules.conditionals, {"src/base/thread_pool.cc": ""}, "ratchet",
     {"src/ops/cpu/simd.cc": "#if HWY_ONCE\n#endif\n"}),
    (structure_rules.document_paths, {"a.md": "see `src/b.cc`", "src/a.cc": ""}, "src/b.cc",
     {"a.md": "see `src/a.{h,cc}`, `src/*.cc`, `src/`", "src/a.cc": "", "src/a.h": ""}),
    (structure_rules.document_paths, {"docs/a.md": "[b](b.md)"}, "b.md",
     {"docs/a.md": "[b](b.md#x) [c](../c.md) [d](https://e.org)", "docs/b.md": "", "c.md": ""}),
    (structure_rules.documented_names, {"a.md": "`A::b`", "src/a.h": "class A { int c; };"}, "A::b",
     {"a.md": "`A::b`", "src/a.h": "class A { int b; };"}),
    (structure_rules.documents_in_comments, {"src/a.cc": "// DESIGN.md, 2\n"}, "DESIGN.md",
     {"src/a.cc": "// ARCHITECTURE.md, Threads\n", "ARCHITECTURE.md": ""}),
    (ops_rules.op_folders, {**FAMILY, "src/ops/rope/rope.h": ""}, "rope_test.cc", FAMILY),
    (ops_rules.op_folders, {**FAMILY, "src/ops/ops.h": ""}, "does not include", FAMILY),
    (ops_rules.op_folders, {**FAMILY, "src/ops/cuda/cuda_backend.h": ""}, "CUDA kernel",
     {**FAMILY, "src/ops/cuda/cuda_backend.h": "", "src/ops/norm/norm_cuda.cu": ""}),
    (ops_rules.op_folders,
     {"src/ops/ops.h": f"using Op = std::variant<{', '.join('ABCDE' * 6 + 'F')}>;\n"}, "31 ops",
     {"src/ops/ops.h": f"using Op = std::variant<{', '.join('ABCDE' * 6)}>;\n"}),
    (ops_rules.shape_comments, {**FAMILY, "src/ops/norm/norm.h": "  TensorView out;\n"}, "out has",
     {**FAMILY, "src/ops/norm/norm.h": "  TensorView out;  // [rows] f32, nullable\n"}),
    (ops_rules.sources, {**FAMILY, "src/ops/norm/norm.h": "// A norm.\nstruct Norm {\n"}, "Source",
     FAMILY),
    (ops_rules.sources, {**FAMILY, "src/ops/norm/norm.h": ""}, "no struct", FAMILY),
]


@pytest.mark.parametrize("rule, bad, word, good", CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_rule_can_fail(rule, bad, word, good):
    breaches = rule(Tree.of(bad))
    assert any(word in breach for breach in breaches), breaches
    assert rule(Tree.of(good)) == []


def test_sizes_can_fail():
    assert structure_rules.sizes(Tree({}, {"a": (48 << 20) - 1})) == []
    assert structure_rules.sizes(Tree({}, {"a": 48 << 20}))
    assert structure_rules.sizes(Tree({}, {"tests/a.safetensors": 8 << 20}))
    assert structure_rules.sizes(Tree({}, {"models/a.safetensors": 8 << 20})) == []


def test_function_lengths_can_fail(tmp_path):
    body = "".join(f"  x += {i};\n" for i in range(68))
    (tmp_path / "a.cc").write_text(f"int long_one(int x) {{\n{body}  x += 1;\n  return x;\n}}\n"
                                   f"int fits(int x) {{\n{body}\n}}\n")
    functions = cpp_functions(tmp_path, ["a.cc"])
    assert [(name, lines) for _, _, name, lines in functions] == [("long_one", 72), ("fits", 71)]
    breaches = text_rules.function_lengths(functions)
    assert [breach.split(" has ")[0] for breach in breaches[:1]] == ["a.cc:1: long_one"]
    assert "p90" in breaches[-1]
    assert text_rules.function_lengths([("a.cc", 1, "f", 35)] * 10) == []
    assert text_rules.function_lengths([("a.cu", 1, "f", 120)]) == []
    assert text_rules.function_lengths([("a.cu", 1, "f", 121)])


def test_python_function_lengths():
    tree = Tree.of({"a.py": "def f():\n    x = 1\n    return x\n"})
    assert text_rules.python_functions(tree) == [("a.py", 1, "f", 3)]


def test_clang_format_can_fail(tmp_path):
    (tmp_path / ".clang-format").write_text("BasedOnStyle: Google\n")
    (tmp_path / "good.cc").write_text("int f() { return 1; }\n")
    (tmp_path / "bad.cc").write_text("int  f( ) {return 1;}\n")
    assert format_breaches(tmp_path, ["good.cc"]) == []
    assert "bad.cc" in format_breaches(tmp_path, ["good.cc", "bad.cc"])[0]
