"""The style rules that a machine can check, applied to the checkout (STYLE.md says why)."""

import json
import subprocess

import ops_rules
import pytest
import structure_rules
import text_rules
from tree import Tree

RULES = [
    text_rules.columns,
    text_rules.blanks,
    text_rules.file_lengths,
    text_rules.banned_words,
    text_rules.placed_words,
    text_rules.using_namespace,
    text_rules.commented_code,
    text_rules.header_prologues,
    structure_rules.include_direction,
    structure_rules.include_cycles,
    structure_rules.orphans,
    structure_rules.generated_files,
    structure_rules.cmake_options,
    structure_rules.environment_names,
    structure_rules.conditionals,
    structure_rules.document_paths,
    structure_rules.documented_names,
    structure_rules.documents_in_comments,
    structure_rules.sizes,
    ops_rules.op_folders,
    ops_rules.shape_comments,
    ops_rules.sources,
]


@pytest.fixture(scope="module")
def tree(root):
    return Tree.read(root)


def cpp_functions(root, paths):
    """(path, line, name, lines) of every C++ function, as universal-ctags sees them."""
    if not paths:
        return []
    command = ["ctags", "--output-format=json", "--fields=+ne", "--languages=C++",
               "--langmap=C++:.h.cc.cu.cuh", "--kinds-C++=f", "-o", "-", *paths]
    output = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    tags = [json.loads(line) for line in output.splitlines()]
    return sorted((tag["path"], tag["line"], tag["name"], tag["end"] - tag["line"] + 1)
                  for tag in tags if "end" in tag)


def format_breaches(root, paths):
    """Files that clang-format 14 would change."""
    if not paths:
        return []
    command = ["clang-format-14", "--dry-run", "-Werror", "--ferror-limit=1", *paths]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    found = [line for line in run.stderr.splitlines() if "error:" in line]
    return found or ([run.stderr] if run.returncode else [])


def report(breaches, rule):
    """Fails with the rule and every breach, without a traceback."""
    if breaches:
        pytest.fail("\n".join([rule, *breaches]), pytrace=False)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule, tree):
    report(rule(tree), rule.__doc__)


def test_function_lengths(root, tree):
    functions = cpp_functions(root, tree.cpp()) + text_rules.python_functions(tree)
    assert len(functions) > 100, "ctags found almost no functions"
    report(text_rules.function_lengths(functions), text_rules.function_lengths.__doc__)


def test_clang_format(root, tree):
    report(format_breaches(root, tree.cpp()), "`make format` mends this.")
