"""A container's environment, words, image and volumes, as Kubernetes makes them."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from plugins.work import assert_grows_in_proportion

from jobman.local import env, env_file, imagenames, volumes
from jobman.local.env import ContainerConfigError, World
from jobman.local.volumes import MountError, VolumeMaker

POD: dict[str, Any] = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u-1",
        "labels": {"b": "2", "a": 'x"y'},
        "annotations": {"note": "hi"},
    },
    "spec": {
        "nodeName": "n1",
        "serviceAccountName": "default",
        "containers": [
            {"name": "main", "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1500m"}}}
        ],
    },
}
MAIN = POD["spec"]["containers"][0]
CONFIG = {"c": {"data": {"k": "v", "n": "7"}, "binaryData": {"bin": "/w=="}}}
SECRETS = {"s": {"data": {"pw": base64.b64encode(b"geheim").decode()}}}
WORLD = World(CONFIG.get, SECRETS.get, {"memory": "4Gi", "cpu": "2"})


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y$(A)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$", "$$"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(NOPE)", "$(NOPE)"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("100%$", "100%$"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert env.expand(text, {"A": "1", "B": "$(A)"}) == expanded


@pytest.mark.parametrize("unit", ["$(", "$(A", "$$", "$(A)"])
def test_expansion_looks_at_a_text_once(unit: str) -> None:
    assert_grows_in_proportion(lambda text: env.expand(text, {"A": "1"}), lambda n: unit * n * 5)


def _program_is_given(words: list[str], variables: dict[str, str]) -> None:
    subprocess.run(["/bin/true", *words], env=variables, check=True)


def _doubled(source: str, many: int) -> list[dict[str, Any]]:
    """Variables of which each names `source` or the one before twice."""
    names = [source, *(f"V{n}" for n in range(many))]
    return [{"name": b, "value": f"$({a})$({a})"} for a, b in pairwise(names)]


BIG = World({"c": {"data": {"k": "v" * 100_000}}}.get, SECRETS.get)
FROM_BIG = [{"configMapRef": {"name": "c"}, "prefix": f"V{n}"} for n in range(1000)]


@pytest.mark.parametrize(
    "container",
    [
        {"envFrom": [{"configMapRef": {"name": "c"}}], "env": _doubled("k", 60)},
        {"envFrom": FROM_BIG},
        {"env": [{"name": "A", "value": "a" * 1000}, {"name": "B", "value": "$(A)" * 1_000_000}]},
    ],
    ids=["doubled", "many", "wide"],
)
def test_variables_are_no_more_than_too_many(container: dict[str, Any]) -> None:
    found = env.variables(POD, container, BIG)
    assert sum(map(len, found.values())) < 8 * 1024 * 1024
    with pytest.raises(OSError, match="Argument list too long"):
        _program_is_given([], found)


def test_words_are_no_more_than_too_many() -> None:
    words = env.command({"args": ["$(A)"] * 10_000}, {"A": "a" * 100_000})
    assert sum(map(len, words)) < 8 * 1024 * 1024
    with pytest.raises(OSError, match="Argument list too long"):
        _program_is_given(words, {})


def test_an_object_is_looked_up_once_for_all_variables() -> None:
    asked: list[str] = []

    def lookup(name: str) -> dict[str, Any]:
        asked.append(name)
        return CONFIG["c"]

    reference = {"configMapKeyRef": {"name": "c", "key": "k"}}
    container = {"env": [{"name": f"V{n}", "valueFrom": reference} for n in range(10)]}
    assert len(env.variables(POD, container, World(lookup, SECRETS.get))) == 10
    assert asked == ["c"]


def test_command_then_args() -> None:
    container = {"command": ["a", "$(A)"], "args": ["$$(A)", "b"]}
    assert env.command(container, {"A": "1"}) == ["a", "1", "$(A)", "b"]
    assert env.command({"args": ["only"]}, {}) == ["only"]
    assert env.command({}, {}) == []


@pytest.mark.parametrize(("name", "inside"), [("a", True), ("../a", False), ("a\0b", False)])
def test_what_is_inside_a_volume(tmp_path: Path, name: str, inside: bool) -> None:
    assert env.is_inside(tmp_path / name, tmp_path) is inside


def test_later_variables_see_earlier_ones() -> None:
    container = {
        "envFrom": [
            {"configMapRef": {"name": "c"}, "prefix": "C_"},
            {"secretRef": {"name": "s"}},
            {"configMapRef": {"name": "nope", "optional": True}},
        ],
        "env": [
            {"name": "ONE", "value": "$(C_k)1"},
            {"name": "TWO", "value": "$(ONE)$(THREE)"},
            {"name": "THREE"},
            {"name": "pw", "value": "over"},
        ],
    }
    assert env.variables(POD, container, WORLD) == {
        "C_k": "v",
        "C_n": "7",
        "pw": "over",
        "ONE": "v1",
        "TWO": "v1$(THREE)",
        "THREE": "",
    }


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "p"),
        ({"fieldRef": {"fieldPath": "metadata.namespace"}}, "ns"),
        ({"fieldRef": {"fieldPath": "metadata.uid"}}, "u-1"),
        ({"fieldRef": {"fieldPath": "metadata.labels['a']"}}, 'x"y'),
        ({"fieldRef": {"fieldPath": "metadata.annotations['nope']"}}, ""),
        ({"fieldRef": {"fieldPath": "metadata.labels"}}, 'a="x\\"y"\nb="2"'),
        ({"fieldRef": {"fieldPath": "spec.nodeName"}}, "n1"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "127.0.0.1"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "2"),
        ({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}, "1500"),
        ({"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}, "250"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}, "4096"),
        ({"resourceFieldRef": {"resource": "requests.memory"}}, "0"),
        ({"configMapKeyRef": {"name": "c", "key": "k"}}, "v"),
        ({"secretKeyRef": {"name": "s", "key": "pw"}}, "geheim"),
        ({"configMapKeyRef": {"name": "c", "key": "nope", "optional": True}}, None),
        ({"secretKeyRef": {"name": "nope", "key": "k", "optional": True}}, None),
    ],
)
def test_values_from_elsewhere(source: dict[str, Any], value: str | None) -> None:
    container = MAIN | {"env": [{"name": "X", "valueFrom": source}]}
    assert env.variables(POD, container, WORLD) == ({} if value is None else {"X": value})


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"configMapKeyRef": {"name": "nope", "key": "k"}}, 'configmap "nope" not found'),
        ({"secretKeyRef": {"name": "nope", "key": "k"}}, 'secret "nope" not found'),
        (
            {"configMapKeyRef": {"name": "c", "key": "z"}},
            "couldn't find key z in ConfigMap ns/c",
        ),
        ({"secretKeyRef": {"name": "s", "key": "z"}}, "couldn't find key z in Secret ns/s"),
        ({"fieldRef": {"fieldPath": "spec.nope"}}, "unsupported fieldPath: spec.nope"),
    ],
)
def test_what_is_missing_is_named(source: dict[str, Any], problem: str) -> None:
    with pytest.raises(ContainerConfigError) as error:
        env.variables(POD, {"env": [{"name": "X", "valueFrom": source}]}, WORLD)
    assert str(error.value) == problem


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a b é", '"a b é"'),
        ('say "a\\b"\n', r'"say \"a\\b\"\n"'),
        ("\t\r\x01\x7f", r'"\t\r\x01\x7f"'),
        ("\u0085\u00a0\U000e0001", r'"\u0085\u00a0\U000e0001"'),
    ],
)
def test_annotations_are_listed_as_go_quotes_them(value: str, shown: str) -> None:
    pod = {**POD, "metadata": {**POD["metadata"], "annotations": {"k": value, "a": "1"}}}
    assert env.field_value(pod, "metadata.annotations") == f'a="1"\nk={shown}'


ENV_FILE = """# written by the first
#A='no'
  A='one' # and why
