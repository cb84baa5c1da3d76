"""The command `k8sfsm`."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from k8sfsm import __version__
from k8sfsm_cli.errors import BadInput

COMMANDS = {
    "run": ("k8sfsm_cli.run", "run"),
    "replay": ("k8sfsm_cli.replay", "replay"),
    "vectors": ("k8sfsm_cli.vectors", "vectors"),
    "spec": ("k8sfsm_cli.spec", "spec"),
    "trace": ("k8sfsm_cli.trace", "trace"),
}
"""Commands and where they are; each is imported when it is asked for, so that help comes at once."""


class Commands(click.Group):
    """A group whose commands are imported on demand, and which tells bad input in one line with exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Input that cannot be used ends it with one line on stderr."""
        try:
            return super().invoke(ctx)
        except BadInput.KINDS as error:
            raise BadInput.of(error) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="k8sfsm")
def main() -> None:
    """The executable reference specification of Kubernetes v1.36.

    Exit codes: 0 all well; 1 a finding (a divergence, a failed vector, a violated rule); 2 input that cannot be used.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
