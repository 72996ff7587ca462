"""Starts and stops `gallop serve` with the model that ships, on a free port."""

import contextlib
import signal
import subprocess
import threading

START_SECONDS = 60
STOP_SECONDS = 30


@contextlib.contextmanager
def running_server(gallop, foal, *flags):
    """Yields (URL, process); stops the server, which must end with exit code 0."""
    command = [gallop, "serve", foal / "target", "--drafter", foal / "drafter", "--port", "0",
               "--served-model-name", "foal", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    errors = []
    drain = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)
    drain.start()
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    line = process.stdout.readline()
    watchdog.cancel()
    assert line.startswith("listening on http://"), f"{line!r}, {errors}"
    try:
        yield line.split()[-1], process
        assert process.poll() is None, f"the server ended by itself: {errors}"
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=STOP_SECONDS)
        rest = process.stdout.read()
    assert code == 0, errors
    assert rest == "", f"more than one line on stdout: {rest!r}"
