"""What a Job may be, and what of it may change."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api import job_policy_rules, pod_rules, rules, selector_rules, selectors
from jobman.local.api.cause import Cause, invalid, not_supported, required, too_long, wrong

Job = Mapping[str, Any]
Spec = Mapping[str, Any]

_NOT_NEGATIVE = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_MODES = ("NonIndexed", "Indexed")
_JOB_RESTARTS = ("OnFailure", "Never")
_MANY = 100_000
_FEW_OF_MANY = 10_000
_MANAGER_MOST = 63
_CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
_IMMUTABLE = "field is immutable"
_MUTABLE_WHEN_SUSPENDED = ("nodeSelector", "tolerations", "schedulingGates")


def new(job: Job) -> Iterator[Cause]:
    """What is wrong with a Job (its metadata apart), in the order Kubernetes tells it."""
    spec, meta = job.get("spec", {}), job.get("metadata", {})
    yield from _generated_selector(meta, spec)
    yield from _spec(spec)
    name, completions = meta.get("name", ""), spec.get("completions") or 0
    if name and spec.get("completionMode") == "Indexed" and completions > 0:
        last = f"{name}-{completions - 1}"
        if rules.dns_label(last):
            text = f"will not able to create pod with invalid DNS label: {last}"
            yield wrong("metadata.name", name, text)


def change(old: Job, job: Job) -> Iterator[Cause]:
    """What of a Job's spec is wrong, and what may not be as it is since it was `old`."""
    spec, before = job.get("spec", {}), old.get("spec", {})
    yield from _spec(spec)
    yield from _completions(before, spec)
    yield from _same(before, spec, "selector")
    yield from _template(old, before, spec)
    for field in (
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        yield from _same(before, spec, field)


def warnings(job: Job) -> list[str]:
    """What is allowed and may surprise: texts for Warning headers."""
    found = []
    name = job.get("metadata", {}).get("name", "")
    problems = rules.dns_label(name) if name else []
    if problems:
        found.append(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising"
            f" behavior; a DNS label is recommended: [{', '.join(problems)}]"
        )
    spec = job.get("spec", {}).get("template", {}).get("spec", {})
    return found + pod_warnings(spec, "spec.template.spec")


def pod_warnings(spec: Spec, path: str) -> list[str]:
    """Of a pod's spec: a variable that hides another."""
    found = []
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind, [])):
            seen: set[str] = set()
            for place, variable in enumerate(container.get("env", [])):
                name = variable.get("name", "")
                if name in seen:
                    found.append(
                        f"{path}.{kind}[{index}].env[{place}]: hides previous definition of"
                        f' "{name}", which may be dropped when using apply'
                    )
                seen.add(name)
    return found


def _generated_selector(meta: Mapping[str, Any], spec: Spec) -> Iterator[Cause]:
    """A selector that the server made must be as it made it, and so the template's labels."""
    if spec.get("manualSelector") or "selector" not in spec:
        return
    uid, name = meta.get("uid", ""), meta.get("name", "")
    labels = spec.get("template", {}).get("metadata", {}).get("labels", {})
    for key, value in (
        ("controller-uid", uid),
        ("job-name", name),
        (_CONTROLLER_UID, uid),
        ("batch.kubernetes.io/job-name", name),
    ):
        path = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            yield required(path, f"must be '{value}'")
        elif labels[key] != value:
            yield wrong(path, labels, f"must be '{value}'")
    if spec["selector"] != {"matchLabels": {_CONTROLLER_UID: uid}}:
        yield wrong("spec.selector", spec["selector"], "`selector` not auto-generated")


