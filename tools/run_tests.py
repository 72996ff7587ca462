#!/usr/bin/env python3
"""Runs one tier of tests and counts: `tools/run_tests.py TIER`, `tools/run_tests.py sum TIER...`.

test: CTest on the release build, then pytest. sanitize: the unit tests and the commands' and
server's tests under ASan + UBSan; the unit tests of base, engine and server, and the server's tests
under TSan. aarch64: the unit tests up to the ops, cross-compiled, under qemu-user. full: every
promised test at its full size, part by part; a part that passed is not repeated for the same
program and commit. sum: adds up what the tiers left in build/results and prints the closing line.

The last line is `N passed, N failed`; the exit code is 1 when anything failed or nothing ran.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "results"
PYTEST = [str(ROOT / ".venv" / "bin" / "python"), "-m", "pytest"]
THREADED = ("base", "engine", "server")  # folders whose tests run under TSan
CROSS = ("base", "tensor", "checkpoint", "codec", "ops", "ops_golden")  # what runs as aarch64
SANITIZED = ("api", "checkpoint", "cli", "text_oracle")  # whose program runs under ASan + UBSan
FULL_FUZZ_SECONDS = 300


def junit_counts(path):
    """(passed, failed) of a JUnit file; skipped and unfinished tests count as failed."""
    passed = failed = 0
    for case in xml.parse(path).iter("testcase"):
        status = case.get("status", "run")
        bad = status in ("fail", "disabled", "notrun")
        bad = bad or any(case.find(tag) is not None for tag in ("failure", "error", "skipped"))
        failed += bad
        passed += not bad
    return passed, failed


def run_counted(name, command, junit, env=None):
    """Runs a test runner that writes `junit`; a runner that dies early counts as one failure."""
    print(f"== {name}", flush=True)
    junit.parent.mkdir(parents=True, exist_ok=True)
    junit.unlink(missing_ok=True)
    start = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}).returncode
    passed, failed = junit_counts(junit) if junit.exists() else (0, 0)
    if passed + failed == 0 or (code != 0 and failed == 0):
        print(f"{name}: exit code {code}, {passed} tests passed, none reported as failed")
        failed += 1
    print(f"== {name}: {passed} passed, {failed} failed, {time.monotonic() - start:.0f} s")
    return passed, failed


def ctest(preset, regex="", env=None, prefix=()):
    """The unit tests of one build, two at a time."""
    junit = RESULTS / f"ctest-{preset}.xml"
    command = [*prefix, "ctest", "--preset", preset, "-j2", "--output-junit", str(junit)]
    if regex:
        command += ["-R", regex]
    return run_counted(f"unit tests, {preset}", command, junit, env)


def pytest(name, *arguments, env=None, prefix=()):
    """Python tests, with the environment's pytest."""
    junit = RESULTS / f"pytest-{name}.xml"
    command = [*prefix, *PYTEST, "-q", f"--junitxml={junit}", *arguments]
    return run_counted(f"pytest {name}", command, junit, env)


def build(preset, *targets):
    """Builds a preset; a failed build ends the run."""
    print(f"== build {preset}", flush=True)
    subprocess.run(["tools/build", preset, *targets], cwd=ROOT, check=True)


