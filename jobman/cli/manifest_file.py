"""The jobs of `submit -f FILE`, and which other options may stand beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobman.cli import submission
from jobman.cli.drafts import Draft
from jobman.cli.options import flags_given
from jobman.cli.problems import Problems
from jobman.cli.submit_options import SubmitOptions
from jobman.errors import UsageError

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.documents import Document
    from jobman.jobs.stamp import Stamp

STDIN = "-"
ALLOWED = frozenset(
    {
        "file",
        "job_name",
        "label",
        "annotation",
        "annotations",
        "wait",
        "follow",
        "timeout",
        "dry_run",
        "server_dry_run",
        "force",
    }
)
"""The options that a manifest leaves room for."""


def drafts(app: AppContext, file: str, options: SubmitOptions, words: Sequence[str]) -> list[Draft]:
    """The jobs of the file. Raises UsageError with everything that is wrong."""
    from jobman.jobs import documents, rules
    from jobman.jobs.stamp import OWN_ANNOTATIONS, OWN_LABELS

    problems = Problems()
    problems.extend(_left_to_the_manifest(options, words))
    labels = submission.pairs("--label", options.label or (), problems)
    of_json, of_flags = submission.given_annotations(options, problems)
    annotations = {**of_json, **of_flags}
    problems.extend(rules.own_key_problems(labels, OWN_LABELS, "label"))
    problems.extend(rules.label_problems(labels, "label"))
    problems.extend(rules.own_key_problems(annotations, OWN_ANNOTATIONS, "annotation"))
    problems.extend(rules.annotation_problems(annotations, "annotation"))
    found: list[Document] = []
    with problems.collected():
        found, wrong = documents.read(_text(file), "stdin" if file == STDIN else file)
        problems.extend(wrong)
        found = _renamed(found, options.job_name)
    problems.extend(_elsewhere(found, app.options.namespace))
    problems.report()
    for document in found:
        if document.note:
            app.say(f"note: {document.note}")
    return [_draft(document, labels, annotations) for document in found]


def _left_to_the_manifest(options: SubmitOptions, words: Sequence[str]) -> Iterator[str]:
    """A manifest says itself what these would."""
    flags = [flag for name, flag in flags_given(options) if name not in ALLOWED]
    if flags:
        yield f"-f takes the manifest as it is: {', '.join(flags)} cannot stand beside it"
    if words:
        yield f"-f takes the manifest as it is: the words '{words[0]} …' have no place in it"


def _renamed(found: list[Document], name: str | None) -> list[Document]:
    """The one document under the name of -j."""
    from jobman.jobs.request import name_problem

    if name is None:
        return found
    if len(found) > 1:
        raise UsageError(f"-j {name}: the manifest holds {len(found)} jobs, each has its own name")
    if problem := name_problem(name):
        raise UsageError(f"job name '{name}': {problem}")
    return [document.named(name) for document in found]


def _elsewhere(found: Iterable[Document], namespace: str | None) -> Iterator[str]:
    for document in found:
        if namespace and document.namespace not in (None, namespace):
            yield (
                f"{document.where}: it names the namespace '{document.namespace}', "
                f"and -n the namespace '{namespace}'"
            )


def _text(file: str) -> str:
    """The text of a file, or of stdin."""
    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"-f {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"-f {file}: is not UTF-8 text") from error


def _draft(document: Document, labels: dict[str, str], annotations: dict[str, str]) -> Draft:
    from jobman.jobs import documents

    def build(name: str, stamp: Stamp) -> dict[str, Any]:
        return documents.job(document, name, stamp, labels=labels, annotations=annotations)

    return Draft(build, document.name, document.new_name, document.where)
