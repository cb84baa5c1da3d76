"""The command `k8sfsm`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from k8sfsm import __version__

COMMANDS = {
    "run": ("k8sfsm_cli.run", "run"),
    "replay": ("k8sfsm_cli.replay", "replay"),
    "dns": ("k8sfsm_cli.dns", "dns"),
    "fuzz": ("k8sfsm_cli.fuzz", "fuzz"),
    "explore": ("k8sfsm_cli.explore", "explore_command"),
    "can-i": ("k8sfsm_cli.access", "can_i"),
    "check": ("k8sfsm_cli.check", "check"),
    "explain": ("k8sfsm_cli.explain", "explain"),
    "vectors": ("k8sfsm_cli.vectors", "vectors"),
    "spec": ("k8sfsm_cli.spec", "spec"),
    "trace": ("k8sfsm_cli.trace", "trace"),
    "packet": ("k8sfsm_cli.packet", "packet"),
    "proxy": ("k8sfsm_cli.packet", "proxy"),
}
"""Commands and where they are; each is imported when it is asked for, so that help comes at once."""
INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the signal's number, as shells have it."""


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
        except (BrokenPipeError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from k8sfsm_cli.errors import BadInput  # here, for it imports what half of the commands never need

            if isinstance(error, BadInput.KINDS):
                raise BadInput.of(error) from None
            raise

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """Run as a program: errors are one line on stderr, and never a traceback."""
        run: Callable[..., Any] = super().main
        if not more.pop("standalone_mode", True):
            return run(args, *rest, standalone_mode=False, **more)
        try:
            status = run(args, *rest, standalone_mode=False, **more)
        except click.Abort:
            click.echo("k8sfsm: interrupted", err=True)
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            sys.exit(_tell(error))
        sys.exit(status if isinstance(status, int) else 0)


def _tell(error: click.ClickException) -> int:
    """Say what is wrong. A group without a command shows its help instead. Returns the exit code."""
    from k8sfsm_cli.errors import UNUSABLE, told

    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        click.echo(context.get_help())
        return 0
    click.echo(told(error), err=True)
    return UNUSABLE


@click.group(name="k8sfsm", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="k8sfsm")
def main() -> None:
    """The executable reference specification of Kubernetes v1.36.

    Exit codes: 0 all well; 1 a finding (a divergence, a failed vector, a violated rule); 2 input that cannot be used.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
