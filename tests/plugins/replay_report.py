"""Which recordings the embedded server does not match, and why; as a section of the docs.

`python -m plugins.replay_report docs/local-cluster.md` writes the section anew.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

from plugins.replay_recordings import recordings

NOT_MATCHED = Path(__file__).parents[1] / "contract" / "not_matched.toml"
_BEGIN, _END = "<!-- begin: recordings -->\n", "<!-- end: recordings -->\n"


def unmatched() -> dict[str, str]:
    """Recording -> why it is not matched. Raises ValueError for a pattern of nothing."""
    found: dict[str, str] = {}
    for entry in tomllib.loads(NOT_MATCHED.read_text())["because"]:
        for pattern in entry["recordings"]:
            names = [name for name in recordings() if fnmatchcase(name, pattern)]
            if not names:
                raise ValueError(f"{NOT_MATCHED}: no recording is called {pattern}")
            found |= dict.fromkeys(names, entry["why"])
    return found


def report() -> str:
    """The section: by group how many match, and each reason with its number of recordings."""
    listed = unmatched()
    groups = Counter(name.partition("/")[0] for name in recordings())
    missed = Counter(name.partition("/")[0] for name in listed)
    watches = Counter(each.group for each in recordings().values() if each.lines is not None)
    lines = ["| group | matched | of | watches among these |", "|---|---|---|---|"]
    lines += [
        f"| {group} | {total - missed[group]} | {total} | {watches[group]} |"
        for group, total in groups.items()
    ]
    total = groups.total()
    lines.append(f"| all | {total - len(listed)} | {total} | {watches.total()} |")
    lines += ["", "| not matched | because |", "|---|---|"]
    reasons = Counter(listed.values())
    lines += [f"| {count} | {why} |" for why, count in reasons.most_common()]
    return "\n".join(lines) + "\n"


def in_docs(text: str) -> str:
    """The section as it stands in the docs."""
    return text.partition(_BEGIN)[2].partition(_END)[0]


def main() -> None:
    """Write the section into the file that is named."""
    file = Path(sys.argv[1])
    text = file.read_text()
    before, _, rest = text.partition(_BEGIN)
    file.write_text(before + _BEGIN + report() + _END + rest.partition(_END)[2])


if __name__ == "__main__":
    main()
