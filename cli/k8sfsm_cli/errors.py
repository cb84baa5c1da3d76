"""Errors that people read: one clear line on stderr, exit code 2."""

from __future__ import annotations

from typing import ClassVar

import click

from k8sfsm.law import LawError
from k8sfsm.network.proxy.question import QuestionError
from k8sfsm.objects import ObjectError
from k8sfsm.objects.manifest import ManifestError
from k8sfsm.spec import SpecError
from k8sfsm.trace.errors import TraceError

UNUSABLE = 2
"""Exit code for input that cannot be used."""


class BadInput(click.ClickException):
    """Input that cannot be used."""

    exit_code = UNUSABLE
    KINDS: ClassVar[tuple[type[Exception], ...]] = (
        TraceError,
        SpecError,
        LawError,
        ObjectError,
        ManifestError,
        QuestionError,
        UnicodeDecodeError,
        OSError,
    )

    @classmethod
    def of(cls, error: Exception) -> BadInput:
        """The same error as a line for people."""
        if isinstance(error, UnicodeDecodeError):
            return cls(f"byte 0x{error.object[error.start]:02x} is no UTF-8 text, expected a text file")
        if isinstance(error, OSError):
            return cls(
                f"{error.filename or 'file'}: {(error.strerror or str(error)).lower()}, expected a readable file"
            )
        if isinstance(error, SpecError) and len(error.mistakes) > 1:
            return cls(f"{error.mistakes[0]} (and {len(error.mistakes) - 1} more: k8sfsm spec lint shows all)")
        return cls(str(error))


def told(error: click.ClickException) -> str:
    """An error of the command line as one line: which command, what is wrong, where to find help."""
    message = " ".join(error.format_message().split()).removesuffix(".")
    context = getattr(error, "ctx", None)
    if not isinstance(error, click.UsageError) or context is None:
        return f"k8sfsm: {message}"
    return f"{context.command_path}: {message[:1].lower()}{message[1:]} ({context.command_path} --help tells more)"
