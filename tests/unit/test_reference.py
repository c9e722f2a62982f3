"""docs/commands.md is what the command line says of itself."""

from __future__ import annotations

from pathlib import Path

from jobman.cli import reference

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text("utf-8") == reference.markdown(), "run `make docs`"


def test_it_has_commands_and_options_but_nothing_hidden() -> None:
    page = reference.markdown()
    for part in (
        "## jobman list\n",
        "| `-u, --all-users`",
        "    jobman logs [OPTIONS] [NAME]...\n",
    ):
        assert part in page
    assert "## jobman log\n" not in page
    assert "--help` |" not in page


def test_global_options_are_told_once() -> None:
    assert reference.markdown().count("| `--context NAME` |") == 1


def test_the_page_is_written(tmp_path: Path) -> None:
    reference.main(str(tmp_path / "page.md"))
    assert (tmp_path / "page.md").read_text("utf-8") == reference.markdown()
