"""Tools that operate clusters, clouds, containers and services: by subcommand.

Source: the references of kubectl 1.34, AWS CLI v2, docker 28, terraform 1.13, helm 3, gcloud, az, systemd and apt.
"""

from __future__ import annotations

import re

from countersign.statements.names import names
from countersign.statements.shell.command import READS, RUNS, UNTOLD, Command, options, verdict
from countersign.statements.verdict import StatementClass, Verdict

_C = StatementClass
_SHOWS_SECRETS = verdict("it shows credentials", _C.PRIVILEGE, _C.READ)
_DESTROYS = verdict("it destroys what is stored", _C.DESTRUCTIVE_DDL)
_WRITES = verdict("it changes what runs", _C.WRITE)
_CONTROLS = verdict("it stops, starts or redirects what runs", _C.SESSION_CONTROL)
_GRANTS = verdict("it decides who may do what", _C.PRIVILEGE)

_KUBE_VALUED = names(
    """--namespace --context --cluster --kubeconfig --user --output --selector --server --token --as --as-group
    --field-selector --sort-by --tail --since --container --replicas --timeout --filename --grace-period --image"""
)
_KUBE_READ = names("get describe logs top explain version api-resources api-versions events cluster-info wait options")
_KUBE_STORES = re.compile(
    r"^(?:ns|namespaces?|pvc?|persistentvolume\w*|crds?|customresourcedefinitions?\S*|statefulsets?|sts)$"
)
_KUBE_ROLES = re.compile(r"role|serviceaccount|^sa$|token|certificatesigning|^secret")


def judge_kubectl(command: Command) -> Verdict:
    """``kubectl``: by verb and kind of object."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    given = options(texts, "nosflcv", _KUBE_VALUED)
    if not given.operands:
        return READS if given.given <= {"--help", "-h", "--version"} else RUNS
    if {"--token", "--as", "--as-group", "--kubeconfig"} & given.given:
        return _GRANTS
    verb, *rest = given.operands
    kinds = [part.partition("/")[0] for each in rest[:1] for part in each.split(",")]
    if verb in _KUBE_READ:
        named = [part.lower() for each in rest for part in each.split(",")]
        secret = any(each.startswith("secret") for each in named) or "--raw" in given.given
        if "file" in given.values.get("-o", "") + given.values.get("--output", ""):
            return RUNS
        return _SHOWS_SECRETS if secret and verb in ("get", "describe") else READS
    pairs = " ".join([verb, *rest[:1]])
    if pairs in (
        "config view",
        "config current-context",
        "config get-contexts",
        "auth can-i",
        "rollout status",
        "rollout history",
    ):
        return _SHOWS_SECRETS if "--raw" in given.given else READS
    if verb == "delete":
        if any(_KUBE_STORES.match(kind) for kind in kinds):
            return _DESTROYS
        wide = {"--all", "-l", "--selector", "-f", "--filename", "-A", "--all-namespaces"} & given.given
        return verdict("it deletes objects", _C.MASS_WRITE if wide else _C.WRITE)
    if verb in ("exec", "attach", "debug", "run", "plugin", "edit"):
        return RUNS
    if verb in ("cp", "port-forward", "proxy", "expose"):
        return verdict("it opens a way out of the cluster", _C.EXPORT)
    if verb in ("drain", "cordon", "uncordon", "taint", "config"):
        return _CONTROLS
    if verb in ("auth", "certificate") or (verb == "create" and any(_KUBE_ROLES.search(kind) for kind in kinds)):
        return _GRANTS
    if verb in ("apply", "create", "replace", "patch", "set", "label", "annotate", "scale", "autoscale", "rollout"):
        return _WRITES
    return RUNS


_AWS_SECRETS = re.compile(
    r"^(?:get-secret-value|batch-get-secret-value|get-parameters?(?:-by-path|-history)?|get-session-token|assume-role\S*"
    r"|get-login\S*|get-federation-token|get-credential-report|decrypt|get-password-data|get-authorization-token"
    r"|generate-data-key\S*|get-random-password|export-\S+|get-credentials\S*|get-access-key\S*|get-function\S*)$"
)
_AWS_READ = re.compile(r"^(?:describe|list|head|search|lookup|get)-[a-z0-9-]+$|^ls$|^(?:wait|help)$")
_AWS_VALUED = names(
    "--region --profile --output --query --max-items --page-size --filters --filter --endpoint-url --color"
)


def judge_aws(command: Command) -> Verdict:
    """``aws``: by service and operation."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    given = options(texts, "", _AWS_VALUED)
    if "--endpoint-url" in given.given or any(option.startswith("--cli-input") for option in given.given):
        return verdict("it speaks to another server, or as a file says", _C.EXPORT, _C.CODE_EXECUTION)
    if len(given.operands) < 2:
        return READS if given.given <= {"--version"} or given.operands == ("help",) else RUNS
    service, operation = given.operands[:2]
    if service == "s3":
        return _s3(operation, given.given)
    if _AWS_SECRETS.match(operation):
        return _SHOWS_SECRETS
    if _AWS_READ.match(operation) and service != "configure":
        return verdict("it saves an object", _C.WRITE) if operation == "get-object" else READS
    if (service, operation) == ("sts", "get-caller-identity"):
        return READS
    if (
        service in ("iam", "sts", "organizations", "configure", "sso", "kms")
        or "policy" in operation
        or "acl" in operation
    ):
        return _GRANTS
    return _operation(operation)


