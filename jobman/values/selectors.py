"""Label selectors as people write them: what is wrong with one, before any server is asked. Pure.

Nothing that Kubernetes takes is refused; what only it can judge is left to it.
"""

from __future__ import annotations

import re

from jobman.values.names import label_key_problem, label_value_problem

FORMS = "key=value, key!=value, key in (a,b), key notin (a,b), key, !key; several with ',' between"

_WORD = r"[^\s=!(),<>]"
_CONDITION = re.compile(
    rf"""\s*(?:
        !\s*(?P<absent>{_WORD}+)
      | (?P<key>{_WORD}+)\s*
        (?: (?:==?|!=)\s*(?P<value>{_WORD}*)
          | [<>]\s*(?P<bound>[+-]?[0-9]+)
          | (?<=\s)(?:in|notin)\s*\((?P<values>\s*{_WORD}*\s*(?:,\s*{_WORD}*\s*)*)\)
        )?
    )\s*""",
    re.VERBOSE | re.ASCII,
)
_BETWEEN = re.compile(r",(?![^(]*\))")


def selector_problem(text: str) -> str | None:
    """What is wrong with the first condition that is wrong; None if none is."""
    return next(filter(None, map(_problem, _BETWEEN.split(text))), None)


def _problem(condition: str) -> str | None:
    found = _CONDITION.fullmatch(condition)
    if found is None:
        return f"'{condition.strip()}' is no condition on a label"
    key = found["key"] or found["absent"]
    if problem := label_key_problem(key):
        return f"'{key}' is no label's key: {problem}"
    values = (found["values"] or found["value"] or "").split(",")
    for value in map(str.strip, values):
        if problem := label_value_problem(value):
            return f"'{value}' is no label's value: {problem}"
    return None
