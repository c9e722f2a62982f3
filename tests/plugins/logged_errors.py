"""What is logged as an error while a test runs."""

from __future__ import annotations

import logging


class LoggedErrors(logging.Handler):
    """Put it on a logger; `texts` are the errors, with their tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(logging.Formatter().format(record))
