#!/usr/bin/env python3
"""Runs the Python blocks of docs/notebooks.md, one after the other, in a demonstration's folder.

    notebooks.py DEMO

Needs pandas, pyarrow, polars, duckdb and matplotlib. The blocks run in a folder of links, so that what they write does not
land in the demonstration.
"""

import os
import pathlib
import re
import sys
import tempfile

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "notebooks.md"


def main():
    demo = pathlib.Path(sys.argv[1]).absolute()
    page = PAGE.read_text(encoding="utf-8")
    blocks = [(match.start(1), match[1]) for match in re.finditer(r"^```python\n(.*?)^```$", page, re.M | re.S)]
    if len(blocks) < 5:
        sys.exit(f"{PAGE} has {len(blocks)} blocks of Python; more are due")
    with tempfile.TemporaryDirectory() as folder:
        for entry in demo.iterdir():
            (pathlib.Path(folder) / entry.name).symlink_to(entry)
        os.chdir(folder)
        names = {"__name__": "__main__"}
        for start, code in blocks:
            # Errors name the line of the page.
            above = "\n" * page.count("\n", 0, start)
            exec(compile(above + code, str(PAGE), "exec"), names)
        drawn = pathlib.Path("categories-again.png").stat().st_size
    print(f"{len(blocks)} blocks ran; the figure has {drawn:,} bytes")


if __name__ == "__main__":
    main()
