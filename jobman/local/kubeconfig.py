"""The kubeconfig of the embedded cluster, for its owner and for others."""

from __future__ import annotations

import base64
import json

CLUSTER = "jobman-local"


def text(*, address: str, ca: bytes, user: str, token: str, namespace: str = "default") -> str:
    """A kubeconfig (YAML) that pins the cluster's CA and carries the user's token."""
    authority = base64.b64encode(ca).decode()
    context = CLUSTER if user == CLUSTER else f"{user}@{CLUSTER}"
    lines = [
        "apiVersion: v1",
        "kind: Config",
        f"current-context: {json.dumps(context)}",
        "clusters:",
        f"- name: {CLUSTER}",
        "  cluster:",
        f"    server: {address}",
        f"    certificate-authority-data: {authority}",
        "users:",
        f"- name: {json.dumps(user)}",
        "  user:",
        f"    token: {token}",
        "contexts:",
        f"- name: {json.dumps(context)}",
        "  context:",
        f"    cluster: {CLUSTER}",
        f"    user: {json.dumps(user)}",
        f"    namespace: {json.dumps(namespace)}",
    ]
    return "\n".join(lines) + "\n"
