"""Who may do what: users and their groups, roles and bindings, the authorizers of the API server."""

from k8sfsm.apiserver.rbac.users import Asked, User, law, user_of

__all__ = ["Asked", "User", "law", "user_of"]
