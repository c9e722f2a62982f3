"""What commands that look at jobs show of them: a block for each, or documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jobman.cli import each
from jobman.errors import JobmanError
from jobman.kube.beside import in_order
from jobman.values.enums import Output

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.named import Asked
    from jobman.kube.objects import Job
    from jobman.map.presence import Presence


@dataclass(frozen=True)
class Block:
    """One job as `-o json` gives it, and as lines for a reader."""

    document: Callable[[], Any]
    lines: Callable[[], Iterable[str]]


def show(
    app: AppContext,
    asked: Asked,
    verb: str,
    look: Callable[[Job], Block],
    of_run: Callable[[Presence], Block] = each.no_run,
) -> None:
    """Write what `look` finds of each job that is meant, in the order of the names.

    Blocks of lines have an empty line between them. As JSON and YAML one job is a document, and
    several are a list of documents: more than one word, a glob and --all, however many they mean.
    What is wrong with some is raised when the others are written: of one kind as it is.
    """
    found = each.chosen(app, asked, verb, runs=of_run is not each.no_run)
    looks = [partial(look, job) for job in found.jobs]
    looks += [partial(of_run, run) for run in found.runs]
    write = _lines if app.output() is Output.TABLE else _documents
    problems = write(app, asked, in_order(partial(_seen, app), looks, each.AT_ONCE))
    each.report(app, [*found.missing, *problems], found.asked, "shown", looking=True)


def _seen(app: AppContext, look: Callable[[], Block]) -> Any:
    """The lines, or the document, or what went wrong."""
    try:
        block = look()
        return list(block.lines()) if app.output() is Output.TABLE else block.document()
    except JobmanError as error:
        return error


def _lines(app: AppContext, _asked: Asked, results: Iterator[Any]) -> list[JobmanError]:
    problems = []
    written = False
    for result in results:
        if isinstance(result, JobmanError):
            problems.append(result)
            continue
        if written:
            app.write("")
        for line in result:
            app.write(line)
        app.out.flush()
        written = True
    return problems


def _documents(app: AppContext, asked: Asked, results: Iterator[Any]) -> list[JobmanError]:
    from jobman.cli.render import forms

    everything = list(results)
    documents = [result for result in everything if not isinstance(result, JobmanError)]
    write = forms.write_json if app.output() is Output.JSON else forms.write_yaml
    if not asked.one:
        write(app, documents)
    elif documents:
        write(app, documents[0])
    return [result for result in everything if isinstance(result, JobmanError)]