def _spec(spec: Spec) -> Iterator[Cause]:
    for field in _NOT_NEGATIVE:
        if (spec.get(field) or 0) < 0:
            yield wrong(f"spec.{field}", spec[field], "must be greater than or equal to 0")
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        yield required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if "managedBy" in spec:
        yield from _managed_by(spec["managedBy"], "spec.managedBy")
    yield from _mode(spec)
    yield from job_policy_rules.failure_policy(spec)
    yield from job_policy_rules.success_policy(spec)
    yield from _replacement(spec)
    template = spec.get("template", {})
    yield from pod_rules.template(template, "spec.template")
    yield from _restart_policy(spec, template.get("spec", {}).get("restartPolicy", "Always"))
    yield from _selector(spec.get("selector"), template.get("metadata", {}).get("labels"))


def _selector(
    selector: Mapping[str, Any] | None, labels: Mapping[str, str] | None
) -> Iterator[Cause]:
    """One that is well formed has to match the pods that the Job makes; none matches nothing."""
    path = "spec.selector"
    problems = list(selector_rules.label_selector(selector or {}, path))
    yield from problems if selector is not None else [required(path)]
    if not problems and (selector is None or not selectors.of_object(selector)(labels or {})):
        text = "`selector` does not match template `labels`"
        yield wrong("spec.template.metadata.labels", labels, text)


def _mode(spec: Spec) -> Iterator[Cause]:
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in _MODES:
        yield not_supported("spec.completionMode", mode, _MODES)
    elif mode == "Indexed":
        if spec.get("completions") is None:
            yield required("spec.completions", "when completion mode is Indexed")
        if (spec.get("parallelism") or 0) > _MANY:
            text = f"must be less than or equal to {_MANY} when completion mode is Indexed"
            yield wrong("spec.parallelism", spec["parallelism"], text)
        yield from _failed_indexes(spec)
    else:
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if field in spec:
                yield wrong(f"spec.{field}", spec[field], "requires indexed completion mode")


def _failed_indexes(spec: Spec) -> Iterator[Cause]:
    most, completions = spec.get("maxFailedIndexes"), spec.get("completions")
    path = "spec.maxFailedIndexes"
    if completions is not None and most is not None and most > completions:
        yield wrong(path, most, "must be less than or equal to completions")
    if most is not None and most > _MANY:
        yield wrong(path, most, f"must be less than or equal to {_MANY}")
    if "backoffLimitPerIndex" not in spec or (completions or 0) <= _MANY:
        return
    if most is None:
        yield required(path, f"must be specified when completions is above {_MANY}")
    for field in ("parallelism", "maxFailedIndexes"):
        if (spec.get(field) or 0) > _FEW_OF_MANY:
            text = (
                f"must be less than or equal to {_FEW_OF_MANY} when completions are above {_MANY}"
                " and used with backoff limit per index"
            )
            yield wrong(f"spec.{field}", spec[field], text)


def _managed_by(name: str, path: str) -> Iterator[Cause]:
    host, _, end = name.partition("/")
    if not host or not end:
        text = 'must be a domain-prefixed path (such as "acme.io/foo")'
        yield wrong(path, name, text)
    else:
        for problem in rules.dns_subdomain(host):
            yield wrong(path, host, problem)
        for problem in rules.http_path(end):
            yield wrong(path, end, problem)
    if len(name.encode()) > _MANAGER_MOST:
        yield too_long(path, _MANAGER_MOST)


def _replacement(spec: Spec) -> Iterator[Cause]:
    policy = spec.get("podReplacementPolicy")
    allowed = ("Failed",) if "podFailurePolicy" in spec else ("Failed", "TerminatingOrFailed")
    if policy is not None and policy not in allowed:
        yield not_supported("spec.podReplacementPolicy", policy, allowed)


def _restart_policy(spec: Spec, policy: str) -> Iterator[Cause]:
    path = "spec.template.spec.restartPolicy"
    if policy == "Always":
        yield required(path, f"valid values: {', '.join(map(_quoted, _JOB_RESTARTS))}")
    elif policy not in _JOB_RESTARTS:
        yield not_supported(path, policy, _JOB_RESTARTS)
    elif policy != "Never" and "podFailurePolicy" in spec:
        text = 'only "Never" is supported when podFailurePolicy is specified'
        yield wrong(path, policy, text)


