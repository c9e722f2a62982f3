"""The kubeconfig's user, read without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from jobman.kube import offline


def config(current: str | None, **users: str | None) -> dict[str, Any]:
    contexts = [{"name": name, "context": {"user": user}} for name, user in users.items()]
    return {"current-context": current, "contexts": contexts}


@pytest.mark.parametrize(
    ("configs", "context", "user"),
    [
        ([config("a", a="alice", b="bob")], None, "alice"),
        ([config("a", a="alice", b="bob")], "b", "bob"),
        ([config("a", a="alice")], "c", None),
        ([config("a", a=None)], None, None),
        ([config(None, a="alice")], None, None),
        ([config(None, a="alice"), config("b", b="bob")], None, "bob"),
        ([config("a", b="bob"), config("b", a="alice")], None, "alice"),
        (["[", config("a", a="alice")], None, "alice"),
        ([{"contexts": "x"}, [1], None], "a", None),
        ([{"current-context": "a", "contexts": [{"name": "a", "context": [1]}]}], None, None),
        (
            [{"current-context": "a", "contexts": [{"name": "a", "context": {"user": 5}}]}],
            None,
            None,
        ),
    ],
)
def test_the_user(
    configs: list[Any], context: str | None, user: str | None, tmp_path: Path
) -> None:
    files = [str(tmp_path / "missing")]
    for number, content in enumerate(configs):
        file = tmp_path / str(number)
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        files.append(str(file))
    assert offline.user(files, context) == user
