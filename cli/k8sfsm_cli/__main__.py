"""`python -m k8sfsm_cli`: the same as `k8sfsm`."""

from k8sfsm_cli.app import main

main(prog_name="k8sfsm")
