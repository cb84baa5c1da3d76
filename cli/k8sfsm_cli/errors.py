"""Errors that people read: one clear line, exit code 2."""

from __future__ import annotations

from typing import ClassVar

import click

from k8sfsm.law import LawError
from k8sfsm.objects import ObjectError
from k8sfsm.spec import SpecError
from k8sfsm.trace.errors import TraceError


class BadInput(click.ClickException):
    """Input that cannot be used."""

    exit_code = 2
    KINDS: ClassVar[tuple[type[Exception], ...]] = (TraceError, SpecError, LawError, ObjectError, OSError)

    @classmethod
    def of(cls, error: Exception) -> BadInput:
        """The same error as a line for people."""
        if isinstance(error, OSError):
            return cls(f"{error.filename or 'file'}: {(error.strerror or str(error)).lower()}, expected a readable file")
        return cls(str(error))

    def show(self, file: object = None) -> None:
        """Print the error to stderr."""
        click.echo(f"k8sfsm: {self.format_message()}", err=True)