def _s3(operation: str, given: frozenset[str]) -> Verdict:
    match operation:
        case "ls":
            return READS
        case "cp" | "sync" | "mv" | "presign" | "website":
            return verdict("it carries objects in or out", _C.EXPORT)
        case "rm":
            return verdict("it removes objects", _C.MASS_WRITE if "--recursive" in given else _C.WRITE)
        case "rb":
            return _DESTROYS
        case "mb":
            return verdict("it makes a bucket", _C.DDL)
    return RUNS


def _operation(operation: str) -> Verdict:
    verb = operation.partition("-")[0]
    if verb in ("invoke", "send", "start", "execute", "run") and operation not in (
        "start-instances",
        "start-db-instance",
    ):
        return RUNS
    if verb in ("delete", "terminate", "destroy", "purge", "deregister", "remove"):
        return _DESTROYS if operation not in ("delete-item", "delete-object") else verdict("it deletes one", _C.WRITE)
    if verb in ("create", "register", "import"):
        return verdict("it makes something", _C.DDL)
    if verb in ("put", "update", "modify", "tag", "untag", "set", "add", "attach", "associate", "batch", "enable"):
        return _WRITES
    return _CONTROLS if verb in ("stop", "start", "reboot", "disable", "cancel", "suspend") else RUNS


_DOCKER_GROUPS = names(
    "container image volume network compose system buildx context plugin node service stack swarm secret"
)
_DOCKER_READ = names("ps images logs inspect version info top stats port history diff events ls list config df search")
_DOCKER_WRITE = names("rm rmi pull tag create rename update restart start stop kill pause unpause down wait scale")


