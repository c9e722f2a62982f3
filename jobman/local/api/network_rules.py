"""What a pod's ports, name servers and host names may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from jobman.local.api import rules
from jobman.local.api.cause import Cause, duplicate, not_supported, required, wrong

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PORT_RANGE = "must be between 1 and 65535, inclusive"
_NAME_SERVERS = 3

Container = Mapping[str, Any]


def ports(given: list[dict[str, Any]], path: str) -> Iterator[Cause]:
    """What is wrong with a container's ports."""
    names: set[str] = set()
    for index, port in enumerate(given):
        where, name = f"{path}[{index}]", port.get("name", "")
        if name:
            problems = rules.port_name(name)
            yield from (wrong(f"{where}.name", name, text) for text in problems)
            if name in names and not problems:
                yield duplicate(f"{where}.name", name)
            names.add(name)
        number = port.get("containerPort", 0)
        if not number:
            yield required(f"{where}.containerPort")
        else:
            yield from port_number(number, f"{where}.containerPort")
        if port.get("hostPort"):
            yield from port_number(port["hostPort"], f"{where}.hostPort")
        protocol = port.get("protocol", "TCP")
        if protocol not in _PROTOCOLS:
            yield not_supported(f"{where}.protocol", protocol, _PROTOCOLS)


def port_number(number: int, path: str) -> Iterator[Cause]:
    """What is wrong with the number of a port."""
    if not 1 <= number <= 65535:
        yield wrong(path, number, _PORT_RANGE)


def host_ports(containers: Iterable[Container], path: str) -> Iterator[Cause]:
    """Containers that run at the same time take no port of the host twice."""
    taken: set[str] = set()
    for place, container in enumerate(containers):
        for index, port in enumerate(container.get("ports", [])):
            number = port.get("hostPort")
            if not number:
                continue
            whole = f"{port.get('protocol', 'TCP')}/{port.get('hostIP', '')}/{number}"
            if whole in taken:
                yield duplicate(f"{path}[{place}].ports[{index}].hostPort", whole)
            taken.add(whole)


def host_network(containers: Iterable[Container], path: str) -> Iterator[Cause]:
    """In the network of the host a container's port is the host's."""
    for place, container in enumerate(containers):
        for index, port in enumerate(container.get("ports", [])):
            number = port.get("hostPort")
            if number and number != port.get("containerPort", 0):
                text = "must match `containerPort` when `hostNetwork` is true"
                yield wrong(f"{path}[{place}].ports[{index}].hostPort", number, text)


def dns(spec: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with the DNS configuration of a pod with that spec."""
    config = spec.get("dnsConfig")
    servers = (config or {}).get("nameservers", [])
    if spec.get("dnsPolicy") == "None":
        if config is None:
            yield required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not servers:
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(f"{path}.nameservers", text)
            return
    if len(servers) > _NAME_SERVERS:
        text = f"must not have more than {_NAME_SERVERS} nameservers"
        yield wrong(f"{path}.nameservers", servers, text)
    for index, server in enumerate(servers):
        yield from _address(server, f"{path}.nameservers[{index}]")
    for index, option in enumerate((config or {}).get("options", [])):
        if not option.get("name"):
            yield required(f"{path}.options[{index}]", "must not be empty")


def host_aliases(aliases: list[dict[str, Any]], path: str) -> Iterator[Cause]:
    """What is wrong with the lines that a pod wants in its /etc/hosts."""
    for index, alias in enumerate(aliases):
        where = f"{path}[{index}]"
        yield from _address(alias.get("ip", ""), f"{where}.ip")
        for place, name in enumerate(alias.get("hostnames", [])):
            problems = rules.dns_subdomain(name)
            yield from (wrong(f"{where}.hostnames[{place}]", name, text) for text in problems)


def _address(text: str, path: str) -> Iterator[Cause]:
    if not _is_address(text):
        yield wrong(path, text, "must be valid IP address")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # a zone means something on one machine only
