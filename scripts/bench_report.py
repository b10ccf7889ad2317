"""The report of bench.py: tables in Markdown and a chart in SVG."""

import time
from xml.sax.saxutils import escape

from servers import machine

# Readable on white and on black.
COLORS = ("#e5534b", "#4184e4", "#57ab5a", "#986ee2", "#c69026")
TEXT = "#808893"
BAR_HEIGHT, BAR_GAP, GROUP_GAP, LABEL_WIDTH, BAR_WIDTH, MARGIN = 13, 2, 10, 150, 470, 20


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def ratio(value, base):
    return f" ({value / base:.2f}x)" if base else ""


def cells(names, figure, form):
    """A cell per server; ours also says its share of the first peer's."""
    values = [figure(name) for name in names]
    base = values[1] if len(values) > 1 else 0
    return [form(values[0]) + ratio(values[0], base), *map(form, values[1:])]


def load_rows(names, loads, size):
    return [(pipeline, test) for s, pipeline, test, name in loads if s == size and name == names[0]]


def load_tables(names, loads, size):
    rows = load_rows(names, loads, size)
    label = lambda pipeline, test: f"{test.upper()}, pipeline {pipeline}"
    at = lambda pipeline, test, name: loads[size, pipeline, test, name]
    cpu = [[label(*row), *cells(names, lambda name: at(*row, name)["cpu_ns"] / 1000, "{:.3f}".format)] for row in rows]
    throughput = [[label(*row), *cells(names, lambda name: at(*row, name)["throughput"], "{:,.0f}".format)] for row in rows]
    latency = [[label(*row), *(" / ".join(f"{at(*row, name)[p]:.2f}" for p in ("p50_ms", "p99_ms", "p999_ms"))
                               for name in names)] for row in rows]
    return (f"## Values of {size} bytes\n\n"
            f"CPU time of the server per command, in microseconds:\n\n{table(['', *names], cpu)}\n"
            f"Commands per second:\n\n{table(['', *names], throughput)}\n"
            f"Latency under this load, p50 / p99 / p99.9 in milliseconds:\n\n{table(['', *names], latency)}")


def memory_table(names, memory):
    cases = dict.fromkeys(case for case, _ in memory)
    rows = [[case, *cells(names, lambda name: memory[case, name], "{:.1f}".format)] for case in cases]
    return f"## Resident bytes per key\n\nKeys of 16 bytes; by length of the value:\n\n{table(['', *names], rows)}"


def markdown(names, loads, memory, effort, quick, stolen):
    facts = [*machine(), ("Servers", ", ".join(names)), ("Date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
             ("Load", f"50 clients, up to {effort.keys:,} keys, all of them present; medians of {effort.rounds} rounds, "
                      "servers in turn; no persistence")]
    facts.append(("Taken by the host", f"{stolen:.1%} of a core; a round of which more than 3 % was taken was tried again"))
    if quick:
        facts.append(("Form", "**quick: one short round, a look and no figures to quote**"))
    sizes = dict.fromkeys(size for size, *_ in loads)
    against = f" Ratios are ours to {names[1]}." if len(names) > 1 else ""
    parts = ["# Figures\n", f"Written by `scripts/bench.sh`.{against}\n", table(["", "this run"], facts)]
    parts += ["![CPU time per command and bytes per key](latest.svg)\n"]
    parts += [load_tables(names, loads, size) for size in sizes] + [memory_table(names, memory)]
    return "\n".join(parts)


def chart_groups(names, loads, memory):
    """What the chart shows: title, and rows of label and a value per server."""
    size = next(iter(loads))[0]
    cpu = [(f"{test.upper()}, pipeline {pipeline}", [loads[size, pipeline, test, name]["cpu_ns"] / 1000 for name in names])
           for pipeline, test in load_rows(names, loads, size)]
    cases = dict.fromkeys(case for case, _ in memory)
    resident = [(case, [memory[case, name] for name in names]) for case in cases]
    return [(f"CPU per command, microseconds ({size}-byte values; less is better)", cpu, "{:.2f}"),
            ("Resident bytes per key (less is better)", resident, "{:.0f}")]


def text(x, y, content, anchor="start", weight="normal"):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(content)}</text>'


def legend(names, y):
    parts, x = [], MARGIN
    for name, color in zip(names, COLORS):
        parts.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" rx="2" fill="{color}"/>')
        parts.append(text(x + 15, y, name))
        x += 40 + 7 * len(name)
    return parts


def bars(label, values, unit_width, form, y):
    """A row of the chart: a bar per server. Returns its parts and where the next row begins."""
    middle = y + (BAR_HEIGHT + BAR_GAP) * len(values) / 2 + 3
    parts = [text(MARGIN + LABEL_WIDTH - 10, f"{middle:.0f}", label, "end")]
    for value, color in zip(values, COLORS):
        width = value * unit_width
        parts.append(f'<rect x="{MARGIN + LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}" rx="2" '
                     f'fill="{color}"/>')
        parts.append(text(f"{MARGIN + LABEL_WIDTH + width + 5:.1f}", y + BAR_HEIGHT - 3, form.format(value)))
        y += BAR_HEIGHT + BAR_GAP
    return parts, y + GROUP_GAP


def chart(names, loads, memory):
    """Horizontal bars, scaled per group of rows; no background, so that the page's own shows."""
    names = names[:len(COLORS)]
    y = MARGIN + 10
    parts = legend(names, y)
    for title, rows, form in chart_groups(names, loads, memory):
        y += 28
        parts.append(text(MARGIN, y, title, weight="bold"))
        y += 12
        widest = max(max(values) for _, values in rows)
        for label, values in rows:
            row, y = bars(label, values, BAR_WIDTH / widest, form, y)
            parts += row
    width, height = MARGIN * 2 + LABEL_WIDTH + BAR_WIDTH + 40, y + MARGIN
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="system-ui, sans-serif" font-size="11" fill="{TEXT}" role="img" '
            f'aria-label="CPU time per command and resident bytes per key">')
    return "\n".join([head, *parts, "</svg>"]) + "\n"
