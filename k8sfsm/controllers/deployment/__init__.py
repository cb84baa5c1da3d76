"""The Deployment controller. Source: pkg/controller/deployment."""

from k8sfsm.controllers.deployment.controller import DeploymentController

__all__ = ["DeploymentController"]
