"""A terminal's screen as SVG. Letters are text; bars and borders are drawn, so that they join whatever the font."""

import re
from html import escape
from itertools import groupby

CELL_WIDTH, CELL_HEIGHT, FONT_SIZE = 8.4, 18, 14
MARGIN, TITLE_HEIGHT = 14, 30
BACKGROUND, FOREGROUND = "#1b1f27", "#d5dae3"
COLOURS = {
    "black": "#3b4252", "red": "#f07178", "green": "#a3d46c", "brown": "#f2c55c", "blue": "#6cb2f7", "magenta": "#d699f0",
    "cyan": "#69d3cf", "white": "#d5dae3", "brightblack": "#7b8496", "brightred": "#ff8b92", "brightgreen": "#b9e986",
    "brightbrown": "#ffd77a", "brightblue": "#8cc6ff", "brightmagenta": "#e6b4ff", "brightcyan": "#8be9e5",
    "brightwhite": "#ffffff",
}
# How pyte names the eight colours when a program asks for them by number.
NUMBERED = ["000000", "cd0000", "00cd00", "cdcd00", "0000ee", "cd00cd", "00cdcd", "e5e5e5"]
COLOURS |= dict(zip(NUMBERED, list(COLOURS.values())))
BARS = " ▁▂▃▄▅▆▇█"
# Which halves of a cell a border crosses: left, right, up, down.
BORDERS = {"─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu"}


def colour(name, default):
    if name == "default":
        return default
    return COLOURS.get(name, f"#{name}")


def style(char):
    """What two neighbours must share to be drawn together."""
    dim = char.data in BORDERS
    return colour(char.fg, FOREGROUND), char.bold, dim, char.data in BARS[1:]


def draw(screen, title):
    """The screen in a window with a title."""
    width = screen.columns * CELL_WIDTH + 2 * MARGIN
    height = screen.lines * CELL_HEIGHT + 2 * MARGIN + TITLE_HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="{FONT_SIZE}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        f'<text x="{width / 2:.0f}" y="20" fill="#7b8496" text-anchor="middle">{escape(title)}</text>',
    ]
    for line in range(screen.lines):
        cells = [(column, screen.buffer[line][column]) for column in range(screen.columns)]
        for (fill, bold, _, is_bar), run in groupby(cells, key=lambda cell: style(cell[1])):
            run = list(run)
            text = "".join(char.data for _, char in run)
            left, top = MARGIN + run[0][0] * CELL_WIDTH, MARGIN + TITLE_HEIGHT + line * CELL_HEIGHT
            if is_bar:
                parts.append(bars(text, left, top, fill))
            elif text[0] in BORDERS:
                parts.append(borders(text, left, top, fill))
            elif text.strip():
                parts.append(words(text, left, top, fill, bold))
    if not screen.cursor.hidden:
        x, y = MARGIN + screen.cursor.x * CELL_WIDTH, MARGIN + TITLE_HEIGHT + screen.cursor.y * CELL_HEIGHT
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{CELL_WIDTH}" height="{CELL_HEIGHT}" fill="#d5dae3" opacity="0.5"/>')
    return "\n".join(parts) + "\n</svg>\n"


def words(text, left, top, fill, bold):
    """Text as wide as its cells, whatever the font. What stands behind two spaces is placed anew."""
    weight = ' font-weight="bold"' if bold else ""
    spans = []
    for found in re.finditer(r"\S+(?: \S+)*", text):
        span = escape(found[0])
        x, width = left + found.start() * CELL_WIDTH, len(found[0]) * CELL_WIDTH
        spans.append(f'<tspan x="{x:.1f}" textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs">{span}</tspan>')
    return f'<text y="{top + FONT_SIZE}" fill="{fill}"{weight}>{"".join(spans)}</text>'


def bars(text, left, top, fill):
    """Bars that stand on the bottom of their cells: one path for neighbours."""
    path = []
    for number, char in enumerate(text):
        tall = CELL_HEIGHT * BARS.index(char) / 8
        path.append(f"M{left + number * CELL_WIDTH:.1f} {top + CELL_HEIGHT}v{-tall:.1f}h{CELL_WIDTH + 0.1:.1f}v{tall:.1f}z")
    return f'<path d="{"".join(path)}" fill="{fill}"/>'


def borders(text, left, top, fill):
    path = []
    for number, char in enumerate(text):
        x, y = left + (number + 0.5) * CELL_WIDTH, top + CELL_HEIGHT / 2
        ends = {"l": f"h{-CELL_WIDTH / 2}", "r": f"h{CELL_WIDTH / 2}", "u": f"v{-CELL_HEIGHT / 2}", "d": f"v{CELL_HEIGHT / 2}"}
        path += [f"M{x:.1f} {y:.1f}{ends[side]}" for side in BORDERS[char]]
    return f'<path d="{"".join(path)}" stroke="{fill}"/>'
