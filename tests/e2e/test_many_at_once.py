"""Twenty commands of one user at the same time do not disturb each other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

MANY = 20


def a_job(name: str) -> dict[str, Any]:
    container = {"name": "main", "image": "x", "command": ["echo", name]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    head = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
    return head | {"spec": {"backoffLimit": 0, "template": template}}


def test_twenty_at_once(cluster: Any, jobman: Any, tmp_path: Path) -> None:
    before = [f"job-{number}" for number in range(10)]
    documents = [a_job(name) for name in before]
    for document in documents:
        document["spec"]["template"]["spec"]["containers"][0]["image"] = cluster.image
    (tmp_path / "jobs.yaml").write_text(yaml.safe_dump_all(documents))
    jobman("submit", "-f", "jobs.yaml", "--wait").ok()
    commands: list[tuple[str, ...]] = []
    for number in range(5):
        commands += [
            ("submit", "-j", f"new-{number}", "--", "true"),
            ("list", f"job-{number}", "-o", "name"),
            ("logs", f"job-{number}"),
            ("delete", f"job-{number + 5}", "-y"),
        ]
    with ThreadPoolExecutor(MANY) as pool:
        done = list(pool.map(lambda words: jobman(*words, timeout_s=120), commands))
    for words, each in zip(commands, done, strict=True):
        expected = words[2] if words[0] == "submit" else words[1]
        assert each.ok().text == f"{expected}\n"
    left = jobman("list", "-o", "name").ok().text.split()
    assert sorted(left) == sorted([*before[:5], *(f"new-{number}" for number in range(5))])


def test_twenty_at_once_start_one_cluster(cluster: Any, jobman: Any, tmp_path: Path) -> None:
    if not cluster.embedded:
        pytest.skip("about the embedded cluster's start")
    env = {"JOBMAN_LOCAL_STATE": str(tmp_path / "fresh"), "JOBMAN_NAMESPACE": ""}
    words = ("submit", "--local", "--", "true")
    try:
        with ThreadPoolExecutor(MANY) as pool:
            done = list(pool.map(lambda _: jobman(*words, env=env, timeout_s=120), range(MANY)))
        names = {each.ok().text.strip() for each in done}
        assert len(names) == MANY
        listed = jobman("list", "--local", "-o", "name", env=env).ok().text.split()
        assert set(listed) == names
    finally:
        jobman("local", "reset", "-y", env=env).ok()
