"""Fixtures: a stand-in Harbor, and whole commands in this process."""

from plugins.command_line import run
from plugins.harbor import description, five_hundred, harbor, standin_of
from plugins.job_world import world

__all__ = ["description", "five_hundred", "harbor", "run", "standin_of", "world"]
