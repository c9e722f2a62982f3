"""Pods and Jobs to claims, claims to groups, groups to what is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobman.config.flavors import Flavor, is_gpu
from jobman.kube.events import ObjectReference
from jobman.kube.objects import Event, ObjectMeta, Taint
from jobman.queue import assemble, flavors, group, view
from jobman.queue.active import ActivePod, QueuedJob
from jobman.queue.amounts import ONE_POD
from jobman.queue.claims import Claim, Claims, Shapes, refused_by, told
from jobman.queue.group import Key
from jobman.queue.nodes import NodeView
from jobman.queue.quotas import Quota
from jobman.queue.rules import Wanted
from jobman.queue.snapshot import Snapshot
from jobman.queue.view import Choice, KnownFlavor
from jobman.values.enums import QueueBy, State

GPU = "nvidia.com/gpu"
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
AN_HOUR_AGO = "2026-11-21T11:00:00Z"
OF_JOBMAN = {"app.kubernetes.io/managed-by": "jobman", "jobman/user": "alice"}


def claims(**more: Any) -> Claims:
    return Claims(Shapes(is_gpu), user="alice", now=NOW, **more)


def container(**requests: str) -> dict[str, Any]:
    asked = {name.replace("gpu", GPU): text for name, text in requests.items()}
    return {"name": "main", "resources": {"requests": asked}}


def a_pod(phase: str = "Pending", **fields: Any) -> ActivePod:
    meta = {"name": "p", "namespace": "team", "uid": "u", "creationTimestamp": AN_HOUR_AGO}
    spec = {"containers": [container(cpu="1", gpu="2")]} | fields.pop("spec", {})
    status = {"phase": phase} | fields.pop("status", {})
    body = {"metadata": meta | fields, "spec": spec, "status": status}
    return msgspec.json.decode(msgspec.json.encode(body), type=ActivePod)


def waiting_for(reason: str) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", "state": {"waiting": {"reason": reason}}}]}


ON_NODE = {"nodeName": "n1"}
TOLERATES_GPU = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("pod", "state"),
    [
        pytest.param(a_pod(), State.PENDING, id="no node"),
        pytest.param(a_pod(deletionTimestamp=AN_HOUR_AGO), None, id="no node and leaving"),
        pytest.param(a_pod("Running", spec=ON_NODE), State.RUNNING, id="running"),
        pytest.param(a_pod("Unknown", spec=ON_NODE), State.RUNNING, id="its node is lost"),
        pytest.param(a_pod("Succeeded", spec=ON_NODE), None, id="ended"),
        pytest.param(a_pod(spec=ON_NODE), State.STARTING, id="just bound"),
        pytest.param(
            a_pod(spec=ON_NODE, status=waiting_for("ContainerCreating")),
            State.STARTING,
            id="starts",
        ),
        pytest.param(
            a_pod(spec=ON_NODE, status=waiting_for("InvalidImageName")), State.STUCK, id="stuck"
        ),
    ],
)
def test_what_a_pod_does(pod: ActivePod, state: State | None) -> None:
    found = claims().of_pod(pod)

    assert (found and found.state) == state


def test_whose_it_is_and_of_which_flavor() -> None:
    labels = OF_JOBMAN | {"jobman/flavor": "small"}

    found = claims().of_pod(a_pod("Running", labels=labels, spec=ON_NODE))

    assert found is not None
    assert (found.flavor, found.user, found.mine, found.managed) == ("small", "alice", True, True)
    assert found.shape.gpus == ((GPU, 2000),)


def test_labels_of_another_tool_are_nobodys() -> None:
    found = claims().of_pod(a_pod(labels={"jobman/user": "alice", "jobman/flavor": "small"}))

    assert found is not None
    assert (found.flavor, found.user, found.mine, found.managed) == (None, None, False, False)


def test_equal_pods_are_read_once() -> None:
    reader = claims()
    shapes = {id(claim.shape) for _ in range(3) if (claim := reader.of_pod(a_pod()))}

    assert len(shapes) == 1


def a_job(**fields: Any) -> QueuedJob:
    meta = {"name": "j", "namespace": "team", "uid": "ju", "creationTimestamp": AN_HOUR_AGO}
    template = {"spec": {"containers": [container(cpu="2")]}}
    body = {
        "metadata": meta | fields.pop("metadata", {}),
        "spec": {"template": template} | fields.pop("spec", {}),
        "status": fields.pop("status", {}),
    }
    return msgspec.json.decode(msgspec.json.encode(body), type=QueuedJob)


COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
KUEUE = {"labels": {"kueue.x-k8s.io/queue-name": "q"}}


@pytest.mark.parametrize(
    ("job", "state", "count"),
    [
        pytest.param(a_job(spec={"suspend": True}), State.SUSPENDED, 1, id="held"),
        pytest.param(
            a_job(spec={"suspend": True, "parallelism": 4, "completions": 9}),
            State.SUSPENDED,
            4,
            id="a held array",
        ),
        pytest.param(
            a_job(
                spec={"suspend": True, "parallelism": 4, "completions": 9}, status={"succeeded": 7}
            ),
            State.SUSPENDED,
            2,
            id="its rest",
        ),
        pytest.param(a_job(metadata=KUEUE, spec={"suspend": True}), State.PENDING, 1, id="Kueue's"),
        pytest.param(a_job(), State.PENDING, 1, id="its pod cannot be made"),
        pytest.param(a_job(status={"active": 1}), None, 0, id="its pod is there"),
        pytest.param(a_job(status=COMPLETE), None, 0, id="done"),
        pytest.param(
            a_job(metadata={"creationTimestamp": "2026-11-21T11:59:55Z"}), None, 0, id="just made"
        ),
        pytest.param(
            a_job(metadata={"deletionTimestamp": AN_HOUR_AGO}), None, 0, id="being deleted"
        ),
    ],
)
def test_pods_that_a_job_wants(job: QueuedJob, state: State | None, count: int) -> None:
    made = claims().of_job(job)
    found = made and told(made, {})

    assert (found and found.state, found.count if found else 0) == (state, count)


USED_UP = "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"


@pytest.mark.parametrize(
    ("age", "message", "state"),
    [
        ("2026-11-21T11:59:55Z", USED_UP, State.PENDING),
        ("2026-11-21T11:59:55Z", "pods is forbidden: no", State.STUCK),
        ("2026-11-21T11:59:55Z", None, None),
        (AN_HOUR_AGO, USED_UP, State.PENDING),
        (AN_HOUR_AGO, "pods is forbidden: no", State.STUCK),
        (AN_HOUR_AGO, None, State.PENDING),
    ],
)
def test_a_new_job_waits_as_soon_as_its_pods_are_refused(
    age: str, message: str | None, state: State | None
) -> None:
    job = a_job(metadata={"creationTimestamp": age})
    about = ObjectReference(namespace=job.metadata.namespace, name=job.metadata.name)
    event = Event(
        metadata=ObjectMeta(), reason="FailedCreate", message=message or "", involved_object=about
    )
    made = claims().of_job(job)
    found = made and told(made, refused_by([event] if message else []))

    assert (found and found.state) == state


def test_the_annotation_of_the_settings_names_the_flavor_of_a_jobs_pods() -> None:
    reader = claims(label="example.org/flavor")
    reader.of_job(
        a_job(metadata={"annotations": {"example.org/flavor": "big"}}, status={"active": 1})
    )
    owner = {"kind": "Job", "name": "j", "uid": "ju", "controller": True}

    found = reader.of_pod(a_pod(ownerReferences=[owner]))

    assert found is not None
    assert (found.flavor, found.job) == ("big", "j")


SHAPES = Shapes(is_gpu)
ONE_GPU = SHAPES.of_wanted(Wanted({"cpu": 1000, GPU: 1000, "pods": 1000}, {}, None, ()))
TWO_GPUS = SHAPES.of_wanted(Wanted({"cpu": 1000, GPU: 2000, "pods": 1000}, {}, None, ()))
NO_GPU = SHAPES.of_wanted(Wanted({"cpu": 500, "pods": 1000}, {}, None, ()))


def claim(**fields: Any) -> Claim:
    given_ = {"shape": ONE_GPU, "state": State.PENDING, "namespace": "team", "since": AN_HOUR_AGO}
    return Claim(**{**given_, **fields})


some_claims = st.lists(
    st.builds(
        Claim,
        shape=st.sampled_from([ONE_GPU, TWO_GPUS, NO_GPU]),
        state=st.sampled_from(
            [State.PENDING, State.STARTING, State.RUNNING, State.STUCK, State.SUSPENDED]
        ),
        namespace=st.sampled_from(["team", "other"]),
        flavor=st.sampled_from([None, "small", "big"]),
        user=st.sampled_from([None, "alice", "bob"]),
        mine=st.booleans(),
        managed=st.booleans(),
        work=st.booleans(),
        node=st.sampled_from(["", "n1", "n2"]),
        since=st.sampled_from([AN_HOUR_AGO, "2026-11-21T10:00:00Z", ""]),
        count=st.integers(1, 5),
    ),
    max_size=30,
)


@given(some_claims, st.sampled_from(list(QueueBy)), st.randoms(use_true_random=False))
def test_the_order_of_the_claims_does_not_matter(
    found: list[Claim], by: QueueBy, random: Any
) -> None:
    key_of = group.keying(by, {"n1": "A100"})

    assert group.grouped(random.sample(found, len(found)), key_of) == group.grouped(found, key_of)


@given(some_claims, st.sampled_from(list(QueueBy)))
def test_sums_equal_the_parts(found: list[Claim], by: QueueBy) -> None:
    groups = group.grouped(found, group.keying(by))

    assert sum(each.counts.total for each in groups) == sum(each.count for each in found)
    assert sum(each.yours.total for each in groups) == sum(c.count for c in found if c.mine)
    assert all(each.yours.waiting <= each.counts.waiting for each in groups)
    wanted = sum(
        c.count * c.shape.gpu_total for c in found if c.state is State.PENDING and c.shape.gpus
    )
    assert sum(sum(each.wanting.values()) for each in groups) == wanted


@given(some_claims, st.sampled_from(list(QueueBy)))
def test_however_they_are_put_together_it_is_the_same_contention(
    found: list[Claim], by: QueueBy
) -> None:
    rows = assemble.facts(found, lambda: None, by=by, is_gpu=is_gpu).groups

    assert sum(row.counts.total for row in rows) == sum(
        each.count for each in found if group.counts_here(each)
    )


def test_pods_that_serve_count_where_they_hold_gpus() -> None:
    service = claim(work=False, shape=NO_GPU)

    assert not group.counts_here(service)
    assert group.counts_here(claim(work=False))
    assert group.counts_here(claim(work=False, shape=NO_GPU, managed=True))


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (QueueBy.FLAVOR, ["small", None]),
        (QueueBy.USER, ["alice", None]),
        (QueueBy.NAMESPACE, ["other", "team"]),
        (QueueBy.NODE, ["n1", None]),
        (QueueBy.GPU, ["A100", f"any {GPU}"]),
    ],
)
def test_rows_by(by: QueueBy, names: list[str | None]) -> None:
    found = [
        claim(flavor="small", user="alice", node="n1", state=State.RUNNING, namespace="other"),
        claim(),
    ]

    groups = group.grouped(found, group.keying(by, {"n1": "A100"}))

    assert [each.key.name for each in groups] == names


def node(name: str = "n1", gpus: int = 4, used: int = 0) -> NodeView:
    return NodeView(
        name,
        {},
        (),
        schedulable=True,
        ready=True,
        allocatable={"cpu": 64_000, "pods": 110_000, GPU: gpus * 1000},
        used={GPU: used * 1000},
    )


def look(*found: Claim, choice: Choice | None = None, **more: Any) -> view.QueueView:
    snapshot = Snapshot(at=NOW, groups=group.grouped(found), **more)
    return view.of(snapshot, choice or Choice(), is_gpu, now=NOW)


def test_a_row_says_who_waits_since_when_and_what_fits() -> None:
    [row] = look(
        claim(flavor="small", count=2),
        claim(flavor="small", state=State.RUNNING, node="n1", mine=True),
        nodes=[node(used=1)],
    ).rows

    assert (row.name, row.waiting, row.running, row.yours.running) == ("small", 2, 1, 1)
    assert (row.oldest_wait_seconds, row.fits, row.fits_quota) == (3600, 3, None)
    assert row.requests == view.Requests("1", "0", {GPU: "1"})
    assert (row.gpus_held, row.gpus_wanted) == ({GPU: 1}, {GPU: 2})


def test_what_is_not_known_is_null() -> None:
    assert look(claim()).rows[0].fits is None
    assert look(claim(), nodes=[node()], usage_known=False).rows[0].fits is None


def test_a_quota_limits_what_fits() -> None:
    quota = Quota(
        "team", hard={f"requests.{GPU}": 3000, "pods": 9000}, used={f"requests.{GPU}": 1000}
    )
    shown = look(claim(), nodes=[node()], quotas=[quota])

    assert (shown.rows[0].fits, shown.rows[0].fits_quota) == (4, 2)
    assert [(line.resource, line.used, line.hard) for line in shown.quotas] == [
        ("pods", "0", "9"),
        (f"requests.{GPU}", "1", "3"),
    ]


@pytest.mark.parametrize(
    ("limit", "fits"),
    [
        ("requests.cpu", 3),
        ("cpu", 3),
        ("pods", 3),
        ("count/pods", 3),
        ("count/jobs.batch", 3),
        ("limits.memory", None),
        ("count/secrets", None),
    ],
)
def test_what_a_quota_limits(limit: str, fits: int | None) -> None:
    quota = Quota("team", hard={limit: 3000}, used={})

    assert look(claim(), nodes=[node()], quotas=[quota]).rows[0].fits_quota == fits


@pytest.mark.parametrize("node_name", ["", "n1"])
def test_waiting_pods_of_which_what_fits_tells_too_much_are_named(node_name: str) -> None:
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}
    asked: dict[str, Any] = {"affinity": {"podAntiAffinity": rule}, "nodeName": node_name}
    asked["topologySpreadConstraints"] = [{"whenUnsatisfiable": "DoNotSchedule"}]
    found = [made for _ in range(2) if (made := claims().of_pod(a_pod(spec=asked)))]
    facts = assemble.facts(found, list, by=QueueBy.FLAVOR, is_gpu=is_gpu)
    notes = [
        "affinity between pods: 2 waiting pods ask for it, and what fits does not judge it",
        "topology spread: 2 waiting pods ask for it, and what fits does not judge it",
    ]
    assert facts.notes == ([] if node_name else notes)


def test_one_name_with_two_meanings_is_a_conflict() -> None:
    shown = look(
        claim(flavor="small"), claim(flavor="small", shape=TWO_GPUS), claim(flavor="other")
    )

    assert [(row.name, row.conflict) for row in shown.rows] == [
        ("other", False),
        ("small", True),
        ("small", True),
    ]
    [note] = shown.notes
    assert note.startswith("conflict: flavor 'small' means different requests: ")
    assert "nvidia.com/gpu 2 (1 pod)" in note


SMALL = KnownFlavor("small", ONE_GPU.wanted)
BIG = KnownFlavor("big", TWO_GPUS.wanted)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (Choice(flavors=[SMALL, BIG]), ["small", "zoo", None]),
        (Choice(flavors=[SMALL, BIG], all_flavors=True), ["small", "big", "zoo", None]),
        (Choice(mine_only=True), ["zoo"]),
        (Choice(gpu_only=True), ["small", None]),
    ],
)
def test_which_rows(choice: Choice, names: list[str | None]) -> None:
    found = [claim(flavor="small"), claim(flavor="zoo", mine=True, shape=NO_GPU), claim()]

    assert [row.name for row in look(*found, choice=choice).rows] == names


def test_a_flavor_of_the_settings_is_judged_by_its_own_rules() -> None:
    elsewhere = KnownFlavor("small", Wanted(ONE_GPU.wanted.amounts, {"zone": "b"}, None, ()))

    shown = look(claim(flavor="small"), choice=Choice(flavors=[elsewhere]), nodes=[node()])

    assert shown.rows[0].fits == 0


@pytest.mark.parametrize(
    ("pods", "fits"),
    [
        pytest.param([], 4, id="of a flavor without a pod"),
        pytest.param([{}], 0, id="its pods lack the toleration"),
        pytest.param([{"tolerations": [TOLERATES_GPU]}], 4, id="its pods got the toleration"),
    ],
)
def test_pods_show_whether_the_cluster_lets_a_flavor_on_tainted_nodes(
    pods: list[dict[str, Any]], fits: int
) -> None:
    asked = {"cpu": 1000, GPU: 2000, **ONE_POD}
    small = KnownFlavor("small", Wanted(asked, {}, None, ()))
    tainted = [replace(node(name), taints=(Taint(GPU, "", "NoSchedule"),)) for name in "ab"]
    of = claims().of_pod
    labels = OF_JOBMAN | {"jobman/flavor": "small"}
    found = [claim for spec in pods if (claim := of(a_pod(labels=labels, spec=spec)))]

    shown = look(*found, choice=Choice(flavors=[small], all_flavors=True), nodes=tainted)

    assert [row.fits for row in shown.rows] == [fits]


@pytest.mark.parametrize(("adds_none", "fits"), [(False, 2), (True, 0)])
def test_a_flavor_without_a_pod_where_the_cluster_adds_no_toleration(
    adds_none: bool, fits: int
) -> None:
    big = Flavor.model_validate({"name": "big", "resources": {"requests": {GPU: "2"}}})
    choice = Choice(all_flavors=True, flavors=flavors.known([big], tolerations_final=adds_none))
    tainted = replace(node(), taints=(Taint(GPU, "", "NoSchedule"),))

    assert [row.fits for row in look(choice=choice, nodes=[tainted]).rows] == [fits]


@pytest.mark.parametrize(("adds_none", "fits"), [(False, 2), (True, 0)])
def test_pods_still_to_be_made_where_the_cluster_adds_no_toleration(
    adds_none: bool, fits: int
) -> None:
    template = {"spec": {"containers": [container(cpu="1", gpu="2")]}}
    held = a_job(spec={"suspend": True, "template": template})
    of_job = Claims(Shapes(is_gpu, tolerations_final=adds_none), user="alice", now=NOW).of_job
    tainted = replace(node(), taints=(Taint(GPU, "", "NoSchedule"),))

    assert [row.fits for row in look(of_job(held), nodes=[tainted]).rows] == [fits]


def test_what_a_group_is_of() -> None:
    assert group.of_flavor(claim(flavor="small")) == Key("small", 1000, 0, ((GPU, 1000),))
    assert view.describe(group.of_flavor(claim())) == "cpu 1, memory 0, nvidia.com/gpu 1"
