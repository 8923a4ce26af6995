"""Tables as people read them: cells set apart by two or more spaces, `.` for an empty cell.

`<TAB>`, `<LF>`, `<BS>` and `<NUL>` in a cell stand for a tab, a line feed, a backslash and a zero byte.

Tests call the commands that read these some thousand times, most of which is the start of Python: what loads much is not imported.
"""

import sys
from types import SimpleNamespace

TOKENS = {"<TAB>": "\t", "<LF>": "\n", "<BS>": "\\", "<NUL>": "\0"}


def cells(line):
    def value(cell):
        if cell == ".":
            return ""
        for token, character in TOKENS.items():
            cell = cell.replace(token, character)
        return cell

    return [value(cell.strip(" ")) for cell in line.strip().split("  ") if cell.strip(" ")]


def table(text):
    """The header and the rows of a table; a row of another width is a mistake of the test."""
    lines = [line for line in text.splitlines() if line.strip()]
    header, rows = cells(lines[0]), [cells(line) for line in lines[1:]]
    for row in rows:
        if len(row) != len(header):
            sys.exit(f"a row of {len(row)} cells under a header of {len(header)}: {row}")
    return header, rows


def name_and_options(**options):
    """The one NAME of a command line, and its options: `--option` where they are false by default, else `--option VALUE`, which a list
    takes more than once."""
    words, names = iter(sys.argv[1:]), []
    for word in words:
        option = word[2:].replace("-", "_")
        if not word.startswith("--"):
            names.append(word)
        elif option not in options:
            sys.exit(f"there is no option {word}")
        elif options[option] is False:
            options[option] = True
        elif (value := next(words, None)) is None:
            sys.exit(f"{word} takes a value")
        elif isinstance(options[option], list):
            options[option].append(value)
        else:
            options[option] = value
    if len(names) != 1:
        sys.exit(f"one name is expected, not {names}")
    return SimpleNamespace(name=names[0], **options)
