"""Chat templates of other model families, from a pinned source archive of the PyPI package
llama-cpp-python (about 77 MB). It is fetched by pip at its first use and kept under build/; nothing
of it is in the repository.
"""

import hashlib
import pathlib
import subprocess
import sys
import tarfile

VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
FOLDER = "/vendor/llama.cpp/models/templates/"


def archive(root):
    """Path of the archive; an archive that cannot be fetched or is another one fails the test."""
    folder = root / "build" / "peer-templates"
    path = folder / f"llama_cpp_python-{VERSION}.tar.gz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                               "--no-binary", "llama-cpp-python", "--dest", folder,
                               f"llama-cpp-python=={VERSION}"],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0 and path.is_file(), (
            f"pip could not fetch llama-cpp-python {VERSION}, whose templates the full tier needs; "
            f"is the network there?\n{done.stdout}{done.stderr}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found == SHA256, f"{path}: expected sha256 {SHA256}, found {found}"
    return path


def read(root):
    """Template source by name."""
    sources = {}
    with tarfile.open(archive(root)) as files:
        for member in files:
            if FOLDER in member.name and member.name.endswith(".jinja"):
                name = pathlib.PurePosixPath(member.name).stem
                sources[name] = files.extractfile(member).read().decode("utf-8")
    return sources
