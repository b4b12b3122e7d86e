"""What is made of the measurements of benches/compare/scale."""

import statistics

from report import machine, number, table


def cell(values):
    """**median** (lowest–highest)"""
    values = [value for value in values if value is not None]
    if not values:
        return "–"
    return f"**{number(statistics.median(values))}** ({number(min(values))}–{number(max(values))})"


def of(results, key):
    return [result[key] for result in results]


def signed(value):
    return f"{value:+.2f}"


def crowd(results, chosen):
    counts = list(results["tidegate few"])
    labels = {
        "tidegate few": "the same 8 active", "floor few": "the same through the floor",
        "tidegate turns": "all active, 8 at a time in turn", "floor turns": "the same through the floor",
    }
    lines = []
    for what, label in labels.items():
        medians = [statistics.median(of(results[what][count], "us_per_message")) for count in (counts[0], counts[-1])]
        cells = [cell(of(results[what].get(count, []), "us_per_message")) for count in counts]
        lines.append([f"{label} (µs/message)", *cells, f"{medians[-1] / medians[0]:.2f}"])
    lines.append(["none active (% of a core)", *[cell(of(results["tidegate silent"][count], "busy_percent")) for count in counts], "–"])
    scrape = results["scrape"]
    differences = [after - before for before, after in zip(scrape["without"], scrape["with"])]
    one = scrape["one"]
    return f"""### Many connections

Messages of 125 B, 8 in flight on each active connection, while so many connections are open in total:

{table(["work", *[f"{count:,} open".replace(",", " ") for count in counts], f"{counts[-1]:,} ÷ {counts[0]}".replace(",", " ")], lines)}

Silent connections are pinged after 30 s, as by default, which is what their cost consists of. Pings come in waves, as the
connections did: some measurements meet one.

**Scrapes** with {counts[-1]:,} silent connections, in % of a core: without {cell(scrape["without"])}, with one each second
{cell(scrape["with"])}; differences of neighbours {cell(differences)} (aim: below 1). One scrape takes {one["cpu_ms"]:.2f} ms of CPU, measured
over 20 of them one after the other, and brings {one["octets"] / 1024:.0f} KiB.
""".replace(f"{counts[-1]:,}", f"{counts[-1]:,}".replace(",", " "))


def tables(results, chosen):
    lines = [["nobody connected (% of a core)", cell(results["silent"]["one"]), cell(results["silent"]["many"]), "–"]]
    for name, label in (("message", "125 B echo, 1 in flight × 64 (µs/message)"),
                        ("same", "full mTLS handshake, upgrade, close, of one host (µs)"),
                        ("each", "the same, of each host in turn (µs)")):
        one, many = results[name]["one"], results[name]["many"]
        differences = [after - before for before, after in zip(one, many)]
        middle = statistics.quantiles(differences, n=4, method="inclusive")
        between = f"**{signed(middle[1])}** ({signed(middle[0])}–{signed(middle[2])})"
        lines.append([label, cell(one), cell(many), between])
    scrape, start = results["scrape"], results["start_seconds"]
    lines.append(["start, until the first message (s)", f"{start['one']:.2f}", f"{start['many']:.2f}", "–"])
    for key, label, digits in (("cpu_ms", "one scrape (ms of CPU)", 2), ("resident_mib", "resident memory after scrapes (MiB)", 0)):
        lines.append([label, *[f"{scrape[which][key]:.{digits}f}" for which in ("one", "many")], "–"])
    lines.append(["bytes of a scrape (MiB)", *[f"{scrape[which]['octets'] / 2**20:.2f}" for which in ("one", "many")], "–"])
    return f"""### Many routes and certificates

One route and one certificate beside {chosen.hosts * 10} routes, of {chosen.hosts} hosts, and {chosen.hosts} certificates; upgrades ask for a host
by SNI and in the request. With nobody connected, what is left is the watch over configuration and certificates, which
looks at every file once in two seconds, or less often where that takes long; it is part of the rows below. Differences are those of
{len(results["each"]["one"])} pairs of neighbouring measurements: **median** (quartiles).

{table(["work", "one", "many", "many − one"], lines)}

The lookups alone, without the noise of a handshake: `cargo bench --bench route` and `cargo bench --bench names`; the fold of
the metrics: `cargo bench --bench relay -- metrics`.
"""


def counts(results, chosen):
    lines = []
    for name, label in (("same", "of one host"), ("each", "of each host in turn")):
        one, many = results[f"one {name}"], results[f"many {name}"]
        for key, what in (("instructions", "instructions"), ("data", "data misses"), ("code", "code misses")):
            lines.append([f"{what}, {label}", f"{one[key]:.0f}", f"{many[key]:.0f}", f"{many[key] - one[key]:+.0f}"])
    return f"""### The same, counted

What one full mTLS handshake with upgrade and Close takes of the program, the system's share aside: instructions, and misses
of a simulated cache of 1 MiB behind one of 32 KiB (callgrind). With {chosen.hosts * 10} routes and {chosen.hosts} certificates for many.

{table(["a handshake", "one", "many", "many − one"], lines)}
"""


def storm(results, chosen):
    lines = []
    for key, label in (("p50_us", "median"), ("p99_us", "99th percentile"), ("p999_us", "99.9th percentile")):
        before, during = of(results["before"], key), of(results["during"], key)
        differences = [after - early for early, after in zip(before, during)]
        lines.append([f"{label} (µs)", cell(before), cell(during), cell(differences)])
    rate, busy = of(results["storm"], "per_second"), [value * 100 for value in of(results["storm"], "busy")]
    return f"""### A storm of handshakes

Echoes of 125 B, 1 000 a second over 64 connections, alone and while {chosen.storm} clients a second come, each with a full mTLS
handshake, an upgrade and a Close. {cell(rate)} of them a second were served in fact; the proxy took {cell(busy)} % of its core.

| echo | alone | in the storm | difference |
| --- | --: | --: | --: |
""" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + """

The storm's clients and the backend share a core with the clients that are timed, though at a lower priority: the numbers are
upper bounds. A worker does one step of a handshake at a time, of 200 to 400 µs, and then serves its relays.
"""


def markdown(results, version, chosen):
    parts = {"crowd": crowd, "tables": tables, "counts": counts, "storm": storm}
    told = "\n".join(parts[name](results[name], chosen) for name in results)
    return f"""## At scale

Written by `benches/compare/scale{' --quick' if chosen.quick else ''}`: {version}, {chosen.rounds} interleaved rounds of {chosen.seconds:g} s for each
measurement; **median** (lowest–highest). One worker on one core, load and backend on another; TLS as above. CPU is the whole
process's, user and system.

{machine()}

{told}"""
