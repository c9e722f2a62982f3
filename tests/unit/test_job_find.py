"""Names, globs, LAST, and whose a job is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from plugins.job_world import BATCH, JobWorld, a_job

from jobman.errors import NotFoundError, UsageError
from jobman.jobs import find
from jobman.kube.client import Client
from jobman.kube.objects import Job


def typed(**more: Any) -> Job:
    return msgspec.convert(a_job("a", **more), Job)


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({}, "alice"),
        ({"labels": {}}, None),
        ({"labels": {"app.kubernetes.io/managed-by": "helm", "jobman/user": "alice"}}, None),
        ({"annotations": {}}, "alice"),
        (
            {
                "annotations": {},
                "labels": {"app.kubernetes.io/managed-by": "jobman", "jobman/user": "a_40b"},
            },
            "a@b",
        ),
        (
            {
                "annotations": {},
                "labels": {"app.kubernetes.io/managed-by": "jobman", "jobman/user": "!"},
            },
            None,
        ),
    ],
)
def test_whose_it_is(meta: dict[str, Any], expected: str | None) -> None:
    assert find.owner(typed(meta=meta)) == expected


def test_the_last_is_the_one_submitted_last_not_the_newest() -> None:
    old = msgspec.convert(a_job("old", age_s=100), Job)
    resubmitted = a_job("re", age_s=900)
    resubmitted["metadata"]["annotations"]["jobman/submitted-at"] = "2026-11-21T11:59:59.5Z"
    unmarked = a_job("unmarked", age_s=1, meta={"annotations": {"jobman/submitted-at": "soon"}})
    jobs = [old, *msgspec.convert([resubmitted, unmarked], list[Job])]
    last = find.last_of(jobs)
    assert last is not None
    assert last.metadata.name == "re"
    assert find.last_of([jobs[2]]) is None


def names(jobs: list[Job]) -> list[str]:
    return [job.metadata.name for job in jobs]


def test_words_in_their_order_each_job_once(client: Client, world: JobWorld) -> None:
    for name, age_s in (("b1", 30), ("b2", 20), ("c", 10)):
        world.jobs.put(a_job(name, age_s=age_s))
    world.jobs.put(a_job("b3", user="bob"))
    assert names(find.find(client, ["c", "b*", "LAST"], "alice")) == ["c", "b1", "b2"]
    assert len(world.server.asked("GET", BATCH)) == 1


def test_anybodys_job_by_its_name(client: Client, world: JobWorld) -> None:
    world.jobs.put(a_job("bobs", user="bob"))
    assert names(find.find(client, ["bobs"], "alice")) == ["bobs"]
    with pytest.raises(NotFoundError):
        find.find(client, ["bob*"], "alice")


def test_a_label_that_two_users_share_does_not_mix_their_jobs(
    client: Client, world: JobWorld
) -> None:
    mine = find.selector_of("bob").partition("jobman/user=")[2]
    theirs = a_job("theirs", meta={"annotations": {"jobman/user": "bob2"}})
    theirs["metadata"]["labels"]["jobman/user"] = mine
    world.jobs.put(theirs)
    assert find.jobs_of(client, "bob") == []


def test_many_matches_are_not_all_named(client: Client, world: JobWorld) -> None:
    for number in range(25):
        world.jobs.put(a_job(f"j{number:02}"))
    with pytest.raises(UsageError, match=r"means 25 jobs.*j19 and 5 more"):
        find.find_one(client, "j*", "alice")
