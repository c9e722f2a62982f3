"""Settings from their files: order, problems with paths, warnings, what a directory may set."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from jobman.config.layers import LoadedSettings, default_problem, load, shipped, sources
from jobman.errors import ConfigError
from jobman.values.enums import ClusterType, ImagePullPolicy

EXAMPLES = Path(__file__).parents[2] / "settings" / "examples"


class Places:
    """The places settings come from, in a directory of their own."""

    def __init__(self, root: Path) -> None:
        self.site = root / "etc" / "settings.json"
        self.home = root / "home of a user"
        self.cwd = root / "a checkout"
        self.file = root / "given.json"
        for folder in (self.site.parent, self.home / ".jobman", self.cwd / ".jobman"):
            folder.mkdir(parents=True)

    def write(self, place: str, value: Any) -> Path:
        paths = {
            "site": self.site,
            "home": self.home / ".jobman" / "settings.json",
            "directory": self.cwd / ".jobman" / "settings.json",
            "file": self.file,
        }
        text = value if isinstance(value, str) else json.dumps(value)
        paths[place].write_text(text)
        paths[place].chmod(0o600)
        return paths[place]

    def load(self, *, file: bool = False, **environ: str) -> LoadedSettings:
        return load(
            self.file if file else None,
            environ={"HOME": str(self.home), **environ},
            cwd=self.cwd,
            site=self.site,
        )

    def problems(self, **more: Any) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            self.load(**more)
        first, *lines = raised.value.message.splitlines()
        assert first == "the settings are wrong"
        return [line.strip() for line in lines]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_the_template_alone(places: Places) -> None:
    loaded = places.load()
    names = [flavor.name for flavor in loaded.values.job.resources.predefined]
    assert names == ["tiny", "small", "medium", "large", "small-gpu", "large-gpu"]
    assert loaded.values.job.resources.default == "tiny"
    assert loaded.values.kube_config.type is ClusterType.DEFAULT
    assert loaded.values.job.security_context is None
    assert loaded.values.local.enabled
    assert loaded.warnings == ()
    assert set(loaded.provenance.values()) == {"template"}


def test_each_layer_outranks_those_before(places: Places) -> None:
    order = ["site", "home", "directory", "file"]
    for index, place in enumerate(order):
        images = {f"l{later}": place for later in range(index, len(order))}
        value = {"job": {"defaultImage": place, "annotations": [{"key": "a", "value": place}]}}
        flavors = [{"name": name, "resources": {}, "description": d} for name, d in images.items()]
        value["job"]["resources"] = {"predefined": flavors}  # type: ignore[assignment]
        places.write(place, value)
    loaded = places.load(file=True, JOBMAN_IMAGE="of-the-variable")
    assert loaded.values.job.default_image == "of-the-variable"
    assert [a.value for a in loaded.values.job.annotations] == ["file"]
    described = {f.name: f.description for f in loaded.values.job.resources.predefined}
    assert described["l0"] == "site"
    assert described["l3"] == "file"
    layers = {path: layer for path, layer in loaded.provenance.items() if layer != "template"}
    assert layers == {
        "job.annotations": "-s",
        "job.defaultImage": "JOBMAN_IMAGE",
        "job.resources.predefined[l0]": "site",
        "job.resources.predefined[l1]": "home",
        "job.resources.predefined[l2]": "directory",
        "job.resources.predefined[l3]": "-s",
    }


def test_variables(places: Places) -> None:
    loaded = places.load(
        JOBMAN_NAMESPACE="n",
        JOBMAN_CONTEXT="c",
        JOBMAN_FLAVOR="large",
        JOBMAN_IMAGE="i",
        JOBMAN_USER="u",
    )
    values = loaded.values
    found = (values.namespace, values.kube_config.context, values.job.resources.default)
    assert found == ("n", "c", "large")
    assert (values.job.default_image, values.user) == ("i", "u")
    assert loaded.provenance["kubeConfig.context"] == "JOBMAN_CONTEXT"


def test_an_empty_variable_sets_nothing(places: Places) -> None:
    assert places.load(JOBMAN_FLAVOR="", JOBMAN_SETTINGS="").values.job.resources.default == "tiny"


def test_the_file_of_a_variable_and_the_flag_over_it(places: Places, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"namespace": "of-the-variable", "user": "u"}')
    places.write("file", {"namespace": "of-the-flag"})
    by_variable = places.load(JOBMAN_SETTINGS=str(other))
    assert by_variable.values.namespace == "of-the-variable"
    assert by_variable.provenance["namespace"] == "JOBMAN_SETTINGS"
    both = places.load(file=True, JOBMAN_SETTINGS=str(other))
    assert (both.values.namespace, both.values.user) == ("of-the-flag", None)


def test_null_hides_a_flavor_and_means_the_default_elsewhere(places: Places) -> None:
    hidden = [{"name": "large", "resources": None}]
    places.write(
        "home",
        {
            "job": {"annotations": None, "resources": {"predefined": hidden}},
            "jobsQueue": None,
            "local": {"enabled": None},
            "harborProjects": None,
        },
    )
    loaded = places.load()
    assert "large" not in [f.name for f in loaded.values.job.resources.predefined]
    assert loaded.values.job.annotations == []
    assert loaded.values.jobs_queue.gpu_resources is None
    assert loaded.values.local.enabled
    assert loaded.provenance["job.resources.predefined[large]"] == "home"


def test_a_directory_sets_job_alone(places: Places) -> None:
    path = places.write(
        "directory",
        {
            "$schema": "x",
            "job": {"defaultImage": "i"},
            "harborProjects": "not even looked at",
            "kubeConfig": {"type": "file", "file": "evil"},
        },
    )
    loaded = places.load()
    assert loaded.values.job.default_image == "i"
    assert loaded.values.kube_config.type is ClusterType.DEFAULT
    assert loaded.values.harbor_projects == []
    assert loaded.warnings == (
        f"{path}: harborProjects: is ignored here; a working directory may set job.* alone",
        f"{path}: kubeConfig: is ignored here; a working directory may set job.* alone",
    )


def test_home_as_the_working_directory_is_home(places: Places) -> None:
    places.write("home", {"namespace": "mine"})
    loaded = load(None, environ={"HOME": str(places.home)}, cwd=places.home, site=places.site)
    assert loaded.values.namespace == "mine"
    assert [source.name for source in loaded.layers] == ["template", "site", "home"]


def test_links_that_lead_to_each_other_are_a_problem(places: Places, tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / ".jobman").mkdir(parents=True)
    (here / ".jobman" / "settings.json").symlink_to("settings.json")
    with pytest.raises(ConfigError, match="Too many levels of symbolic links"):
        load(None, environ={"HOME": str(places.home)}, cwd=here, site=places.site)


def test_a_deleted_working_directory_is_no_layer(tmp_path: Path) -> None:
    found = sources(None, environ={"HOME": str(tmp_path)}, cwd=None)
    assert [source.name for source in found] == ["template", "site", "home"]


def test_all_problems_of_all_files(places: Places) -> None:
    broken = places.write("site", '{"a": 1,\n  "b": }')
    flavors = [
        {"name": "a", "resources": {}},
        {"name": "b", "resources": {}},
        {"name": "a", "resources": {"requests": {"memory": "1Gx"}}},
    ]
    wrong = places.write(
        "home",
        {
            "namespace": "Team",
            "local": {"enabled": []},
            "job": {"resources": {"predefined": flavors}, "imagePullPolicy": "Sometimes"},
            "kubeConfig": {"type": "kubectl"},
            "harborProjects": {"name": "x", "token": "c2VjcmV0"},
        },
    )
    assert places.problems(JOBMAN_NAMESPACE="A B") == [
        f"{broken}: line 2, column 8: is not JSON: Expecting value",
        (
            f"{wrong}: namespace: 'Team' is no namespace: only lower case letters, digits and '-' "
            "are allowed, with a letter or digit at both ends"
        ),
        (
            f'{wrong}: job.imagePullPolicy: found "Sometimes": '
            "input should be 'Always', 'IfNotPresent' or 'Never'"
        ),
        (
            f"{wrong}: job.resources.predefined[2].resources.requests.memory: "
            "'1Gx' is no quantity (like 500m, 2, 1.5 or 4Gi)"
        ),
        f"{wrong}: job.resources.predefined[2].name: 'a' is there already",
        (
            f'{wrong}: kubeConfig.type: found "kubectl": '
            "input should be 'default', 'cluster', 'file' or 'local'"
        ),
        f"{wrong}: harborProjects: found an object: input should be a valid list",
        f"{wrong}: local.enabled: found a list: input should be a valid boolean",
        (
            "JOBMAN_NAMESPACE: namespace: 'A B' is no namespace: only lower case letters, digits "
            "and '-' are allowed, with a letter or digit at both ends"
        ),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param("", "line 1, column 1: is not JSON: Expecting value", id="empty"),
        pytest.param("[1]", "an object is needed, like {}", id="a list"),
        pytest.param("[" * 100_000, "is nested too deeply", id="deep"),
        pytest.param(
            '{"job": {"resources": {"predefined": [{"name": [], "resources": {}}]}}}',
            "job.resources.predefined[0].name: found a list: input should be a valid string",
            id="a name that is none",
        ),
        pytest.param(
            '{"harborProjects": [{"name": "p", "baseUrl": "u", "token": ["secret"]}]}',
            "harborProjects[0].token: found a list: input should be a valid string",
            id="a credential in a list",
        ),
        pytest.param(
            '{"harborProjects": [{"name": "p", "baseUrl": "u", "token": 12345}]}',
            "harborProjects[0].token: found something else: input should be a valid string",
            id="a credential that is no text",
        ),
        pytest.param(
            '{"job": {"securityContext": {"runAsUser": "1000"}}}',
            'job.securityContext.runAsUser: found "1000": input should be a valid integer',
            id="a user id in quotes",
        ),
        pytest.param(
            '{"local": {"enabled": "no"}}',
            'local.enabled: found "no": input should be a valid boolean',
            id="a word for no",
        ),
        pytest.param(
            '{"cluster": {"fixedNodes": 1}}',
            "cluster.fixedNodes: found 1: input should be a valid boolean",
            id="a number for yes",
        ),
        pytest.param(
            '{"job": {"annotations": [{"key": "a"}]}}',
            "job.annotations[0].value: is missing",
            id="an annotation without a value",
        ),
        pytest.param(
            '{"job": {"resources": {"predefined": [{"name": "a", "limits": 1, "resources": {}}]}}}',
            "job.resources.predefined[0].limits: unknown key; did you mean 'timeLimit'?",
            id="an unknown key of a flavor",
        ),
    ],
)
def test_a_problem(places: Places, content: str, problem: str) -> None:
    path = places.write("home", content)
    assert places.problems() == [f"{path}: {problem}"]


def test_what_only_all_layers_can_tell(places: Places) -> None:
    path = places.write("home", {"kubeConfig": {"type": "file"}})
    places.write("site", {"kubeConfig": {"context": "c"}})
    told = "kubeConfig.type: 'file' needs a kubeConfig.file besides"
    assert places.problems() == [f"{path}: {told}"]
    places.write("site", {"kubeConfig": {"file": "/etc/kubeconfig"}})
    assert places.load().values.kube_config.file == "/etc/kubeconfig"


def test_files_that_cannot_be_read(places: Places, tmp_path: Path) -> None:
    places.write("home", {}).write_bytes(b'{"user": "\xff"}')
    places.site.mkdir()
    nowhere = tmp_path / "nowhere.json"
    assert places.problems(JOBMAN_SETTINGS=str(nowhere)) == [
        f"{places.site}: Is a directory",
        f"{places.home}/.jobman/settings.json: is not UTF-8 text: invalid start byte",
        f"{nowhere}: No such file or directory",
    ]


def test_a_dangling_link_is_told(places: Places) -> None:
    (places.home / ".jobman" / "settings.json").symlink_to("gone.json")
    assert places.problems() == [f"{places.home}/.jobman/settings.json: No such file or directory"]


def test_unknown_keys_are_warnings(places: Places) -> None:
    path = places.write(
        "home",
        {
            "namespac": "x",
            "job": {"defaultimage": "x", "zzz": 1},
            "harborProjects": [{"name": "p", "baseUrl": "u", "tokn": "x"}],
        },
    )
    loaded = places.load()
    job_keys = (
        "annotations, defaultImage, imagePrefix, imagePullPolicy, imagePullSecrets, "
        "priorityClassName, resources, securityContext, userConfigmap"
    )
    assert loaded.warnings == (
        f"{path}: namespac: unknown key; did you mean 'namespace'?",
        f"{path}: job.defaultimage: unknown key; did you mean 'defaultImage'?",
        f"{path}: job.zzz: unknown key; known: {job_keys}",
        f"{path}: harborProjects[0].tokn: unknown key; did you mean 'token'?",
    )
    assert "namespac" not in loaded.raw
    places.write("directory", {"job": {"resources": {"default": 3}}})
    assert [f"warning: {told}" for told in loaded.warnings] == places.problems()[-4:]


def test_unknown_keys_may_be_nested_deeply(places: Places) -> None:
    places.write("home", '{"zzz": ' + '{"a":' * 500 + "1" + "}" * 500 + "}")
    assert len(places.load().warnings) == 1


def test_obsolete_keys_name_what_replaces_them(places: Places) -> None:
    obsolete = {"datasetsEnvVar": "D", "mountPoints": {}, "job": {"affinity": {}, "limits": {}}}
    path = places.write("home", obsolete)
    assert places.load().warnings == (
        f"{path}: datasetsEnvVar: is obsolete; use submit -e NAME=VALUE",
        f"{path}: mountPoints: is obsolete; use submit -f MANIFEST with volumes",
        f"{path}: job.affinity: is obsolete; use a flavor's nodeSelector",
        f"{path}: job.limits: is obsolete; use job.resources.predefined",
    )


def test_a_key_written_twice(places: Places) -> None:
    path = places.write("home", '{"namespace": "a", "namespace": "b"}')
    loaded = places.load()
    assert loaded.warnings == (f"{path}: 'namespace' is there twice; the last one counts",)
    assert loaded.values.namespace == "b"


@pytest.mark.parametrize(
    ("mode", "value", "warned"),
    [
        (0o600, {"token": "x"}, False),
        (0o640, {"token": "x"}, True),
        (0o604, {"token": "x"}, True),
        (0o644, {"token": None}, False),
        (0o644, {"passwordFile": "/x"}, False),
    ],
)
def test_a_credential_that_others_may_read(
    places: Places, mode: int, value: dict[str, Any], warned: bool
) -> None:
    path = places.write("home", {"harborProjects": [{"name": "p", "baseUrl": "u", **value}]})
    path.chmod(mode)
    told = f"{path}: holds a credential and others may read it; chmod 600 it"
    assert places.load().warnings == ((told,) if warned else ())


def test_the_earlier_jobmans_file(places: Places) -> None:
    places.write("file", (EXAMPLES / "earlier-jobman.json").read_text())
    loaded = places.load(file=True)
    values, job = loaded.values, loaded.values.job
    told = f"{places.file}: newVersion: is ignored; package installers know versions"
    assert loaded.warnings == (told,)
    assert (values.shared_namespace, values.shared_configmap) == ("common", "shared")
    assert (values.jobs_queue.namespace, values.jobs_queue.configmap) == ("jobs-queue",) * 2
    assert values.jobs_queue.gpu_resources == ["nvidia.com/gpu", "amd.com/gpu"]
    annotations = [(a.key, a.value, a.value_type) for a in job.annotations]
    assert annotations == [
        ("example.org/project", "imaging", "string"),
        ("example.org/datasets", "DATASETS_LIST", "env"),
    ]
    assert (job.default_image, job.image_prefix) == (
        "ubuntu_python:latest",
        "harbor.example.org/batch/",
    )
    assert (job.user_configmap, job.priority_class_name) == ("user-details", "batch-jobs")
    assert job.security_context is not None
    assert job.security_context.model_dump(by_alias=True, exclude_none=True) == {
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 1000,
        "supplementalGroups": [4100],
    }
    assert (job.resources.default, job.resources.label) == ("no-gpu", "example.org/flavor")
    by_name = {flavor.name: flavor for flavor in job.resources.predefined}
    assert by_name["no-gpu"].requests == {"memory": "8Gi", "cpu": "2"}
    assert by_name["large-gpu"].limits == {"nvidia.com/gpu": "1"}
    assert loaded.provenance["job.resources.predefined[small-gpu]"] == "-s"
    assert values.kube_config.type is ClusterType.DEFAULT
    assert values.harbor is not None
    assert (values.harbor.url, values.harbor.project) == ("https://harbor.example.org", "batch")
    assert [(p.name, p.base_url, p.token) for p in values.harbor_projects] == [
        ("science", "https://harbor.example.org", None)
    ]


@pytest.mark.parametrize("type_", ["file", "default", "cluster"])
def test_the_earlier_jobmans_kinds_of_kubeconfig(places: Places, type_: str) -> None:
    places.write("home", {"kubeConfig": {"type": type_, "file": "/home/me/.kube/config"}})
    assert places.load().values.kube_config.type == type_


def test_a_sites_file(places: Places) -> None:
    places.write("site", (EXAMPLES / "site.json").read_text())
    loaded = places.load()
    values = loaded.values
    names = [flavor.name for flavor in values.job.resources.predefined]
    assert names == ["tiny", "small", "medium", "large", "a100"]
    assert values.job.image_pull_policy is ImagePullPolicy.IF_NOT_PRESENT
    assert not values.local.enabled
    assert values.cluster.fixed_nodes
    assert loaded.warnings == ()
    assert default_problem(values) is None


@pytest.mark.parametrize(
    ("default", "problem"),
    [
        (None, None),
        ("small", None),
        ('{"name": "x", "resources": {}}', None),
        ("./flavor.json", None),
        ("smal", "no flavor is called 'smal'; did you mean 'small'?"),
        (
            "zzz",
            (
                "no flavor is called 'zzz'; "
                "flavors: tiny, small, medium, large, small-gpu, large-gpu"
            ),
        ),
    ],
)
def test_a_default_that_is_no_flavor(
    places: Places, default: str | None, problem: str | None
) -> None:
    places.write("home", {"job": {"resources": {"default": default}}})
    expected = problem and f"job.resources.default: {problem}"
    found = default_problem(places.load().values)
    assert (found and str(found)) == expected


def test_shipped_files_of_a_checkout_and_of_a_wheel(tmp_path: Path) -> None:
    package = tmp_path / "jobman"
    assert shipped("template.json", package) == tmp_path / "settings" / "template.json"
    (package / "_settings").mkdir(parents=True)
    assert shipped("template.json", package) == package / "_settings" / "template.json"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_right_to_read(places: Places) -> None:
    path = places.write("home", {})
    path.chmod(0)
    assert places.problems() == [f"{path}: Permission denied"]
