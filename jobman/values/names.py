"""Kubernetes' rules for names, labels and environment variables; globs; the nearest word.

Each `…_problem` function tells the rule that is broken, or None.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable

LAST = "LAST"
JOB_NAME_MAX = 52
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(rf"{_DNS_LABEL.pattern}(?:\.{_DNS_LABEL.pattern})*", re.ASCII)
_QUALIFIED = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?", re.ASCII)


def dns_label_problem(name: str, *, longest: int = 63) -> str | None:
    """A DNS-1123 label: the name of a namespace, a container, a job."""
    if len(name) > longest:
        return f"it has {len(name)} characters, at most {longest} are allowed"
    if not _DNS_LABEL.fullmatch(name):
        return (
            "only lower case letters, digits and '-' are allowed, "
            "with a letter or digit at both ends"
        )
    return None


def dns_subdomain_problem(name: str, *, longest: int = 253) -> str | None:
    """A DNS-1123 subdomain: the name of most Kubernetes objects."""
    if len(name) > longest:
        return f"it has {len(name)} characters, at most {longest} are allowed"
    if not _SUBDOMAIN.fullmatch(name):
        return (
            "only lower case letters, digits, '-' and '.' are allowed, "
            "with a letter or digit at both ends of each part"
        )
    return None


def label_key_problem(key: str) -> str | None:
    """The key of a label or an annotation: `[prefix/]name`."""
    prefix, slash, name = key.rpartition("/")
    if slash and (problem := dns_subdomain_problem(prefix)):
        return f"its prefix '{prefix}' is no DNS name: {problem}"
    if not name:
        return "it is empty"
    return _qualified_problem(name)


def label_value_problem(value: str) -> str | None:
    """The value of a label; empty is allowed."""
    return _qualified_problem(value) if value else None


def _qualified_problem(text: str) -> str | None:
    if len(text) > 63:
        return f"it has {len(text)} characters, at most 63 are allowed"
    if not _QUALIFIED.fullmatch(text):
        return (
            "only letters, digits, '-', '_' and '.' are allowed, "
            "with a letter or digit at both ends"
        )
    return None


def env_name_problem(name: str) -> str | None:
    """The name of an environment variable: printable ASCII but '='."""
    if not name:
        return "it is empty"
    if "=" in name or not all(" " <= char <= "~" for char in name):
        return "only printable ASCII characters other than '=' are allowed"
    return None


def random_suffix(length: int = 5) -> str:
    """Random characters of the alphabet that Kubernetes uses: no vowels, no look-alikes."""
    import random  # slow to import, and this module is in every command

    return "".join(random.choices(_ALPHABET, k=length))


def is_glob(text: str) -> bool:
    """Whether `text` is a pattern rather than a name."""
    return any(char in text for char in "*?[")


def means(word: str, name: str) -> bool:
    """Whether the word, a name or a glob, means this name."""
    return name == word or (is_glob(word) and glob_matches(word, name))


def glob_matches(pattern: str, name: str) -> bool:
    """Whether `name` matches the shell pattern, case by case."""
    return fnmatch.fnmatchcase(name, pattern)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that `word` may be a misspelling of, or None; upper and lower case are alike."""
    known = {other.casefold(): other for other in words}
    close = difflib.get_close_matches(word.casefold(), list(known), n=1)
    return known[close[0]] if close else None
