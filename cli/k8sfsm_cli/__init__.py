"""The command line of k8sfsm. No logic of its own: it reads options, asks `k8sfsm`, and prints."""

from k8sfsm_cli.app import main

__all__ = ["main"]
