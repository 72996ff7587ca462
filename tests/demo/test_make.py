"""The Makefile's promises that need no build, and the counting of test results."""

import importlib.util
import subprocess

import pytest


def run(root, *command):
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)


@pytest.fixture
def run_tests(root):
    """tools/run_tests.py as a module."""
    spec = importlib.util.spec_from_file_location("run_tests", root / "tools" / "run_tests.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_make_lists_its_targets(root):
    listing = run(root, "make", "-s").stdout
    for target in ("build", "test", "test-sanitize", "test-full", "fuzz", "demo", "demo-check",
                   "install", "deps"):
        assert f"make {target} " in listing


@pytest.mark.parametrize("target", ["build-cuda", "test-gpu"])
def test_gpu_targets_say_that_there_is_no_backend(root, target):
    done = run(root, "make", "-s", target)
    assert done.returncode == 2  # make's own code when a recipe fails with 1
    assert "CPU backend only" in done.stderr


def test_deps_refuses_an_unknown_group(root):
    done = run(root, "tools/deps", "tests")
    assert done.returncode == 2
    assert "build, test, fuzz, cross, lint" in done.stderr


def test_deps_is_silent_when_nothing_is_missing(root):
    done = run(root, "tools/deps", "build", "test")
    assert (done.returncode, done.stdout) == (0, "")


JUNIT = """<testsuite>
<testcase name="a" status="run"/>
<testcase name="b" status="fail"><failure message=""/></testcase>
<testcase name="c" status="notrun"><skipped message=""/></testcase>
<testcase name="d" status="disabled"/>
<testcase name="e"/>
<testcase name="f"><error message=""/></testcase>
</testsuite>"""


def test_skipped_and_disabled_tests_count_as_failed(run_tests, tmp_path):
    (tmp_path / "junit.xml").write_text(JUNIT)
    assert run_tests.junit_counts(tmp_path / "junit.xml") == (2, 4)


@pytest.mark.parametrize("passed, failed, code", [(3, 0, 0), (3, 1, 1), (0, 0, 1)])
def test_closing_line(run_tests, capsys, passed, failed, code):
    assert run_tests.close(passed, failed) == code
    assert capsys.readouterr().out == f"{passed} passed, {failed} failed\n"


def test_a_runner_that_dies_counts_as_a_failure(run_tests, tmp_path, monkeypatch):
    monkeypatch.setattr(run_tests, "RESULTS", tmp_path)
    assert run_tests.run_counted("dies", ["false"], tmp_path / "none.xml") == (0, 1)
    assert run_tests.run_counted("runs nothing", ["true"], tmp_path / "none.xml") == (0, 1)
