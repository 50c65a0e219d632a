#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""published.py ROOT: what ./dev bench has published is read as it was written, but for ratios of rounded numbers."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root / "bench"))
import peers  # noqa: E402
import report  # noqa: E402


def lines(text):
    """Without the ratios, and without the machine, which is the reader's."""
    return [re.sub(r" \*\*x[\d.]+\*\*", "", line) for line in text.splitlines() if not line.startswith("Machine: ")]


published = (root / "docs" / "benchmarks" / "README.md").read_text()
results = report.read_markdown(published)
again = report.markdown(results, list(peers.ALL), peers.NOTES)
if not results or lines(again) != lines(published):
    different = [pair for pair in zip(lines(published), lines(again)) if pair[0] != pair[1]]
    sys.exit(f"{len(results)} results; published and read again: {different[:1]}")
