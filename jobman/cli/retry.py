"""`jobman retry`: jobs done over, with other resources where that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman.cli import each, fitting, map_one, map_retry, submission
from jobman.cli.awaiting import Submitted
from jobman.cli.command import app_context, command
from jobman.cli.named import Changed
from jobman.cli.options import takes
from jobman.cli.problems import Problems
from jobman.cli.submit_options import FlavorOption, SetResource
from jobman.errors import ConflictError, JobmanError, UnfitError, UsageError
from jobman.values.enums import State

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.config.flavors import Flavor
    from jobman.jobs.standing import Standing
    from jobman.kube.objects import Job

_TRIES = 50


@dataclass(frozen=True, kw_only=True)
class RetryOptions(Changed):
    """Which jobs are meant; what is forced is more than with others."""

    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also jobs that are not mine, where I may, and what no node can take."
        ),
    ] = False


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "retry")(takes(RetryOptions)(retry))


def retry(
    ctx: typer.Context,
    options: RetryOptions,
    flavor: FlavorOption = None,
    set_resource: SetResource = None,
    failed: Annotated[
        bool,
        typer.Option(
            "--failed",
            help="Only what failed: jobs, and of an array indexes, one job each.",
        ),
    ] = False,
) -> None:
    """Submit jobs anew, as they were; the new names go to stdout.

    The old job stays as it is; the new one says which it follows. A job that still runs is
    refused, but for the failed indexes of an array. After OOMKilled the next bigger flavor is
    proposed. Of a run of jobman map the command that began it is carried out again, with
    --retry-failed, where its log directory is.
    """
    from jobman.cli.submit import names_not_lost
    from jobman.jobs import standing

    app = app_context(ctx)
    changes = _changes(set_resource)
    asked = options.asked()
    found = each.chosen(app, asked, "retry")
    if found.runs or any(map_one.carries_run(job) for job in found.jobs):
        if flavor or set_resource:
            raise UsageError("a run of jobman map is done over as it was: no -r, no --set-resource")
        map_retry.carry_out_again(app, found)
    each.confirm(app, asked, found.jobs, "retry")
    fits = fitting.FitCheck(app, force=options.force, way="; --force submits it all the same")
    again = _Again(app, flavor, changes, failed, fits)

    def act(job: Job) -> str:
        return "\n".join(again.retry(standing.read(app.client, job)))

    with names_not_lost(app, again.made):
        each.one_by_one(app, found, act, failed="retried")


def _changes(texts: list[str] | None) -> dict[str, str]:
    problems = Problems()
    changes = submission.resources(texts or (), problems)
    problems.report()
    return changes


class _Again:
    """Submits jobs anew."""

    def __init__(
        self,
        app: AppContext,
        flavor: str | None,
        changes: dict[str, str],
        failed: bool,
        fits: fitting.FitCheck,
    ) -> None:
        from jobman.cli.submit import stamper
        from jobman.config.flavors import resolve
        from jobman.config.layers import working_directory

        self.made: list[Submitted] = []
        self._app = app
        self._chosen = resolve(flavor, app.settings.values, working_directory()) if flavor else None
        self._changes = changes
        self._failed = failed
        self._fits = fits
        self._stamp = stamper(app, app.user)

    def retry(self, old: Standing) -> Iterator[str]:
        """The names of the new jobs. Raises JobmanError for a job that cannot be done over."""
        from jobman.jobs import retry
        from jobman.kube.resources import JOBS

        meta, view = old.job.metadata, old.view
        indexes = retry.failed_indexes(old.job, view) if retry.is_array(old.job) else ()
        some = self._failed and retry.is_array(old.job)
        self._check(old, bool(indexes) if some else view.state.ended_badly)
        whole = self._app.client.get_raw(JOBS, meta.name, namespace=meta.namespace)
        flavor = self._flavor(old)
        again = retry.job(whole, meta.name, self._stamp(), flavor=flavor)
        self._fits.check(again, f"job {meta.name}: ")
        if not some:
            yield self._submit(whole, lambda n: retry.next_name(meta.name, n), None, flavor)
            return
        for index in indexes:
            first = retry.index_name(meta.name, index)
            yield self._submit(
                whole,
                lambda n, first=first: retry.next_name(first, n - 1) if n else first,  # type: ignore[misc]
                index,
                flavor,
            )

    def _check(self, old: Standing, failed: bool) -> None:
        from jobman.jobs import retry

        name, state = old.job.metadata.name, old.view.state
        if self._failed and not failed:
            raise UnfitError(f"job {name} is {state}: nothing of it failed")
        if not self._failed and not (state.finished or state is State.DELETING):
            hint = f"jobman cancel {name} stops it"
            if retry.is_array(old.job):
                hint += "; --failed does its failed indexes while the rest goes on"
            raise UnfitError(f"job {name} is {state}: it is not over", hint=hint)

    def _flavor(self, old: Standing) -> Flavor | None:
        """The flavor for the new job; None: as it was."""
        from jobman.config.flavors import Flavor
        from jobman.kube import labels

        if self._chosen is not None:
            return self._chosen.with_resources(self._changes) if self._changes else self._chosen
        if not self._changes:
            return self._bigger(old)
        resources = _resources(old.job)
        kept = labels.flavor_spec(old.job.metadata.annotations) or {}
        own = {key: kept[key] for key in ("nodeSelector", "tolerations") if kept.get(key)}
        name = old.job.metadata.labels.get(labels.FLAVOR) or "custom"
        was = Flavor.model_validate({**own, "name": name, "resources": resources})
        return was.with_resources(self._changes)

    def _bigger(self, old: Standing) -> Flavor | None:
        """After OOMKilled: the next bigger flavor, where the person agrees; else it is named."""
        from jobman.config.bigger import next_bigger

        if not any(pod.reason == "OOMKilled" for pod in old.view.pods):
            return None
        name, resources = old.job.metadata.name, _resources(old.job)
        amounts = {**resources["requests"], **resources["limits"]}
        flavors = self._app.settings.values.job.resources.predefined
        bigger = next_bigger((each for each in flavors if each.resources), amounts)
        had = f"with {amounts['memory']}" if "memory" in amounts else "without a limit of its own"
        if bigger is None:
            hint = "--set-resource memory=AMOUNT gives more"
            self._app.say(f"job {name} was OOMKilled {had}, and no flavor has more; {hint}")
            return None
        more = {**bigger.requests, **bigger.limits}["memory"]
        self._app.say(f"job {name} was OOMKilled {had}; flavor {bigger.name} has {more}")
        if self._app.can_ask:
            return bigger if self._app.agreed(f"take {bigger.name}?") else None
        self._app.say(f"hint: jobman retry {name} -r {bigger.name}")
        return None

    def _submit(
        self,
        old: dict[str, Any],
        name: Callable[[int], str],
        index: int | None,
        flavor: Flavor | None,
    ) -> str:
        """Create the job under the first name that is free."""
        from jobman.jobs import annotations, retry

        app = self._app
        settings = app.settings.values.job
        notes = annotations.merged(settings, flavor, app.environ) if flavor else None
        namespace = old["metadata"].get("namespace")
        for number in range(_TRIES):
            made = retry.job(
                old, name(number), self._stamp(), index=index, flavor=flavor, annotations=notes
            )
            try:
                return self._created(made, namespace)
            except ConflictError as error:
                if error.reason != "AlreadyExists":
                    raise
        raise JobmanError(f"all names from {name(0)} to {name(_TRIES - 1)} are taken")

    def _created(self, manifest: dict[str, Any], namespace: str | None) -> str:
        from jobman.kube.resources import JOBS

        done = self._app.client.create(JOBS, manifest, namespace=namespace)
        self.made.append(Submitted(done["metadata"]["name"], done["metadata"].get("namespace", "")))
        return self.made[-1].name


def _resources(job: Job) -> dict[str, dict[str, str]]:
    """The main container's requests and limits."""
    from jobman.jobs.manifest import CONTAINER

    containers = job.spec.template.spec.containers
    named = [each for each in containers if each.name == CONTAINER]
    resources = (named or containers)[0].resources
    return {"requests": dict(resources.requests), "limits": dict(resources.limits)}
