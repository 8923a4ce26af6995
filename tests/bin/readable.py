"""Tables as people read them: cells set apart by two or more spaces, `.` for an empty cell.

`<TAB>`, `<LF>`, `<BS>` and `<NUL>` in a cell stand for a tab, a line feed, a backslash and a zero byte.
"""

import re
import sys

TOKENS = {"<TAB>": "\t", "<LF>": "\n", "<BS>": "\\", "<NUL>": "\0"}


def cells(line):
    def value(cell):
        if cell == ".":
            return ""
        for token, character in TOKENS.items():
            cell = cell.replace(token, character)
        return cell

    return [value(cell) for cell in re.split(r" {2,}", line.strip())]


def table(text):
    """The header and the rows of a table; a row of another width is a mistake of the test."""
    lines = [line for line in text.splitlines() if line.strip()]
    header, rows = cells(lines[0]), [cells(line) for line in lines[1:]]
    for row in rows:
        if len(row) != len(header):
            sys.exit(f"a row of {len(row)} cells under a header of {len(header)}: {row}")
    return header, rows
