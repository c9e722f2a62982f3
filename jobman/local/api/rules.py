"""Kubernetes' rules for names and keys, in its words. Each function lists what is broken."""

from __future__ import annotations

import re
from functools import lru_cache

_REMEMBERED_CHARS = 512
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_IS_HTTP_PATH = re.compile(_HTTP_PATH)
_IS_DNS_LABEL = re.compile(_DNS_LABEL)
_IS_SUBDOMAIN = re.compile(_SUBDOMAIN)
_IS_QUALIFIED = re.compile(_QUALIFIED)
_IS_LABEL_VALUE = re.compile(f"({_QUALIFIED})?")
_IS_CONFIG_KEY = re.compile("[-._a-zA-Z0-9]+")
_IS_ENV_NAME = re.compile("[ -<>-~]+")

_DNS_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and"
    " must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used"
    f" for validation is '{_DNS_LABEL}')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used"
    f" for validation is '{_SUBDOMAIN}')"
)
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
    " alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for"
    f" validation is '{_QUALIFIED}')"
)
_QUALIFIED_KEY_TEXT = (
    f"a valid label key {_QUALIFIED_TEXT} with an optional DNS subdomain prefix and '/' (e.g."
    " 'example.com/MyName')"
)
_ENV_NAME_TEXT = (
    "a valid environment variable name must consist only of printable ASCII characters other than"
    " '='"
)
_LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.',"
    " and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or"
    f" '12345', regex used for validation is '({_QUALIFIED})?')"
)
_CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',"
    "  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def dns_label(name: str) -> list[str]:
    """A DNS-1123 label: a namespace, a container, a volume."""
    problems = _too_long(name, 63)
    if not _IS_DNS_LABEL.fullmatch(name):
        dotted = _IS_SUBDOMAIN.fullmatch(name)
        problems.append("must not contain dots" if dotted else _DNS_LABEL_TEXT)
    return problems


def dns_subdomain(name: str) -> list[str]:
    """A DNS-1123 subdomain: the name of most objects."""
    problems = _too_long(name, 253)
    if not _IS_SUBDOMAIN.fullmatch(name):
        problems.append(_SUBDOMAIN_TEXT)
    return problems


def path_segment(name: str) -> list[str]:
    """What may stand in a URL: the name of a role."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in name]


def http_path(path: str) -> list[str]:
    """What follows the domain of a domain-prefixed path."""
    if _IS_HTTP_PATH.fullmatch(path):
        return []
    return [f"Invalid path (regex used for validation is '{_HTTP_PATH}')"]


def qualified_name(key: str) -> tuple[str, ...]:
    """`[prefix/]name`: the key of a label, a finalizer, an extended resource."""
    return _qualified(key) if len(key) <= _REMEMBERED_CHARS else _qualified.__wrapped__(key)


@lru_cache(maxsize=4096)
def _qualified(key: str) -> tuple[str, ...]:
    prefix, slash, name = key.partition("/")
    if "/" in name:
        return (_QUALIFIED_KEY_TEXT,)
    if not slash:
        prefix, name = "", key
    problems = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        problems += [f"prefix part {problem}" for problem in dns_subdomain(prefix)]
    if not name:
        problems.append("name part must be non-empty")
    problems += [f"name part {problem}" for problem in _too_long(name, 63)]
    if not _IS_QUALIFIED.fullmatch(name):
        problems.append(f"name part {_QUALIFIED_TEXT}")
    return tuple(problems)


def label_value(value: str) -> list[str]:
    """The value of a label."""
    problems = _too_long(value, 63)
    if not _IS_LABEL_VALUE.fullmatch(value):
        problems.append(_LABEL_VALUE_TEXT)
    return problems


def config_key(key: str) -> list[str]:
    """A key of a ConfigMap's or Secret's data."""
    problems = _too_long(key, 253)
    if not _IS_CONFIG_KEY.fullmatch(key):
        problems.append(_CONFIG_KEY_TEXT)
    if key == ".":
        problems.append("must not be '.'")
    elif key == "..":
        problems.append("must not be '..'")
    elif key.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def env_name(name: str) -> list[str]:
    """The name of an environment variable."""
    if _IS_ENV_NAME.fullmatch(name):
        return []
    return [_ENV_NAME_TEXT]


def port_name(name: str) -> list[str]:
    """The name of a container's port."""
    problems = [] if len(name) <= 15 else ["must be no more than 15 characters"]
    if not re.fullmatch("[-a-z0-9]+", name):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        problems.append("must contain at least one letter (a-z)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def _too_long(text: str, limit: int) -> list[str]:
    if len(text) <= limit and text.isascii():
        return []
    return [f"must be no more than {limit} bytes"] if _bytes(text) > limit else []


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
