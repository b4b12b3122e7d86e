"""The rows that are measured, and what is made of them: a table and a plot."""

import html
import os
import pathlib
import platform
import statistics
from collections import namedtuple

Row = namedtuple("Row", "name group work value unit fresh resumes alone aim")


def row(name, group, work, value, unit, aim, fresh=False, resumes=False, alone=False):
    return Row(name, group, work, value, unit, fresh, resumes, alone, aim)


def echo(size, in_flight, connections):
    return ["echo", "--size", str(size), "--in-flight", str(in_flight), "--connections", str(connections)]


def get(size, connections):
    return ["get", "--size", str(size), "--connections", str(connections)]


# `aim`: against whom, and what factor is to be reached. `alone`: no other proxy has such a thing.
ROWS = [
    row("125 B echo, 1 in flight × 64", "echo", echo(125, 1, 64), "us_per_message", "µs/message", ("floor", 1.1)),
    row("125 B echo, 32 in flight × 16", "pipelined", echo(125, 32, 16), "us_per_message", "µs/message", ("peer", 0.85)),
    row("16 KiB echo, 4 in flight × 16", "16k", echo(16384, 4, 16), "us_per_message", "µs/message", ("peer", 0.95)),
    row("1 MiB echo, 2 in flight × 4", "1m", echo(1048576, 2, 4), "ns_per_byte", "ns/byte", ("peer", 0.95)),
    row("full mTLS handshake, upgrade, close", "full", ["handshake"], "us_per_handshake", "µs", ("peer", 0.5)),
    row("resumed handshake, upgrade, close", "resumed", ["handshake", "--resumed"], "us_per_handshake", "µs", ("peer", 0.5), resumes=True),
    row("GET of 1 KiB, 64 connections", "get", get(1024, 64), "us_per_request", "µs/request", ("peer", 1.0)),
    row("GET of 1 MiB, 8 connections", "download", get(1048576, 8), "ns_per_byte", "ns/byte", ("peer", 1.0)),
    row("idle connection", "idle", ["idle"], "kib_per_connection", "KiB", ("value", 10.0), fresh=True),
    row("idle connection, sealed frames", "sealed", ["idle", "--sealed"], "kib_per_connection", "KiB", ("value", 12.0), fresh=True, alone=True),
]

COLOURS = ["#0b6e99", "#8a8a8a", "#b5b5b5", "#a0703c", "#5f8f4e", "#8666a8", "#444444"]


def median(results, row, proxy):
    values = [result[row.value] for result in results[row.name].get(proxy, [])]
    return statistics.median(values) if values else None


def spread(results, row, proxy):
    values = [result[row.value] for result in results[row.name].get(proxy, [])]
    return (min(values), max(values)) if values else None


def number(value):
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def best_of(results, row, names):
    """The best of these, and its median."""
    medians = [(median(results, row, name), name) for name in names]
    return min((pair for pair in medians if pair[0] is not None), default=(None, None))


def peers(compared, tuned):
    """The others as they come, or with those that were tuned; the floor is none of them."""
    others = [proxy for proxy in compared if proxy.name not in ("tidegate", "floor")]
    return [proxy.name for proxy in others if tuned or not proxy.tuned]


def ratio(value, to):
    return f"{value / to:.2f}" if value is not None and to else "–"


def rounds_reached(results, row, names):
    """In how many rounds the aim was reached, against what was measured in the same round."""
    against, factor = row.aim
    reached = 0
    for turn, own in enumerate(results[row.name]["tidegate"]):
        others = [results[row.name][name] for name in names]
        measured = [values[turn][row.value] for values in others if turn < len(values)]
        to = 1.0 if against == "value" else min(measured, default=0)
        reached += own[row.value] <= factor * to
    return reached


def verdict(results, row, compared):
    against, factor = row.aim
    if against == "value":
        return f"≤ {factor:g} {row.unit}: {reached(results, row, [])}"
    if against == "floor":
        return f"≤ {factor:g} × floor: {reached(results, row, ['floor'])}"
    default, every = peers(compared, False), peers(compared, True)
    said = f"≤ {factor:g} × best peer: {reached(results, row, default)}"
    return said if default == every else f"{said}; tuned ones too: {reached(results, row, every)}"


def reached(results, row, names):
    """Whether the aim was reached against the best of these."""
    own = median(results, row, "tidegate")
    to = best_of(results, row, names)[0] if names else 1.0
    if own is None or not to or (row.aim[0] != "value" and not names):
        return "–"
    word = "reached" if own <= row.aim[1] * to else "missed"
    rounds = len(results[row.name]["tidegate"])
    return f"{word} (in {rounds_reached(results, row, names)} of {rounds} rounds)"