B='it spans
two # lines'

EMPTY=''
LOOSE= 'x'
A='later'
odd line
"""


@pytest.mark.parametrize(
    ("name", "value"), [("A", "one"), ("B", "it spans\ntwo # lines"), ("EMPTY", ""), ("LOOSE", "")]
)
def test_env_files(name: str, value: str) -> None:
    assert env_file.find(ENV_FILE, name) == value
    assert env_file.find(f"\n{name}='1'", name) == "1"
    assert env_file.find("# none\n", name) is None


@pytest.mark.parametrize("line", ["A", "A=1", 'A="1"', "A ='1'", "='1'", "A='1", "A='1' b", "A="])
def test_lines_that_no_env_file_has(line: str) -> None:
    with pytest.raises(ValueError, match="invalid environment variable format at line 3"):
        env_file.find(f"B='1\n'\n{line}\nC='1'", "C")


def file_key(tmp_path: Path, *, volume: str = "v", path: str = "dir/env", **more: Any) -> Any:
    (tmp_path / "dir").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dir/env").write_text("K='v'\nNONE=''\nodd")
    reference = {"volumeName": volume, "path": path, "key": "K", **more}
    container = {"env": [{"name": "X", "valueFrom": {"fileKeyRef": reference}}]}
    return env.variables(POD, container, replace(WORLD, volumes={"v": tmp_path}))


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ({}, {"X": "v"}),
        ({"key": "NONE", "optional": True}, {}),
        ({"path": "nope", "optional": True}, {}),
    ],
)
def test_values_from_files(tmp_path: Path, reference: dict[str, Any], found: Any) -> None:
    assert file_key(tmp_path, **reference) == found


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ({"volume": "w"}, 'cannot find the volume "w" referenced by FileKeyRef'),
        ({"path": "nope"}, "couldn't parse env file: {}/nope: No such file or directory"),
        ({"path": "../x"}, "couldn't parse env file: {}/../x: it is not in the volume"),
        ({"path": "fifo"}, "couldn't parse env file: {}/fifo: it is no file"),
        ({"path": "loop"}, "couldn't parse env file: {}/loop: it is not in the volume"),
        ({"key": "NONE"}, 'environment variable key "NONE" not found in file "{}/dir/env"'),
        (
            {"key": "Z", "optional": True},
            "couldn't parse env file: {}/dir/env: invalid environment variable format at line 3",
        ),
    ],
)
def test_files_without_the_value(tmp_path: Path, reference: dict[str, Any], problem: str) -> None:
    with pytest.raises(ContainerConfigError) as error:
        file_key(tmp_path, **reference)
    assert str(error.value) == problem.format(tmp_path)


@pytest.mark.parametrize(
    "image",
    [
        "busybox",
        "library/busybox:1.36",
        "docker.io/library/python:3.13-alpine",
        "localhost:5000/a/b:c",
        "harbor.example.org/team/x@sha256:" + "a" * 64,
        "a.b/c_d/e--f:v1.2.3_x",
        "[::1]:5000/x",
    ],
)
def test_image_names(image: str) -> None:
    assert imagenames.problem(image) is None


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("Not A Valid:::Image", "repository name (library/Not A Valid) must be lowercase"),
        ("reg.io/Team/x:1", "repository name (Team/x) must be lowercase"),
        ("a b", "invalid reference format"),
        ("x:", "invalid reference format"),
        ("", "invalid reference format"),
        ("x@sha256:12", "invalid reference format"),
        ("a" * 300, "invalid reference format"),
    ],
)
def test_what_is_no_image_name(image: str, why: str) -> None:
    problem = imagenames.problem(image)
    assert problem is not None
    assert problem.startswith(f'Failed to apply default image tag "{image}": ')
    assert problem.endswith(why)


def maker(tmp_path: Path) -> VolumeMaker:
    claim = {"metadata": {"uid": "claim-uid"}}
    return VolumeMaker(tmp_path / "v", tmp_path / "claims", WORLD, {"mine": claim}.get)


def made(tmp_path: Path, **volume: Any) -> Path:
    pod = {**POD, "spec": {"volumes": [{"name": "v", **volume}]}}
    return maker(tmp_path).make(pod)["v"]


def files(place: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


def test_volumes(tmp_path: Path) -> None:
    assert files(made(tmp_path / "1", emptyDir={})) == {}
    config = made(tmp_path / "2", configMap={"name": "c"})
    assert files(config) == {"k": b"v", "n": b"7", "bin": b"\xff"}
    secret = made(tmp_path / "3", secret={"secretName": "s", "defaultMode": 0o400})
    assert files(secret) == {"pw": b"geheim"}
    assert (secret / "pw").stat().st_mode & 0o777 == 0o400
    items = [{"key": "k", "path": "sub/file"}]
    assert files(made(tmp_path / "4", configMap={"name": "c", "items": items})) == {
        "sub/file": b"v"
    }
    fields = [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]
    assert files(made(tmp_path / "5", downwardAPI={"items": fields})) == {"name": b"p"}
    sources = [{"configMap": {"name": "c", "items": items}}, {"downwardAPI": {"items": fields}}]
    projected = made(tmp_path / "6", projected={"sources": sources})
    assert files(projected) == {"sub/file": b"v", "name": b"p"}
    assert made(tmp_path, hostPath={"path": str(tmp_path / "h")}) == tmp_path / "h"
    claimed = made(tmp_path, persistentVolumeClaim={"claimName": "mine"})
    assert claimed == tmp_path / "claims" / "claim-uid"


@pytest.fixture
def daemons_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


@pytest.mark.usefixtures("daemons_umask")
@pytest.mark.parametrize(
    ("kind", "path", "wanted"),
    [
        ("DirectoryOrCreate", "a/b", "0o755"),
        ("", "a/b", "0o755"),
        ("FileOrCreate", "f", "0o644"),
    ],
)
def test_what_is_made_on_the_host_can_be_read_by_all(
    tmp_path: Path, kind: str, path: str, wanted: str
) -> None:
    place = made(tmp_path, hostPath={"path": str(tmp_path / path), "type": kind})
    assert mode(place) == wanted
    assert {mode(parent) for parent in tmp_path.glob("a")} <= {"0o755"}
    place.chmod(0o700)
    again = made(tmp_path, hostPath={"path": str(place), "type": kind})
    assert mode(again) == "0o700"


def test_a_file_on_the_host_is_made_in_a_directory_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "f"
    with pytest.raises(MountError) as error:
        made(tmp_path, hostPath={"path": str(path), "type": "FileOrCreate"})
    assert str(error.value) == f"{path}: No such file or directory"


@pytest.mark.usefixtures("daemons_umask")
def test_directories_within_volumes_can_be_read_by_all(tmp_path: Path) -> None:
    source = {"name": "c", "items": [{"key": "k", "path": "dir/two/file"}]}
    given = {"configMap": source, "projected": {"sources": [{"configMap": source}]}}
    for kind, volume in given.items():
        place = made(tmp_path / kind, **{kind: volume})
        assert [mode(place / each) for each in ("dir", "dir/two")] == ["0o755", "0o755"]
    shared = made(tmp_path, emptyDir={})
    mount = {"name": "v", "mountPath": "/x", "subPath": "sub/path"}
    volumes.mounts({"volumeMounts": [mount]}, {"v": shared}, {})
    assert mode(shared / "sub/path") == mode(shared) == "0o777"


@pytest.mark.parametrize(
    ("volume", "problem"),
    [
        ({"configMap": {"name": "nope"}}, 'configmap "nope" not found'),
        ({"secret": {"secretName": "nope"}}, 'secret "nope" not found'),
        (
            {"configMap": {"name": "c", "items": [{"key": "z", "path": "z"}]}},
            "references non-existent config key: z",
        ),
        (
            {"secret": {"secretName": "s", "items": [{"key": "z", "path": "z"}]}},
            "references non-existent secret key: z",
        ),
        (
            {"persistentVolumeClaim": {"claimName": "nope"}},
            'persistentvolumeclaim "nope" not found',
        ),
        (
            {"hostPath": {"path": "/etc/passwd", "type": "Directory"}},
            "hostPath type check failed: /etc/passwd is not a directory",
        ),
        (
            {"configMap": {"name": "c", "items": [{"key": "k", "path": "a\0b"}]}},
            "embedded null byte",
        ),
        ({"nfs": {"server": "x", "path": "/"}}, "volumes of kind nfs are not supported here"),
    ],
)
def test_volumes_that_cannot_be_made(tmp_path: Path, volume: dict[str, Any], problem: str) -> None:
    with pytest.raises(MountError) as error:
        made(tmp_path, **volume)
    assert (error.value.volume, str(error.value)) == ("v", problem)


def test_mounts(tmp_path: Path) -> None:
    places = {"v": tmp_path}
    container = {
        "volumeMounts": [
            {"name": "v", "mountPath": "/data/"},
            {"name": "v", "mountPath": "/ro", "readOnly": True},
            {"name": "v", "mountPath": "/sub", "subPathExpr": "$(X)/b"},
            {"name": "v", "mountPath": str(tmp_path)},
        ]
    }
    assert volumes.mounts(container, places, {"X": "a"}) == [
        (str(tmp_path), "/data", False),
        (str(tmp_path), "/ro", True),
        (str(tmp_path / "a/b"), "/sub", False),
    ]
    assert (tmp_path / "a/b").is_dir()


@pytest.mark.parametrize(
    ("kind", "read_only"),
    [
        ("configMap", True),
        ("secret", True),
        ("downwardAPI", True),
        ("projected", True),
        ("emptyDir", False),
        ("hostPath", False),
        ("persistentVolumeClaim", False),
    ],
)
def test_what_the_cluster_gives_is_read_only(tmp_path: Path, kind: str, read_only: bool) -> None:
    pod = {"spec": {"volumes": [{"name": "v", kind: {}}]}}
    container = {"volumeMounts": [{"name": "v", "mountPath": "/x"}]}
    found = volumes.mounts(container, {"v": tmp_path}, {}, volumes.given(pod))
    assert found == [(str(tmp_path), "/x", read_only)]


def test_a_claim_that_the_pod_has_read_only_is_mounted_so() -> None:
    claims = {"rw": {}, "ro": {"readOnly": True}}
    listed = [
        {"name": name, "persistentVolumeClaim": {"claimName": "c", **more}}
        for name, more in claims.items()
    ]
    assert volumes.given({"spec": {"volumes": listed}}) == {"ro"}


@pytest.mark.parametrize("target", ["/etc", "out"])
def test_a_sub_path_stays_inside(tmp_path: Path, target: str) -> None:
    (tmp_path / "out").symlink_to(target)
    mount = {"name": "v", "mountPath": "/x", "subPath": "out/here"}
    with pytest.raises(ContainerConfigError, match="subPath"):
        volumes.mounts({"volumeMounts": [mount]}, {"v": tmp_path}, {})


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "missing value for P"),
        ("", "missing value for P"),
        ("/etc", "error SubPath `/etc` must not be an absolute path"),
        ("a/../b", "unable to provision SubPath `a/../b`: must not contain '..'"),
    ],
)
def test_what_is_no_sub_path(tmp_path: Path, value: str | None, problem: str) -> None:
    mount = {"name": "v", "mountPath": "/x", "subPathExpr": "$(P)"}
    variables = {} if value is None else {"P": value}
    with pytest.raises(ContainerConfigError) as error:
        volumes.mounts({"volumeMounts": [mount]}, {"v": tmp_path}, variables)
    assert str(error.value) == problem
    assert list(tmp_path.iterdir()) == []


def test_a_key_as_long_as_a_files_name_becomes_a_file(tmp_path: Path) -> None:
    path = tmp_path / ("k" * 253)
    volumes._put(path, b"v", 0o644)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
