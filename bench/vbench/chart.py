# SPDX-License-Identifier: BSD-3-Clause
"""The chart of paired ratios: SVG from rows, a bar for the median, a line from least to most."""

from xml.sax.saxutils import escape

WIDTH, LABELS, RIGHT = 900, 370, 60
BAR, GAP, HEADING = 12, 6, 30
TOP = 64

STYLE = """
text { font: 12px sans-serif; fill: #24292f; }
.heading { font-weight: bold; }
.grid { stroke: #d0d7de; }
.one { stroke: #24292f; stroke-width: 1.5; }
.range { stroke: #24292f; }
.vio4wd { fill: #1f6fb4; }
.ovs-dpdk { fill: #d9822b; }
.waits { fill-opacity: 0.4; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.grid { stroke: #3d444d; }
.one, .range { stroke: #e6edf3; }
.vio4wd { fill: #4f9fe0; }
.ovs-dpdk { fill: #e8a05c; }
}
"""


def label(row: dict) -> str:
    size = f", {row['size']} bytes" if row["size"] else ""
    return f"{row['what']}{size}, {row['distance']}"


def groups(rows) -> dict:
    """What the ratios are to -> rows."""
    found = {}
    for row in rows:
        if row["ratio"]:
            found.setdefault(row["ratio"]["to"], []).append(row)
    return found


class Chart:
    def __init__(self, most: float):
        self.most = most
        self.lines = []
        self.y = TOP

    def x(self, ratio: float) -> float:
        return LABELS + ratio / self.most * (WIDTH - LABELS - RIGHT)

    def add(self, text: str):
        self.lines.append(text)

    def text(self, x: float, y: float, words: str, style="", anchor="start"):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
                 f'{f" class={chr(34)}{style}{chr(34)}" if style else ""}>{escape(words)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str):
        self.add(f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def heading(self, to: str):
        self.y += HEADING
        self.text(8, self.y - 8, f"Ratio to {to}", "heading")

    def bar(self, row: dict, first: bool):
        ratio, middle = row["ratio"], self.y + BAR / 2
        if first:
            self.text(LABELS - 8, middle + 4, label(row), anchor="end")
        style = row["peer"] + (" waits" if row["limit"] == "generator" else "")
        self.add(f'<rect class="{style}" x="{LABELS}" y="{self.y}" height="{BAR}" '
                 f'width="{self.x(ratio["median"]) - LABELS:.1f}"/>')
        self.line(self.x(ratio["min"]), middle, self.x(ratio["max"]), middle, "range")
        self.text(self.x(max(ratio["max"], ratio["median"])) + 5, middle + 4,
                  f"{ratio['median']:.2f}")
        self.y += BAR + 2

    def axis(self):
        """Under the bars, which are drawn over it."""
        lines, self.lines = self.lines, []
        step = 0.25 if self.most <= 2 else 0.5
        for i in range(int(self.most / step) + 1):
            x = self.x(i * step)
            self.line(x, TOP, x, self.y, "grid")
            self.text(x, TOP - 6, f"{i * step:g}", anchor="middle")
        self.lines += lines
        self.line(self.x(1), TOP, self.x(1), self.y, "one")

    def legend(self, peers):
        x = 8
        for style, words in [(p, p) for p in peers] + [
                (f"{peers[0]} waits", "pale: the generator is the limit, not the program")]:
            self.add(f'<rect class="{style}" x="{x}" y="14" height="{BAR}" width="{BAR}"/>')
            self.text(x + BAR + 5, 24, words)
            x += 40 + 7 * len(words)
        self.text(x, 24, "line: least to most")

    def svg(self) -> str:
        height = self.y + 12
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img">',
            "<title>Rates, as paired ratios</title>", f"<style>{STYLE}</style>", *self.lines,
            "</svg>"]) + "\n"


def draw(rows) -> str:
    by_reference = groups(rows)
    shown = [row for group in by_reference.values() for row in group]
    if not shown:
        raise ValueError("no row has a ratio: nothing to draw")
    most = max(row["ratio"]["max"] for row in shown)
    chart = Chart(max(1.5, -(-most * 4 // 1) / 4))
    for to, group in by_reference.items():
        chart.heading(to)
        before = None
        for row in group:
            if label(row) != before:
                chart.y += GAP
            chart.bar(row, label(row) != before)
            before = label(row)
    chart.axis()
    chart.legend(list(dict.fromkeys(row["peer"] for row in shown)))
    return chart.svg()
