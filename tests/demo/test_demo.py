"""`make demo` as a newcomer uses it: it starts, the printed lines work, it stops cleanly."""

import subprocess

FREE_PORT = "0"


def test_printed_lines_work(root, gallop):
    assert gallop.is_file()
    command = [root / "tools" / "demo-check", FREE_PORT]
    check = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert check.returncode == 0, check.stdout + check.stderr
    assert check.stdout.splitlines()[-1] == "demo-check: the page and both lines work"


def test_a_taken_port_is_an_error(root, gallop):
    assert gallop.is_file()
    first = subprocess.Popen([root / "tools" / "demo", FREE_PORT], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
    try:
        page = next(line for line in first.stdout if "chat page:" in line)
        port = page.rstrip().rstrip("/").split(":")[-1]
        second = subprocess.run([root / "tools" / "demo", port], capture_output=True, text=True,
                                timeout=60)
        assert second.returncode == 1
        assert port in second.stderr
    finally:
        first.terminate()
        assert first.wait(timeout=30) == 0
