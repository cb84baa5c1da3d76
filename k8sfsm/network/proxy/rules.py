"""The law of kube-proxy: its tables are in `specs/kubeproxy/`."""

from __future__ import annotations

from typing import Final

from k8sfsm.law import Law

law: Final = Law("kubeproxy")
