# SPDX-License-Identifier: BSD-3-Clause
"""The tables of docs/performance.md: Markdown from the result of a run."""

from .report import ratio_text

RATE_HEAD = ("case", "bytes", "CPUs", "program", "n", "min", "median", "max", "unit", "ratio",
             "pairs", "to", "limit")
PLAIN_HEAD = ("what", "unit", "n", "min", "median", "max")
SCALE = {"resident memory": "MiB", "hugepages": "MiB", "threads": "", "descriptors": "",
         "CPU of manager and relays": "% of a core", "resident memory of the manager": "MiB",
         "descriptors of the manager": ""}


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 or value == int(value) else f"{value:.2f}"


def spread_cells(row: dict) -> list:
    return [number(row[key]) for key in ("min", "median", "max")]


def table(head, lines) -> str:
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
                      *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"


def machine(result: dict) -> str:
    m = result["machine"]
    kind = "short run (figures to look at, not to rely on)" if result["quick"] else "full run"
    return (f"{m['cpu']}, {m['cpus']} CPUs, {m['memory_gib']} GiB, a virtual machine with Linux "
            f"{m['kernel']}; {result['date']}, a {kind} of {result['seconds']} s.\n")


def rates(result: dict) -> str:
    lines = []
    for row in result["rows"]:
        if row["distance"]:
            lines.append([row["what"], str(row["size"] or "-"), row["distance"], row["peer"],
                          str(row["n"]), *spread_cells(row), row["unit"],
                          ratio_text(row["ratio"]),
                          *((str(row["ratio"]["n"]), row["ratio"]["to"]) if row["ratio"]
                            else ("-", "-")),
                          row["limit"] or "-"])
    return table(RATE_HEAD, lines)


def stages(result: dict) -> str:
    """A line for each stage of a case, with the medians of the programs."""
    lines, programs = {}, []
    for row in result["rows"]:
        if "stage" in row:
            lines.setdefault((row["case"], row["stage"]), {})[row["peer"]] = number(row["median"])
            if row["peer"] not in programs:
                programs.append(row["peer"])
    return table(["case", "stage", *(f"{p}, ns per packet" for p in programs)],
                 ([*key, *(cells.get(p, "-") for p in programs)] for key, cells in lines.items()))


def quantity_head(quantity: str) -> str:
    return f"{quantity}, {SCALE[quantity]}" if SCALE[quantity] else quantity


def scale(result: dict) -> str:
    """A line for each number of relays, with and without VMs; medians."""
    lines = {}
    for row in result["rows"]:
        if "quantity" in row:
            key = row["device"], str(row["relays"]), "yes" if row["vms"] else "no"
            lines.setdefault(key, {})[row["quantity"]] = number(row["median"])
    head = ["device", "relays", "VMs", *map(quantity_head, SCALE)]
    return table(head, ([*key, *(cells.get(q, "-") for q in SCALE)]
                        for key, cells in lines.items()))


def extrapolation(result: dict) -> str:
    """What 1024 relays with idle VMs would take if each more took what the last 32 did: with ports of
    DPDK, these are one relay process."""
    found = {}
    for row in result["rows"]:
        if row.get("vms"):
            key = row["device"], row["quantity"]
            found.setdefault(key, {})[row["relays"]] = row["median"]
    lines = []
    for (device, quantity), at in found.items():
        each = (at[64] - at[32]) / 32
        lines.append([device, quantity_head(quantity), number(at[64]), number(each),
                      number(at[64] + 960 * each)])
    head = ("device", "of all", "64 relays, measured", "each more", "1024 relays, extrapolated")
    return table(head, lines)


def other(result: dict) -> str:
    return table(PLAIN_HEAD, ([row["what"], row["unit"], str(row["n"]), *spread_cells(row)]
                              for row in result["rows"]
                              if not row["distance"] and "quantity" not in row
                              and "stage" not in row))


TABLES = {"machine": machine, "rates": rates, "stages": stages, "scale": scale, "extrapolation": extrapolation,
          "other": other}


def fill(page: str, result: dict) -> str:
    """The page with what stands between `<!-- NAME: made by bench/chart -->` and `<!-- end -->`
    made anew."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name}: made by bench/chart -->\n", "<!-- end -->"
        before, found, rest = page.partition(begin)
        _, found_end, after = rest.partition(end)
        if not found or not found_end:
            raise ValueError(f"no \"{begin.strip()}\" with \"{end}\" behind it")
        page = before + begin + "\n" + make(result) + "\n" + end + after
    return page
