# SPDX-License-Identifier: Apache-2.0
"""The results as a page: tables, and charts drawn as SVG."""
import html
import math
import statistics

COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b83280", "#718096")
WIDTH, LINE_HEIGHT, CHARACTER = 900, 18, 6.8
PLOT_HEIGHT, MARGIN = 300, 60
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;
color:#1a202c;background:#fff}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .7rem;
border-bottom:1px solid #e2e8f0;text-align:right;font-variant-numeric:tabular-nums}td:first-child,
th:first-child{text-align:left}.missed{color:#c53030;font-weight:600}svg{width:100%;height:auto}
svg text{font-family:system-ui,sans-serif;font-size:12px;fill:#2d3748}details{margin:.5rem 0}"""


def short(number):
    """1234567 as 1.23 M; three digits that count."""
    for factor, unit in ((1e6, " M"), (1e3, " k")):
        if abs(number) >= factor * 10 or (unit == " M" and abs(number) >= factor):
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}" if abs(number) < 100 else f"{number:.0f}"


def spread(samples):
    """Median, and the range when there is more than one."""
    middle = short(statistics.median(samples))
    if min(samples) == max(samples):
        return middle
    return f"{middle} ({short(min(samples))}–{short(max(samples))})"


def escape(text):
    return html.escape(str(text))


def bars(title, measure, rows):
    """A horizontal bar a row: the median, and a whisker over the range."""
    rows = [row for row in rows if measure in row["samples"]]
    top = max(max(row["samples"][measure]) for row in rows) or 1
    names = CHARACTER * max(len(row["case"]) for row in rows) + 12
    room = WIDTH - names - 70
    groups = list(dict.fromkeys(row.get("server", "") for row in rows))
    parts = []
    for number, row in enumerate(rows):
        samples = row["samples"][measure]
        y = 30 + number * LINE_HEIGHT
        left, right, middle = (names + room * value / top for value in (
            min(samples), max(samples), statistics.median(samples)))
        colour = COLOURS[groups.index(row.get("server", "")) % len(COLOURS)]
        parts.append(
            f'<text x="{names - 8:.0f}" y="{y + 12}" text-anchor="end">{escape(row["case"])}'
            f'</text><rect x="{names:.0f}" y="{y + 2}" width="{middle - names:.1f}" '
            f'height="{LINE_HEIGHT - 5}" fill="{colour}"/><line x1="{left:.1f}" x2="{right:.1f}" '
            f'y1="{y + 8}" y2="{y + 8}" stroke="#1a202c"/><text x="{right + 6:.1f}" y="{y + 12}">'
            f'{short(statistics.median(samples))}</text>')
    height = 40 + len(rows) * LINE_HEIGHT
    return (f'<svg viewBox="0 0 {WIDTH} {height}"><text x="0" y="16" font-weight="600">'
            f'{escape(title)} ({escape(measure)})</text>{"".join(parts)}</svg>')


def places(values, is_log, first, last):
    """Where values come to lie from first to last, and the values to mark."""
    scale = math.log10 if is_log else float
    low, high = (min(values), max(values)) if is_log else (0, max(values))
    ends = scale(low), scale(high)
    width = ends[1] - ends[0] or 1
    if is_log and high / low < 10:
        marks = sorted(set(values))
    elif is_log:
        marks = [10 ** i for i in range(math.ceil(ends[0]), math.floor(ends[1]) + 1)]
    else:
        step = 10 ** math.floor(math.log10(high / 2))
        step *= next(factor for factor in (1, 2, 5, 10) if high / (step * factor) <= 5)
        marks = [step * i for i in range(int(high / step) + 1)]
    return lambda value: first + (scale(value) - ends[0]) / width * (last - first), marks


def lines(title, x_name, measure, series, x_log=False, y_log=False):
    """A line for each of series (name: rows by x), with the range of each point."""
    points = {name: [(x, row["samples"][measure]) for x, row in by_x.items()]
              for name, by_x in series.items()}
    every_x = [x for line in points.values() for x, _ in line]
    every_y = [y for line in points.values() for _, samples in line for y in samples]
    bottom = PLOT_HEIGHT - 40
    at_x, x_marks = places(every_x, x_log, MARGIN, WIDTH - 200)
    at_y, y_marks = places(every_y, y_log, bottom, 35)
    parts = []
    for mark in y_marks:
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - 200}" y1="{at_y(mark):.1f}" '
                     f'y2="{at_y(mark):.1f}" stroke="#e2e8f0"/><text x="{MARGIN - 6}" '
                     f'y="{at_y(mark) + 4:.1f}" text-anchor="end">{short(mark)}</text>')
    for mark in x_marks if x_log else sorted(set(every_x)):
        parts.append(f'<text x="{at_x(mark):.1f}" y="{bottom + 18}" text-anchor="middle">'
                     f'{short(mark)}</text>')
    for number, (name, line) in enumerate(points.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{at_x(x):.1f},{at_y(statistics.median(samples)):.1f}"
                        for x, samples in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                     'stroke-width="2"/>')
        parts += [f'<line x1="{at_x(x):.1f}" x2="{at_x(x):.1f}" y1="{at_y(min(samples)):.1f}" '
                  f'y2="{at_y(max(samples)):.1f}" stroke="{colour}"/>' for x, samples in line]
        parts.append(f'<text x="{WIDTH - 190}" y="{45 + number * 18}" style="fill:{colour}">'
                     f'{escape(name)}</text>')
    return (f'<svg viewBox="0 0 {WIDTH} {PLOT_HEIGHT}"><text x="0" y="16" font-weight="600">'
            f'{escape(title)} ({escape(measure)})</text>{"".join(parts)}<text x="{MARGIN}" '
            f'y="{PLOT_HEIGHT - 4}">{escape(x_name)}</text></svg>')


def table(head, body, missed=()):
    """Rows of cells; those whose number is in `missed` stand out."""
    rows = [f'<tr{" class=missed" if number in missed else ""}>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for number, row in enumerate(body)]
    return ("<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"
            + "".join(rows) + "</table>")


def cells(rows):
    """Head and body of all rows' figures."""
    measures = list(dict.fromkeys(name for row in rows for name in row["samples"]))
    return ["", *measures], [
        [row["case"], *(spread(row["samples"][name]) if name in row["samples"] else ""
                        for name in measures)] for row in rows]


def markdown(title, head, body):
    """Lines of a table."""
    return [f"| {' | '.join(row)} |" for row in ([title, *head], ["---"] * (len(head) + 1), *body)
            ] + [""]


def page(machines, sections):
    """machines: where and when, as sentences; sections: (title, goals, charts as SVG, rows)."""
    goals = [goal for _, asked, _, _ in sections for goal in asked]
    parts = [f"<h1>Kante, measured</h1>{''.join(f'<p>{escape(where)}</p>' for where in machines)}"
             "<h2>What was asked for</h2>",
             table(("", "measured", "asked"), [goal[:3] for goal in goals],
                   [number for number, goal in enumerate(goals) if not goal[3]])]
    for title, _, charts, rows in sections:
        parts.append(f"<h2>{escape(title)}</h2>{''.join(charts)}<details><summary>All figures: "
                     f"median (lowest–highest)</summary>{table(*cells(rows))}</details>")
    return ("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
            f"content='width=device-width'><title>Kante, measured</title><style>{STYLE}</style>"
            f"{''.join(parts)}</html>\n")