def judge_docker(command: Command) -> Verdict:
    """``docker`` and ``podman``: by subcommand."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    given = options(texts, "nfH", names("--filter --format --tail --since --file"))
    words = list(given.operands)
    if not words or {"-H", "--host", "--context"} & given.given:
        return READS if not words and given.given <= {"--version", "--help"} else RUNS
    group = words.pop(0) if words[0] in _DOCKER_GROUPS and len(words) > 1 else ""
    verb = words[0]
    if verb in _DOCKER_READ:
        return READS
    if verb == "prune" or (group == "volume" and verb == "rm"):
        return _DESTROYS
    if verb in ("stop", "kill", "pause", "unpause", "restart", "start", "down", "wait"):
        return _CONTROLS
    if verb in ("push", "save", "export", "cp"):
        return verdict("it carries data out", _C.EXPORT)
    if verb in ("login", "logout") or group in ("swarm", "secret", "plugin"):
        return _GRANTS
    return _WRITES if verb in _DOCKER_WRITE else RUNS


_SUBCOMMANDS: dict[str, tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]] = {
    "terraform": (
        names("plan show validate output version providers graph"),
        names("destroy"),
        names("apply import"),
        names(""),
    ),
    "helm": (
        names("list ls status history search version"),
        names("uninstall delete"),
        names("install upgrade"),
        names("rollback"),
    ),
    "systemctl": (
        names(
            "status list-units list-unit-files list-timers is-active is-enabled is-failed show cat list-dependencies"
        ),
        names(""),
        names("enable disable mask unmask edit set-property"),
        names("start stop restart reload daemon-reload kill reboot poweroff halt isolate suspend"),
    ),
    "apt": (names("list search show policy"), names(""), names(""), names("")),
    "apt-cache": (names("search show policy madison depends rdepends"), names(""), names(""), names("")),
}
_SUBCOMMANDS["tofu"] = _SUBCOMMANDS["terraform"]
_ELSEWHERE = ("--out", "-out", "-H", "-M", "--host", "--machine", "--post")
"""Options that write a file, or reach into another machine."""

_NAMED_VALUES = names("--namespace --kube-context --output --lines --type --state --property")


def judge_by_subcommand(command: Command) -> Verdict:
    """Tools whose first word says it all."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    given = options(texts, "nop", _NAMED_VALUES)
    read, destroys, writes, controls = _SUBCOMMANDS[command.name]
    verb = given.operands[0] if given.operands else ""
    if verb == "state" and command.name in ("terraform", "tofu"):
        return READS if given.operands[1:2] in (("list",), ("show",)) else RUNS
    if verb in read or (not verb and given.given <= {"--version", "--help"}):
        risky = any(text.startswith(_ELSEWHERE) for text in texts)
        return RUNS if risky and command.name != "helm" else READS
    if verb in destroys or (verb == "apply" and "-destroy" in texts):
        return _DESTROYS
    if verb in writes:
        return verdict("it changes what is set up", _C.WRITE)
    return _CONTROLS if verb in controls else RUNS


_CLOUD_READ = re.compile(r"^(?:list|describe|show|ls|get-\S+|info|version)$")


def judge_cloud(command: Command) -> Verdict:
    """``gcloud`` and ``az``: by the verb, which is the last plain word before names and options."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    verbs = options(texts, "go", names("--project --zone --region --format --filter --resource-group --name")).operands
    if {"auth", "iam", "role", "keyvault", "secrets", "ad", "kms", "login", "account"} & set(verbs[:3]):
        return _GRANTS
    for verb in verbs[1:4]:
        if verb in ("delete", "purge", "rm"):
            return _DESTROYS
        if verb in ("ssh", "run-command", "exec", "scp", "call", "invoke"):
            return RUNS
        if _CLOUD_READ.match(verb):
            return READS
    return RUNS


_HUB_READ = names("list view status diff checks")


def judge_gh(command: Command) -> Verdict:
    """``gh``: lists and shows, else it changes what GitHub holds."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    noun, verb = [*options(texts, "LRs").operands, "", ""][:2]
    if noun in ("pr", "issue", "run", "repo", "release", "workflow", "label") and verb in _HUB_READ:
        return READS
    if noun in ("auth", "secret", "ssh-key", "gpg-key", "variable"):
        return _GRANTS
    return _WRITES if noun in ("pr", "issue", "release", "label") else RUNS


def judge_ip(command: Command) -> Verdict:
    """``ip``: shows, unless it is told to set."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    words = [text for text in texts if not text.startswith("-")]
    if any(text.startswith(("-b", "-n", "-force")) and not text.startswith("-br") for text in texts) or "exec" in words:
        return RUNS
    return READS if len(words) <= 1 or words[1] in ("show", "list", "ls", "get", "s", "sh") else _CONTROLS
