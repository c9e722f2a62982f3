"""The settings: what each key means and what it may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from jobman.config.flavors import Flavor
from jobman.config.names import AnnotationKey, Namespace, ObjectName
from jobman.config.problems import Found, checked, several
from jobman.config.resources import without_nulls
from jobman.values.enums import ClusterType, ImagePullPolicy

WHOLE = {"whole": True}
"""The validation context of the merged settings; a layer alone may lack what another one has."""


Id = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Flag = Annotated[bool, Field(strict=True)]
"""`true` or `false`: "no" and 0 are mistakes, not a false."""


class Part(BaseModel):
    """A part of the settings. Keys it does not know are left out, and warned of by the loader."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        defer_build=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return without_nulls(value)


class JobAnnotation(Part):
    """An annotation put on every job."""

    key: AnnotationKey = Field(description="The annotation's key.")
    value: str = Field(
        description="Its value, or with valueType `env` the environment variable that holds it."
    )
    value_type: Literal["string", "env"] = Field(default="string", description="`string` or `env`.")


class SecurityContext(Part):
    """The pod's securityContext, in Kubernetes' words."""

    run_as_user: Id | None = Field(default=None, description="The user id that containers run as.")
    run_as_group: Id | None = Field(default=None, description="Their primary group id.")
    run_as_non_root: Flag | None = Field(
        default=None, description="Whether an image that runs as root is refused."
    )
    fs_group: Id | None = Field(default=None, description="The group id that volumes are given to.")
    fs_group_change_policy: Literal["Always", "OnRootMismatch"] | None = Field(
        default=None, description="When a volume's files are given to it."
    )
    supplemental_groups: list[Id] | None = Field(default=None, description="More group ids.")
    supplemental_groups_policy: Literal["Merge", "Strict"] | None = Field(
        default=None, description="Whether the groups of the image count too."
    )
    seccomp_profile: dict[str, str] | None = Field(
        default=None, description="The seccomp profile: `type` and `localhostProfile`."
    )


class JobResources(Part):
    """The flavors."""

    default: str | None = Field(default=None, description="The flavor of a job that names none.")
    label: AnnotationKey | None = Field(
        default=None,
        description="An annotation that carries the flavor's name, for queues keyed on it.",
    )
    predefined: list[Flavor] = Field(
        default=[],
        description="The flavors; a later layer's entry replaces the whole entry of the same name.",
    )

    @field_validator("predefined", mode="wrap")
    @classmethod
    def _names_once(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return checked(value, handler, _twice(value))


def _twice(entries: Any) -> list[Found]:
    """The entries of a list whose name an earlier one has."""
    listed = entries if isinstance(entries, list) else []
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in listed]
    return [
        ((index, "name"), f"'{name}' is there already")
        for index, name in enumerate(names)
        if isinstance(name, str) and name in names[:index]
    ]


class JobSettings(Part):
    """What every job gets."""

    default_image: str | None = Field(
        default=None,
        description="The image of a job that names none, neither itself nor in its flavor.",
    )
    image_prefix: str | None = Field(
        default=None, description="Put before references that name no registry."
    )
    image_pull_policy: ImagePullPolicy | None = Field(
        default=None,
        description="`Always`, `IfNotPresent` or `Never`; null leaves it to Kubernetes.",
    )
    image_pull_secrets: list[ObjectName] = Field(
        default=[], description="Secrets with which the cluster pulls images."
    )
    annotations: list[JobAnnotation] = Field(
        default=[], description='Annotations for every job: `{"key", "value", "valueType"}`.'
    )
    user_configmap: ObjectName | None = Field(
        default=None,
        description="A ConfigMap of the namespace whose key ceph.gid becomes a supplemental group.",
    )
    priority_class_name: ObjectName | None = Field(
        default=None, description="The PriorityClass of jobs whose flavor names none."
    )
    security_context: SecurityContext | None = Field(
        default=None, description="The pod's securityContext."
    )
    resources: JobResources = Field(
        default=JobResources.model_construct(), description="The flavors."
    )


class JobsQueue(Part):
    """Where a published queue is found, and what counts as a GPU."""

    namespace: Namespace | None = Field(
        default=None, description="The namespace of the published queue."
    )
    configmap: ObjectName | None = Field(default=None, description="The ConfigMap that holds it.")
    gpu_resources: list[str] | None = Field(
        default=None, description="Resource names; null: every extended resource named */gpu."
    )