def _quoted(word: str) -> str:
    return f'"{word}"'


def _same(old: Spec, spec: Spec, field: str) -> Iterator[Cause]:
    if old.get(field) != spec.get(field):
        yield wrong(f"spec.{field}", spec.get(field), _IMMUTABLE)


def _completions(old: Spec, spec: Spec) -> Iterator[Cause]:
    completions = spec.get("completions")
    if completions == old.get("completions"):
        return
    if spec.get("completionMode") != "Indexed":
        yield wrong("spec.completions", completions, _IMMUTABLE)
    elif completions is not None and completions != spec.get("parallelism"):
        text = "can only be modified in tandem with spec.parallelism"
        yield wrong("spec.completions", completions, text)


def _template(old_job: Job, old: Spec, spec: Spec) -> Iterator[Cause]:
    """The template is fixed, but for where and how big a suspended Job's pods may be."""
    before, after = old.get("template", {}), spec.get("template", {})
    if before == after:
        return
    if _is_open(old_job):
        before = _without_scheduling(before, after)
    if before.get("metadata") != after.get("metadata"):
        yield wrong("spec.template.metadata", after.get("metadata"), _IMMUTABLE)
    if before.get("spec") != after.get("spec"):
        yield wrong("spec.template.spec", after.get("spec"), _IMMUTABLE)


def _is_open(job: Job) -> bool:
    """Suspended, and no pod of it running."""
    status = job.get("status", {})
    return bool(job.get("spec", {}).get("suspend")) and not status.get("active")


def _without_scheduling(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with what a suspended Job may change taken from `after`."""
    merged: dict[str, Any] = copy.deepcopy(dict(before))
    merged["metadata"] = dict(after.get("metadata", {}))
    spec, wanted = merged.setdefault("spec", {}), after.get("spec", {})
    for field in _MUTABLE_WHEN_SUSPENDED:
        spec.pop(field, None)
        if field in wanted:
            spec[field] = wanted[field]
    _take_node_affinity(spec, wanted)
    for kind in ("containers", "initContainers"):
        sizes = {each.get("name"): each.get("resources") for each in wanted.get(kind, [])}
        for container in spec.get(kind, []):
            if sizes.get(container.get("name")) is not None:
                container["resources"] = sizes[container.get("name")]
    return merged


def _take_node_affinity(spec: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    """Of the affinity only what is about nodes may change."""
    kept = {k: v for k, v in spec.pop("affinity", {}).items() if k != "nodeAffinity"}
    asked = wanted.get("affinity", {})
    if "nodeAffinity" in asked:
        kept["nodeAffinity"] = asked["nodeAffinity"]
    if kept or "affinity" in wanted:
        spec["affinity"] = kept


def status_change(old: Job, job: Job) -> Iterator[Cause]:
    """What may not be taken back from a Job's status."""
    before, after = old.get("status", {}), job.get("status", {})
    true = {c.get("type") for c in after.get("conditions", []) if c.get("status") == "True"}
    held = [c.get("type") for c in before.get("conditions", []) if c.get("status") == "True"]
    for kind in ("Failed", "Complete"):
        if kind in held and kind not in true:
            yield _disabled(f"the terminal {kind}=True")
    for field in ("succeeded", "failed"):
        if after.get(field, 0) < before.get(field, 0) and (field != "failed" or held):
            text = f"cannot decrease the {field} counter"
            yield wrong(f"status.{field}", after.get(field, 0), text)
    for kind in ("FailureTarget", "SuccessCriteriaMet"):
        if kind in held and kind not in true:
            yield _disabled(f"the {kind}=True")
    if {"Complete", "Failed"} <= true:
        yield invalid("status.conditions", "cannot set Complete=True and Failed=true conditions")


def _disabled(what: str) -> Cause:
    return invalid("status.conditions", f"cannot disable {what} condition")
