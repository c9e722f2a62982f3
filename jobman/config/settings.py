"""The settings: what each key means and what it may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from jobman.config.flavors import Flavor
from jobman.config.problems import several
from jobman.values.enums import ClusterType, ImagePullPolicy
from jobman.values.names import dns_label_problem, label_key_problem


def _namespace(value: Any) -> Any:
    problem = dns_label_problem(value) if isinstance(value, str) else None
    if problem:
        raise ValueError(f"'{value}' is no namespace: {problem}")
    return value


Namespace = Annotated[str, BeforeValidator(_namespace)]


class Part(BaseModel):
    """A part of the settings. Keys it does not know are left out, and warned of by the loader."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class JobAnnotation(Part):
    """An annotation put on every job."""

    key: str
    value: str
    """The annotation's value, or with valueType `env` the environment variable that holds it."""
    value_type: Literal["string", "env"] = "string"

    @field_validator("key")
    @classmethod
    def _is_a_key(cls, key: str) -> str:
        problem = label_key_problem(key)
        if problem:
            raise ValueError(f"'{key}' is no annotation key: {problem}")
        return key


class SecurityContext(Part):
    """The pod's securityContext."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None
    supplemental_groups: list[int] | None = None


class JobResources(Part):
    """The flavors."""

    default: str | None = None
    """The flavor of a job that names none."""
    label: str | None = None
    """An annotation that carries the flavor's name, for clusters that key their queue on it."""
    predefined: list[Flavor] = []
    """The flavors; a later layer's entry replaces the whole entry of the same name."""

    @model_validator(mode="after")
    def _names_once(self) -> JobResources:
        names = [flavor.name for flavor in self.predefined]
        twice = [
            (f"predefined[{index}].name", f"'{name}' is there already")
            for index, name in enumerate(names)
            if name in names[:index]
        ]
        if twice:
            raise several(twice)
        return self


class JobSettings(Part):
    """What every job gets."""

    default_image: str | None = None
    image_prefix: str | None = None
    """Put before references that name no registry."""
    image_pull_policy: ImagePullPolicy | None = None
    image_pull_secrets: list[str] = []
    annotations: list[JobAnnotation] = []
    user_configmap: str | None = None
    """A ConfigMap of the namespace whose key ceph.gid becomes a supplemental group."""
    priority_class_name: str | None = None
    security_context: SecurityContext | None = None
    resources: JobResources = JobResources()


class JobsQueue(Part):
    """Where a published queue is found, and what counts as a GPU."""

    namespace: Namespace | None = None
    configmap: str | None = None
    gpu_resources: list[str] | None = None
    """Resource names; null: every extended resource named */gpu."""


class KubeConfig(Part):
    """Where the cluster is looked for."""

    type: ClusterType = ClusterType.DEFAULT
    file: str | None = None
    context: str | None = None

    @model_validator(mode="after")
    def _file_is_named(self) -> KubeConfig:
        if self.type is ClusterType.FILE and not self.file:
            raise several([("file", "is needed with type 'file'")])
        return self


class Harbor(Part):
    """The earlier tool's single Harbor project."""

    url: str | None = None
    project: str | None = None


class HarborProject(Part):
    """A project of a Harbor registry."""

    name: str = Field(min_length=1)
    base_url: str
    token: str | None = Field(default=None, repr=False)
    """HTTP Basic: base64 of user:secret."""
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    """The CA of a registry with a private one."""
    insecure: bool = False
    """Do not verify certificates; warned of at each use."""
    pull_secret: str | None = None
    """The Secret with which the cluster pulls images of this project."""


class NewVersion(Part):
    """The earlier tool's version notice; ignored."""

    repository: str | None = None
    package_json_path: str | None = None
    custom_message: str | None = None
    check: bool | None = None


class Local(Part):
    """The embedded cluster."""

    enabled: bool = True
    """Whether jobs may run on this machine when no cluster is configured."""


class ClusterFacts(Part):
    """What the site knows of its cluster."""

    fixed_nodes: bool = False
    """No autoscaler adds nodes: what fits on none can never run."""


class Settings(Part):
    """jobman's settings."""

    namespace: Namespace | None = None
    user: str | None = None
    """Who I am, where one certificate is handed to all."""
    job: JobSettings = JobSettings()
    jobs_queue: JobsQueue = JobsQueue()
    kube_config: KubeConfig = KubeConfig()
    harbor: Harbor | None = None
    harbor_projects: list[HarborProject] = []
    shared_namespace: str | None = None
    shared_configmap: str | None = None
    new_version: NewVersion | None = None
    local: Local = Local()
    cluster: ClusterFacts = ClusterFacts()

    @field_validator("harbor_projects")
    @classmethod
    def _names_once(cls, projects: list[HarborProject]) -> list[HarborProject]:
        names = [project.name for project in projects]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ValueError(f"the name '{name}' is there twice")
        return projects