def threaded_test_targets():
    """Test programs of the folders that have threads; the others are not built with TSan."""
    subprocess.run(["cmake", "--preset", "tsan"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    listing = subprocess.run(["ninja", "-C", "build/tsan", "-t", "targets", "all"], cwd=ROOT,
                             check=True, capture_output=True, text=True).stdout
    names = {line.split(":")[0] for line in listing.splitlines()}
    return [f"{folder}_test" for folder in THREADED if f"{folder}_test" in names]


def without_address_randomisation():
    """TSan of GCC 12 cannot start with 32 bits of mmap randomisation; setarch -R turns it off."""
    prefix = ["setarch", "-R"]
    probe = subprocess.run([*prefix, "true"], capture_output=True)
    return prefix if probe.returncode == 0 else []


def python_folders():
    """Folders of Python tests; each is named to pytest, which then reads its conftest first."""
    return sorted({path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")})


def tier_test():
    folders = [f"tests/{name}" for name in python_folders()]
    return [ctest("release"), pytest("all", "-n2", *folders)]  # two at a time


def tier_sanitize():
    build("asan")
    counts = [ctest("asan", env={"UBSAN_OPTIONS": "print_stacktrace=1"}),
              pytest("asan", "-n2", "--gallop", "build/asan/gallop",
                     *(f"tests/{name}" for name in SANITIZED))]
    targets = threaded_test_targets()
    build("tsan", "gallop", *targets)
    folders = "|".join(target.removesuffix("_test") for target in targets)
    counts.append(ctest("tsan", rf"^({folders})\.", {"TSAN_OPTIONS": "halt_on_error=1"},
                        without_address_randomisation()))
    counts.append(pytest("tsan", "--gallop", "build/tsan/gallop", "tests/api",
                         env={"TSAN_OPTIONS": "halt_on_error=1"},
                         prefix=without_address_randomisation()))
    return counts


def tier_aarch64():
    subprocess.run(["tools/cross-root", "build/aarch64-root"], cwd=ROOT, check=True)
    build("aarch64", *(f"{name}_test" for name in CROSS))
    return [ctest("aarch64", rf"^({'|'.join(CROSS)})\.")]


def fingerprint():
    """What a recorded part is valid for: the program's bytes and the tests' commit."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    program = hashlib.sha256((ROOT / "build/release/gallop").read_bytes()).hexdigest()
    return f"{program} {head.stdout.strip()}"


def fuzz_part():
    code = subprocess.run(["tools/fuzz", str(FULL_FUZZ_SECONDS)], cwd=ROOT).returncode
    return (1, 0) if code == 0 else (0, 1)


def full_parts():
    """Name and action of each part; one part per folder of Python tests."""
    parts = {"unit": lambda: ctest("release")}
    for name in python_folders():
        parts[name] = lambda name=name: pytest(f"full-{name}", "--full", f"tests/{name}")
    parts["sanitize"] = lambda: total(tier_sanitize())
    parts["aarch64"] = lambda: total(tier_aarch64())
    parts["fuzz"] = fuzz_part
    return parts


def tier_full():
    now, counts = fingerprint(), []
    for name, action in full_parts().items():
        record = RESULTS / "full" / f"{name}.json"
        known = json.loads(record.read_text()) if record.exists() else {}
        if known.get("fingerprint") == now:
            print(f"== {name}: passed before, {known['passed']} tests", flush=True)
            counts.append((known["passed"], 0))
            continue
        passed, failed = action()
        counts.append((passed, failed))
        if failed == 0:
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(json.dumps({"fingerprint": now, "passed": passed}))
    return counts


def total(counts):
    return sum(c[0] for c in counts), sum(c[1] for c in counts)


def close(passed, failed):
    """The closing line; nothing may follow it."""
    sys.stderr.flush()
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def main(arguments):
    tiers = {"test": tier_test, "sanitize": tier_sanitize, "aarch64": tier_aarch64,
             "full": tier_full}
    if len(arguments) == 1 and arguments[0] in tiers:
        record = RESULTS / f"{arguments[0]}.json"
        record.unlink(missing_ok=True)
        passed, failed = total(tiers[arguments[0]]())
        record.write_text(json.dumps([passed, failed]))
        return close(passed, failed)
    if len(arguments) > 1 and arguments[0] == "sum":
        records = [RESULTS / f"{name}.json" for name in arguments[1:]]
        missing = [record.name for record in records if not record.exists()]
        counts = [json.loads(record.read_text()) for record in records if record.exists()]
        passed, failed = total(counts)
        return close(passed, failed + len(missing))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
