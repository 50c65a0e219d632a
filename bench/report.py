# SPDX-License-Identifier: MIT
"""What run.py prints and publishes: lines, a Markdown table, an SVG plot."""
import os
import platform
import re

WIDTH = 30


def number(v):
    """Three figures."""
    if v >= 1e6:
        return f"{v / 1e6:.3g}M" if v < 999.5e6 else f"{v:.3g}"
    return f"{v:,.0f}" if v >= 99.95 else f"{v:.1f}" if v >= 9.995 else f"{v:.2f}"


def cell(r):
    return f"{number(r['median'])} ({number(r['min'])}..{number(r['max'])})"


def ratio(ours, theirs):
    """How many times less we take: more than 1 is faster than they are."""
    if not ours or not theirs or ours["median"] <= 0:
        return None
    return theirs["median"] / ours["median"]


def line_head():
    return f"{'row':{WIDTH}} procs  median (min..max), and how many times runnel is faster"


def lines(results):
    """One line for each row measured."""
    out = []
    for row in dict.fromkeys(r["row"] for r in results):
        here = {r["peer"]: r for r in results if r["row"] == row}
        first = next(iter(here.values()))
        parts = []
        for peer, r in here.items():
            times = ratio(here.get("runnel"), r) if peer != "runnel" else None
            parts.append(f"{peer} {cell(r)}" + (f" x{times:.2f}" if times else ""))
        out.append(f"{row:{WIDTH}} {first['procs']:>5}  {first['unit']:8} " + "  ".join(parts))
    return out


def machine():
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            model = next((s.split(":", 1)[1].strip() for s in f if s.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} CPUs, Linux {platform.release().split('-')[0]}"


def versions_of(peer, results):
    """All that were measured: rows may have been run again since."""
    return ", ".join(dict.fromkeys(v for r in results if r["peer"] == peer for v in r["version"].split(", ")))


def markdown(results, order, notes):
    peers = [p for p in order if any(r["peer"] == p for r in results)]
    versions = {p: versions_of(p, results) for p in peers}
    others = [p for p in peers if p != "runnel"]
    out = ["# Benchmarks", "",
           "Written by `./dev bench --publish`; do not edit. Each row is the same work on every peer "
           "(`bench/`), run in turn on one machine: median (least..most) of "
           f"{min(r['runs'] for r in results)} runs or more. ns/op, bytes/op or ms: less is better. "
           "**xN**: runnel takes N times less.", "",
           f"Machine: {machine()}.", "", "![times faster than Go, by row](ratio.svg)", ""]
    for procs in sorted({r["procs"] for r in results}):
        out += [f"## procs {procs}", "",
                "| row | unit | " + " | ".join(f"{p} {versions[p]}" for p in peers) + " |",
                "|---|---|" + "---:|" * len(peers)]
        at = [r for r in results if r["procs"] == procs]
        for row in dict.fromkeys(r["row"] for r in at):
            here = {r["peer"]: r for r in at if r["row"] == row}
            cells = []
            for p in peers:
                times = ratio(here.get("runnel"), here.get(p)) if p in others else None
                cells.append((cell(here[p]) if p in here else "") + (f" **x{times:.2f}**" if times else ""))
            unit = next(iter(here.values()))["unit"]
            out.append(f"| {row} | {unit} | " + " | ".join(cells) + " |")
        out.append("")
    out += ["## What differs", ""]
    out += [f"- **{p}**: {notes[p]}" for p in peers if p in notes]
    return "\n".join(out) + "\n"


def from_cell(text):
    """{"median", "min", "max"}, to three figures, of what `cell` wrote. None: nothing was measured."""
    found = re.match(r"(\S+) \((\S+)\.\.(\S+)\)", text)
    if not found:
        return None
    values = [float(v.replace(",", "").rstrip("M")) * (1e6 if v.endswith("M") else 1) for v in found.groups()]
    return dict(zip(("median", "min", "max"), values))


def read_markdown(text):
    """The results that `markdown` wrote."""
    results, heads, procs = [], [], 0
    runs = int(re.search(r"of (\d+) runs or more", text)[1])
    for line in text.splitlines():
        if line.startswith("## procs "):
            procs = int(line.split()[-1])
        if not line.startswith("| "):
            continue
        cells = [c.strip() for c in line.strip("|").split("|")]
        if cells[0] == "row":
            heads = [head.split(" ", 1) for head in cells[2:]]
            continue
        for (peer, version), c in zip(heads, cells[2:]):
            values = from_cell(c)
            if values:
                results.append({"row": cells[0], "peer": peer, "version": version, "procs": procs, "unit": cells[1],
                                "runs": runs, **values})
    return results


def svg(results):
    """Bars: how many times faster than Go, on a logarithmic scale, a bar for each procs."""
    procs = sorted({r["procs"] for r in results})
    index = {(r["row"], r["peer"], r["procs"]): r for r in results}
    rows = []
    for row in dict.fromkeys(r["row"] for r in results):
        times = {n: ratio(index.get((row, "runnel", n)), index.get((row, "go", n))) for n in procs}
        if any(times.values()):
            rows.append((row, times))
    if not rows:
        return None
    left, scale, bar = 220, 110, 9
    step = bar * len(procs) + 7
    height = 60 + step * len(rows)
    colours = ["#2a6fbb", "#c4652a", "#3b8f4a", "#8a5aa8"]
    low, high = 1 / 4, 64

    def x(v):
        """Place of a ratio: powers of two stand `scale` / 1.5 apart."""
        v = min(max(v, low), high)
        n = 0.0
        while v >= 2:
            v, n = v / 2, n + 1
        while v < 1:
            v, n = v * 2, n - 1
        return left + (n + (v - 1) + 2) * scale * 0.66  # piecewise linear between the powers of two

    width = int(x(high)) + 60
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="11">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           '<text x="10" y="18" font-size="14">runnel: times faster than Go</text>']
    for i, n in enumerate(procs):
        c = colours[i % len(colours)]
        out.append(f'<rect x="{left + 110 * i}" y="9" width="10" height="10" fill="{c}"/>'
                   f'<text x="{left + 14 + 110 * i}" y="18">procs {n}</text>')
    for mark in (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64):
        dark = "#555" if mark == 1 else "#ddd"
        out.append(f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="40" y2="{height - 8}" stroke="{dark}"/>'
                   f'<text x="{x(mark):.1f}" y="36" text-anchor="middle">{mark:g}</text>')
    for i, (row, times) in enumerate(rows):
        y = 48 + step * i
        out.append(f'<text x="{left - 8 - 40}" y="{y + step / 2 + 1:.1f}" text-anchor="end">{row}</text>')
        for j, n in enumerate(procs):
            if not times[n]:
                continue
            a, b = sorted((x(1), x(times[n])))
            out.append(f'<rect x="{a:.1f}" y="{y + bar * j}" width="{max(b - a, 1):.1f}" height="{bar - 1}" '
                       f'fill="{colours[j % len(colours)]}"><title>{row}, procs {n}: x{times[n]:.2f}</title></rect>')
    return "\n".join(out + ["</svg>"]) + "\n"


def publish(results, folder, order, notes):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(markdown(results, order, notes))
    picture = svg(results)
    if picture:
        (folder / "ratio.svg").write_text(picture)
