"""The roles that every cluster has: those for people, and what everybody may ask of the server.

They are as in Kubernetes 1.36, with the rules of kinds that are not served here. `admin`, `edit`
and `view` gather the rules of roles with a certain label; the cluster's own are among these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobman.local.api import rule_cover
from jobman.local.api.authz import RBAC
from jobman.local.api.registry import Registry
from jobman.local.api.users import AUTHENTICATED, MASTERS, UNAUTHENTICATED
from jobman.local.controllers.role_aggregation import ROLES, gather

Object = dict[str, Any]

BINDINGS = f"clusterrolebindings.{RBAC}"
_AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def _may(verbs: Sequence[str], group: str, resources: str) -> Object:
    return {"verbs": list(verbs), "apiGroups": [group], "resources": resources.split()}


def _get(*paths: str) -> Object:
    return {"verbs": ["get"], "nonResourceURLs": list(paths)}


_VIEW = (
    _may(
        _READ,
        "",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods"
        " replicationcontrollers replicationcontrollers/scale serviceaccounts services"
        " services/status",
    ),
    _may(
        _READ,
        "",
        "bindings events limitranges namespaces/status pods/log pods/status"
        " replicationcontrollers/status resourcequotas resourcequotas/status",
    ),
    _may(_READ, "", "namespaces"),
    _may(_READ, "discovery.k8s.io", "endpointslices"),
    _may(
        _READ,
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale"
        " deployments/status replicasets replicasets/scale replicasets/status statefulsets"
        " statefulsets/scale statefulsets/status",
    ),
    _may(_READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    _may(_READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    _may(_READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    _may(_READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    _may(
        _READ,
        "resource.k8s.io",
        "resourceclaims resourceclaims/status resourceclaimtemplates",
    ),
)
_EDIT = (
    _may(
        _READ,
        "",
        "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy",
    ),
    _may(("impersonate",), "", "serviceaccounts"),
    _may(_WRITE, "", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    _may(("create",), "", "pods/eviction"),
    _may(
        _WRITE,
        "",
        "configmaps events persistentvolumeclaims replicationcontrollers"
        " replicationcontrollers/scale secrets serviceaccounts services services/proxy",
    ),
    _may(("create",), "", "serviceaccounts/token"),
    _may(
        _WRITE,
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets"
        " replicasets/scale statefulsets statefulsets/scale",
    ),
    _may(_WRITE, "autoscaling", "horizontalpodautoscalers"),
    _may(_WRITE, "batch", "cronjobs jobs"),
    _may(_WRITE, "policy", "poddisruptionbudgets"),
    _may(_WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    _may(_ALL, "coordination.k8s.io", "leases"),
    _may(_WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
)
_ADMIN = (
    _may(("create",), "authorization.k8s.io", "localsubjectaccessreviews"),
    _may(_ALL, RBAC, "rolebindings roles"),
)
_HEALTH, _VERSION = ("/healthz", "/livez", "/readyz"), ("/version", "/version/")
_RULES: Mapping[str, Sequence[Object]] = {
    "cluster-admin": (_may("*", "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]}),
    "system:aggregate-to-admin": _ADMIN,
    "system:aggregate-to-edit": _EDIT,
    "system:aggregate-to-view": _VIEW,
    "system:basic-user": (
        _may(
            ("create",),
            "authorization.k8s.io",
            "selfsubjectaccessreviews selfsubjectrulesreviews",
        ),
        _may(("create",), "authentication.k8s.io", "selfsubjectreviews"),
    ),
    "system:discovery": (
        _get(
            *("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez"),
            *("/openapi", "/openapi/*", "/readyz", *_VERSION),
        ),
    ),
    "system:public-info-viewer": (_get(*_HEALTH, *_VERSION),),
    "system:service-account-issuer-discovery": (_get("/.well-known", "/.well-known/*"),),
}
# Each gathers what is labelled for it, and is so labelled for the next.
_GATHERING = ("view", "edit", "admin")
# Role -> the groups that it is bound to.
_BOUND = {
    "cluster-admin": (MASTERS,),
    "system:basic-user": (AUTHENTICATED,),
    "system:discovery": (AUTHENTICATED,),
    "system:public-info-viewer": (AUTHENTICATED, UNAUTHENTICATED),
    "system:service-account-issuer-discovery": (AUTHENTICATED,),
}


def ensure(registry: Registry) -> None:
    """Make the roles and bindings that are not there, and give the others what they lack."""
    for name, rules in _RULES.items():
        purpose = name.removeprefix("system:aggregate-to-")
        labels = _label(purpose) if purpose in _GATHERING else {}
        _reconcile(registry, ROLES, _object("ClusterRole", name, labels, rules=list(rules)))
    for name, feeds in zip(_GATHERING, (*_GATHERING[1:], None), strict=True):
        gathers = {"clusterRoleSelectors": [{"matchLabels": _label(name)}]}
        labels = _label(feeds) if feeds else {}
        made = _object("ClusterRole", name, labels, rules=[], aggregationRule=gathers)
        _reconcile(registry, ROLES, made)
        gather(registry, name)  # so that it is whole at once
    for name, groups in _BOUND.items():
        reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
        subjects = [{"kind": "Group", "apiGroup": RBAC, "name": group} for group in groups]
        made = _object("ClusterRoleBinding", name, {}, subjects=subjects, roleRef=reference)
        _reconcile(registry, BINDINGS, made)


def _label(purpose: str) -> dict[str, str]:
    return {f"{RBAC}/aggregate-to-{purpose}": "true"}


def _object(kind: str, name: str, labels: Mapping[str, str], **fields: Any) -> Object:
    about = {"name": name, "labels": {**_LABELS, **labels}, "annotations": {_AUTOUPDATE: "true"}}
    return {"kind": kind, "apiVersion": f"{RBAC}/v1", "metadata": about, **fields}


def _reconcile(registry: Registry, resource: str, wanted: Object) -> None:
    """Additions of others stay; one whose annotation says so is left alone."""
    name = wanted["metadata"]["name"]
    found = registry.find(resource, "", name)
    if found is not None and _annotations(found).get(_AUTOUPDATE) == "false":
        return
    if found is not None and found.get("roleRef") != wanted.get("roleRef"):
        registry.delete(resource, "", name)  # that of a binding cannot be changed
        found = None
    if found is None:
        registry.create(resource, "", wanted)
    else:
        registry.modify(resource, "", name, lambda role: _complete(role, wanted))


def _complete(found: Object, wanted: Object) -> None:
    about = found["metadata"]
    for key in ("labels", "annotations"):
        about[key] = {**wanted["metadata"][key], **(about.get(key) or {})}
    if "aggregationRule" in wanted:
        wanted_selectors = wanted["aggregationRule"]["clusterRoleSelectors"]
        selectors = (found.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        more = [selector for selector in wanted_selectors if selector not in selectors]
        found["aggregationRule"] = {"clusterRoleSelectors": selectors + more}
    elif "rules" in wanted:
        found.pop("aggregationRule", None)
        rules = found.get("rules") or []
        unknown = [rule for rule in wanted["rules"] if rule not in rules]
        found["rules"] = rules + rule_cover.missing(rules, unknown)
    else:
        subjects = found.get("subjects") or []
        found["subjects"] = subjects + [s for s in wanted["subjects"] if s not in subjects]


def _annotations(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}