def table(header, lines):
    marks = ["---"] + ["--:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, marks, *lines])


def cost_table(rows, results, names):
    lines = []
    for row in rows:
        cells = [f"{row.name} ({row.unit})"]
        for name in names:
            value = spread(results, row, name)
            cells.append("–" if value is None else
                         f"**{number(median(results, row, name))}** ({number(value[0])}–{number(value[1])})")
        lines.append(cells)
    return table(["work", *names], lines)


def ratio_table(rows, results, compared):
    lines = []
    for row in rows:
        own = median(results, row, "tidegate")
        cells = [row.name]
        for tuned in (False, True):
            peer, name = best_of(results, row, peers(compared, tuned))
            cells.append(f"{ratio(own, peer)} ({name})" if name else "–")
        cells += [ratio(own, median(results, row, "floor")), verdict(results, row, compared)]
        lines.append(cells)
    header = ["work", "tidegate ÷ best peer as it comes", "÷ best of all, tuned ones too", "÷ floor", "aim, by medians"]
    return table(header, lines)


def latency_table(rows, results, names):
    lines = []
    for row in rows:
        if row.fresh:
            continue
        cells = [row.name]
        for name in names:
            measured = results[row.name].get(name)
            pick = lambda key: number(statistics.median(result[key] for result in measured))
            cells.append(f"{pick('p50_us')} / {pick('p99_us')}" if measured else "–")
        lines.append(cells)
    return table(["work", *names], lines)


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    return f"Machine: {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}."


def markdown(rows, results, compared, chosen):
    names = [proxy.name for proxy in compared]
    versions = "\n".join(
        f"- {proxy.name}: {proxy.version()}" + (f"; **tuned by us**: {proxy.tuned}" if proxy.tuned else "")
        for proxy in compared
    )
    return f"""## Beside other proxies

Written by `benches/compare/run{' --quick' if chosen.quick else ''}`: {chosen.rounds} interleaved rounds of {chosen.seconds:g} s for each
measurement; **median** (lowest–highest). Mutual TLS 1.3, X25519, AES-128-GCM, ECDSA P-256, wss in and ws out over loopback;
each proxy with one worker on one core, load and backend on another. CPU is the whole proxy process's, user and system.
`floor` is a plain TCP forwarder without TLS, with buffers of 8 KiB; the others run with their defaults, without access logs,
unless the list says that they were tuned. Idle memory is the PSS slope from 100 to {chosen.idle + 100} connections of a fresh process, each
after one message; with sealed frames (hmac-sha-256), the client takes the TLS suite that the proxy and it like best.

{machine()}

{versions}

### What a unit of work costs the proxy

{cost_table(rows, results, names)}

### Ratios

{ratio_table(rows, results, compared)}

![Cost relative to tidegate](performance.svg)

### Latency: median / 99th percentile (µs)

Under the same loads, which keep the load's core busy: they compare, and say little about a machine with cores to spare.

{latency_table(rows, results, names)}
"""


def write_section(path, command, text):
    """Replaces what this command wrote into the file before, or adds it; all else stays."""
    begin, end = f"<!-- begin: written by {command} -->", f"<!-- end: {command} -->"
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path.read_text() if path.exists() else "# Performance\n"
    before, found, rest = old.partition(begin)
    if found and end in rest:
        new = before + section + rest.partition(end)[2]
    else:
        new = f"{old.rstrip()}\n\n{section}\n"
    path.write_text(new)


def svg(rows, results):
    """Bars for each row, relative to tidegate: longer costs more."""
    names = list(next(iter(results.values())))
    bar, gap, left, width = 14, 18, 260, 620
    height = 40 + len(rows) * (bar * len(names) + gap)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="10" y="18" font-size="13">Cost relative to tidegate (1.0); shorter is better</text>',
    ]
    top = 32
    for row in rows:
        own = median(results, row, "tidegate") or 1
        values = {name: median(results, row, name) for name in names}
        most = max((value for value in values.values() if value is not None), default=1)
        parts.append(f'<text x="10" y="{top + bar}" fill="#111111">{html.escape(row.name)}</text>')
        for place, name in enumerate(names):
            if values[name] is None:
                continue
            length = max(1, values[name] / most * width * 0.9)
            y = top + place * bar
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 3}" fill="{COLOURS[place % len(COLOURS)]}"/>')
            label = f"{name} {number(values[name])} {row.unit} ({values[name] / own:.2f})"
            inside = length > width * 0.6
            x, anchor, fill = (left + length - 4, "end", "#ffffff") if inside else (left + length + 4, "start", "#111111")
            parts.append(f'<text x="{x:.1f}" y="{y + bar - 5}" text-anchor="{anchor}" fill="{fill}" font-size="10">{html.escape(label)}</text>')
        top += bar * len(names) + gap
    return "\n".join([*parts, "</svg>\n"])
