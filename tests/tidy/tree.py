"""The checkout as the rules see it: paths and texts of what is tracked or could be."""

import dataclasses
import fnmatch
import functools
import pathlib
import re
import subprocess

CPP = (".h", ".cc", ".cu", ".cuh")
TEXT = CPP + (".inc", ".py", ".md", ".txt", ".cmake", ".json", ".ini", ".jinja", ".html", ".js",
              ".css", ".sh")


@dataclasses.dataclass
class Tree:
    """`texts` maps a path to its text (binary files are left out), `sizes` every path to bytes."""

    texts: dict
    sizes: dict

    @classmethod
    def of(cls, texts):
        """A tree made of literals, for the rules' own tests."""
        return cls(dict(texts), {path: len(text.encode()) for path, text in texts.items()})

    @classmethod
    def read(cls, root):
        """Tracked files and new ones that git does not ignore."""
        listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root,
                                 check=True, capture_output=True, text=True).stdout
        texts, sizes = {}, {}
        for path in filter(None, sorted(set(listing.split("\0")))):
            file = pathlib.Path(root) / path
            if not file.is_file():
                continue
            sizes[path] = file.stat().st_size
            if path.endswith(TEXT) or "." not in file.name or file.name.startswith("."):
                texts[path] = file.read_text(encoding="utf-8")
        return cls(texts, sizes)

    def files(self, *patterns):
        """Paths that match one of the patterns (* also matches /), in order."""
        return [p for p in self.texts if any(fnmatch.fnmatch(p, pattern) for pattern in patterns)]

    def cpp(self):
        return [path for path in self.texts if path.endswith(CPP)]

    def python(self):
        return [path for path in self.texts
                if path.endswith(".py") or self.texts[path].startswith("#!/usr/bin/env python3")]

    def lines(self, path):
        """(number, line) from 1."""
        return list(enumerate(self.texts[path].split("\n"), start=1))

    def includes(self, path):
        """Paths that a C++ file includes in quotes, as written (relative to src/)."""
        return INCLUDE.findall(self.texts[path])

    @functools.cached_property
    def folders(self):
        """Every folder that holds a file."""
        return {str(parent) for path in self.sizes for parent in pathlib.PurePath(path).parents}


INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
