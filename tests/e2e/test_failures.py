"""What a user can get wrong: a message that says what to do, the right exit code, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

EDITS: dict[str, tuple[Callable[[dict[str, Any]], None], int, str]] = {}


def edit(
    name: str, code: int, text: str
) -> Callable[[Callable[[dict[str, Any]], None]], Callable[[dict[str, Any]], None]]:
    """An edit of a kubeconfig, with what `list` then ends with."""

    def keep(function: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        EDITS[name] = (function, code, text)
        return function

    return keep


@edit("a token that nobody holds", 4, "Unauthorized")
def wrong_token(config: dict[str, Any]) -> None:
    config["users"][0]["user"] = {"token": "wrong"}


@edit("a port where nobody listens", 5, "127.0.0.1:9")
def closed_port(config: dict[str, Any]) -> None:
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"


@edit("somebody without rights", 4, "cannot list")
def no_rights(config: dict[str, Any]) -> None:
    config["users"][0]["user"]["as"] = "nobody-in-particular"


@edit("no current context", 2, "current-context")
def no_context(config: dict[str, Any]) -> None:
    config.pop("current-context")


def shows(done: Any, code: int, *texts: str) -> None:
    """The command ended with `code` and one error that holds the texts."""
    everything = f"{done}\n{done.text}\n{done.talk}"
    assert done.code == code, everything
    assert "Traceback" not in done.talk, everything
    for text in texts:
        assert text in done.talk, everything


@pytest.mark.parametrize("name", EDITS)
def test_a_kubeconfig_that_does_not_work(
    jobman: Any, cluster: Any, tmp_path: Path, name: str
) -> None:
    change, code, text = EDITS[name]
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    change(config)
    file = tmp_path / "edited"
    file.write_text(yaml.safe_dump(config))
    shows(jobman("list", env={"KUBECONFIG": str(file)}), code, "error: ", text)


def test_a_kubeconfig_that_is_not_there(jobman: Any) -> None:
    done = jobman("list", env={"KUBECONFIG": "/nowhere/config"})
    shows(done, 2, "error: ", "/nowhere/config")


@pytest.mark.parametrize("word", ["list", "submit"])
def test_settings_that_are_wrong(jobman: Any, tmp_path: Path, word: str) -> None:
    file = tmp_path / "settings.json"
    flavors = [{"name": "a", "resources": {"requests": {"cpu": "1 core"}}}]
    file.write_text(json.dumps({"job": {"resources": {"predefined": flavors}, "defaultImage": 3}}))
    words = ["--", "true"] if word == "submit" else []
    done = jobman(word, "-s", str(file), *words)
    shows(done, 2, str(file), "job.defaultImage", "predefined", "1 core")


def test_settings_that_are_no_json(jobman: Any, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"job": }')
    shows(jobman("list", "-s", str(file)), 2, str(file), "line 1")


def test_a_flavor_that_is_not_there(jobman: Any) -> None:
    done = jobman("submit", "-r", "larg-gpu", "--", "true")
    shows(done, 2, "larg-gpu", "large-gpu", "jobman flavors")


def test_an_output_that_takes_no_more(jobman: Any) -> None:
    command = [sys.executable, "-m", "jobman", "flavors"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=jobman.env, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr.decode().strip() == "error: writing the output: No space left on device"


def test_a_job_that_is_not_there(jobman: Any) -> None:
    jobman.submit("-j", "train-one", "--hold", "--", "true")
    for word in ("details", "logs", "delete"):
        shows(jobman(word, "train-on"), 3, "train-on", "train-one")


def test_a_job_deleted_while_it_is_followed(jobman: Any) -> None:
    name = jobman.submit("--", "sh", "-c", "echo begun; exec sleep 300")
    following = jobman.start("logs", "-f", name)
    following.wait_for(b"begun")
    jobman("delete", name).ok()
    assert following.finish() == 3
    assert b"deleted" in following.err
    assert b"Traceback" not in following.err


def test_words_of_others_do_no_harm_to_the_terminal(jobman: Any, api: Any, namespace: str) -> None:
    from kubernetes import client as k8s

    name = jobman.submit("--hold", "--", "true")
    hostile = {"jobman/user": "\x1b[2J[red]\u202eevil", "jobman/flavor-spec": "{" * 5000}
    k8s.BatchV1Api(api).patch_namespaced_job(
        name, namespace, {"metadata": {"annotations": hostile | {"jobman/submitted-at": "soon"}}}
    )
    for words in (["list", "--all-users"], ["details", name]):
        done = jobman(*words).ok()
        assert name in done.text
        assert "\x1b" not in done.text
        assert "\u202e" not in done.text