class KubeConfig(Part):
    """Where the cluster is looked for."""

    type: ClusterType = Field(
        default=ClusterType.DEFAULT,
        description=(
            "`default` (KUBECONFIG, ~/.kube/config, in-cluster, else the embedded cluster), "
            "`cluster` (in-cluster alone), `file`, or `local` (the embedded cluster)."
        ),
    )
    file: str | None = Field(default=None, description="The kubeconfig of type `file`.")
    context: str | None = Field(
        default=None, description="The kubeconfig's context; null is its current one."
    )

    @model_validator(mode="after")
    def _file_is_named(self, info: ValidationInfo) -> KubeConfig:
        if info.context == WHOLE and self.type is ClusterType.FILE and not self.file:
            raise several([(("type",), "'file' needs a kubeConfig.file besides")])
        return self


class Harbor(Part):
    """The earlier tool's single Harbor project; read as one more of harborProjects."""

    url: str | None = Field(default=None, description="The registry's URL.")
    project: str | None = Field(default=None, description="The project's name.")


class HarborProject(Part):
    """A project of a Harbor registry."""

    name: str = Field(min_length=1, description="The project's name.")
    base_url: str = Field(description="The registry's URL.")
    token: str | None = Field(
        default=None,
        repr=False,
        description="HTTP Basic: base64 of user:secret. Better: passwordFile, or docker login.",
    )
    username: str | None = Field(default=None, description="The user, with passwordFile.")
    password_file: str | None = Field(default=None, description="A file that holds the password.")
    ca_file: str | None = Field(
        default=None, description="The CA of a registry with a private one."
    )
    insecure: Flag = Field(
        default=False, description="Do not verify certificates; warned of at each use."
    )
    pull_secret: ObjectName | None = Field(
        default=None, description="The Secret with which the cluster pulls images of this project."
    )


class NewVersion(Part):
    """The earlier tool's version notice; ignored."""

    repository: str | None = Field(default=None, description="Ignored.")
    package_json_path: str | None = Field(default=None, description="Ignored.")
    custom_message: str | None = Field(default=None, description="Ignored.")
    check: bool | None = Field(default=None, description="Ignored.")


class Local(Part):
    """The embedded cluster."""

    enabled: Flag = Field(
        default=True,
        description="Whether jobs may run on this machine when no cluster is configured.",
    )


class ClusterFacts(Part):
    """What the site knows of its cluster."""

    fixed_nodes: Flag = Field(
        default=False, description="No autoscaler adds nodes: what fits on none can never run."
    )


class MapSettings(Part):
    """Where `jobman map --detach` runs."""

    image: str | None = Field(default=None, description="An image that has jobman in it.")
    service_account: ObjectName = Field(
        default="jobman-map", description="The ServiceAccount of the runner."
    )
    claim: ObjectName | None = Field(
        default=None, description="The PersistentVolumeClaim that the items' logs go to."
    )


class Settings(Part):
    """jobman's settings."""

    namespace: Namespace | None = Field(
        default=None, description="The namespace; null is the kubeconfig's."
    )
    user: str | None = Field(
        default=None,
        description="Who I am, where one certificate is handed to all; null asks the cluster.",
    )
    job: JobSettings = Field(
        default=JobSettings.model_construct(), description="What every job gets."
    )
    jobs_queue: JobsQueue = Field(
        default=JobsQueue.model_construct(),
        description="Where a published queue is found, and what counts as a GPU.",
    )
    kube_config: KubeConfig = Field(
        default=KubeConfig.model_construct(), description="Where the cluster is looked for."
    )
    harbor: Harbor | None = Field(
        default=None, description="The earlier tool's single Harbor project."
    )
    harbor_projects: list[HarborProject] = Field(
        default=[], description="Harbor projects whose images are listed and found; merged by name."
    )
    shared_namespace: str | None = Field(
        default=None, description="Read for the earlier tool's sake; without effect."
    )
    shared_configmap: str | None = Field(
        default=None, description="Read for the earlier tool's sake; without effect."
    )
    new_version: NewVersion | None = Field(
        default=None, description="The earlier tool's version notice; ignored."
    )
    map: MapSettings = Field(
        default=MapSettings.model_construct(), description="Where `jobman map --detach` runs."
    )
    local: Local = Field(default=Local.model_construct(), description="The embedded cluster.")
    cluster: ClusterFacts = Field(
        default=ClusterFacts.model_construct(), description="What the site knows of its cluster."
    )

    @field_validator("harbor_projects", mode="wrap")
    @classmethod
    def _names_once(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return checked(value, handler, _twice(value))
