"""`jobman map …` is a command with words, and beneath it `map status`, `map logs`, `map cancel`.

A first word that is none of these is a template, or the first word of a command; behind `--` it
always is. Behind a template options may still follow, as the earlier tool had it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobman.cli.command import Group
from jobman.values.enums import Output

TEMPLATES = (".yaml", ".yml", ".json")
WORDS = "jobman.map.words"
ARGUMENTS = "jobman.map.arguments"
"""Where in the context's meta the command finds its words, and all that it was given."""


def is_template(words: Sequence[str]) -> bool:
    """Whether the first word names a template."""
    return bool(words) and words[0].endswith(TEMPLATES)


class MapGroup(Group):
    """Tells words from the names of commands."""

    forms: tuple[Output, ...] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options; what is left is words, unless it begins with a command's name."""
        ctx.meta[ARGUMENTS] = list(args)
        ctx.allow_interspersed_args = self._begins_with_template(ctx, args)
        rest = super().parse_args(ctx, list(args))
        words = [*ctx._protected_args, *ctx.args]
        if words and (words[0] not in self.commands or _behind_dashes(args, words)):
            ctx.meta[WORDS] = words
            ctx._protected_args, ctx.args = [], []
            return []
        return rest

    def _begins_with_template(self, ctx: Any, args: list[str]) -> bool:
        if ctx.resilient_parsing:
            return False
        _, words, _ = self.make_parser(ctx).parse_args(args=list(args))
        return is_template(words) and not _behind_dashes(args, words)


def _behind_dashes(args: list[str], words: list[str]) -> bool:
    before = args[: len(args) - len(words)]
    return bool(before) and before[-1] == "--"
