"""From one command to what looks at it."""

from __future__ import annotations

import re

from countersign.statements.names import names
from countersign.statements.shell.command import READS, RUNS, Command, Judge, always, verdict
from countersign.statements.shell.files import (
    judge_awk,
    judge_chmod,
    judge_dd,
    judge_mv,
    judge_packer,
    judge_rm,
    judge_sed,
    judge_tar,
    judge_tee,
)
from countersign.statements.shell.fixed import FIXED
from countersign.statements.shell.git import judge_git
from countersign.statements.shell.network import judge_curl, judge_rsync, judge_wget
from countersign.statements.shell.operations import (
    judge_aws,
    judge_by_subcommand,
    judge_cloud,
    judge_docker,
    judge_gh,
    judge_ip,
    judge_kubectl,
)
from countersign.statements.shell.readers import READERS, judge_reader
from countersign.statements.shell.wrappers import WRAPPERS, Runner, judge_wrapper
from countersign.statements.verdict import StatementClass, Verdict, unparsable

_C = StatementClass
_FOLDERS = ("/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/", "/usr/sbin/", "/usr/local/sbin/")

_JUDGES: dict[str, Judge] = {
    **dict.fromkeys(READERS, judge_reader),
    **FIXED,
    **dict.fromkeys(("rm", "unlink"), judge_rm),
    **dict.fromkeys(("mv", "cp", "ln", "install"), judge_mv),
    "chmod": judge_chmod,
    "tee": judge_tee,
    "dd": judge_dd,
    "sed": judge_sed,
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), judge_awk),
    **dict.fromkeys(("tar", "bsdtar", "gtar"), judge_tar),
    **dict.fromkeys(names("gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd unzip"), judge_packer),
    "curl": judge_curl,
    "wget": judge_wget,
    "rsync": judge_rsync,
    "git": judge_git,
    **dict.fromkeys(("kubectl", "oc"), judge_kubectl),
    "aws": judge_aws,
    **dict.fromkeys(("docker", "podman", "nerdctl", "docker-compose"), judge_docker),
    **dict.fromkeys(("terraform", "tofu", "helm", "systemctl", "apt", "apt-cache"), judge_by_subcommand),
    **dict.fromkeys(("gcloud", "az"), judge_cloud),
    "ip": judge_ip,
    "gh": judge_gh,
    ":": judge_reader,
    "vault": always("it handles credentials", _C.PRIVILEGE),
    **dict.fromkeys(("op", "pass", "bw", "aws-vault", "sops"), always("it shows credentials", _C.PRIVILEGE, _C.READ)),
    "apt-get": always("it installs or removes programs", _C.CODE_EXECUTION, _C.PRIVILEGE),
    **dict.fromkeys(
        ("yum", "dnf", "zypper"), always("it installs or removes programs", _C.CODE_EXECUTION, _C.PRIVILEGE)
    ),
    "service": always("it stops or starts services", _C.SESSION_CONTROL),
}
_POWERSHELL = re.compile(r"[A-Z][a-z]+-[A-Z][A-Za-z]+$")
_ASKS = {"--version", "--help"}
_ASKED = names("python python2 python3 node npm pip pip3 go cargo rustc java ruby perl make gcc")
_LISTS = {
    "node": {"-v"},
    "pip": {"list", "show", "freeze", "check"},
    "npm": {"ls", "list", "outdated", "view"},
    "go": {"version", "list"},
}


_LISTENERS = frozenset({"nc", "ncat", "netcat", "socat"})
_STARTS = re.compile(r"-[a-z]*[ec]|--(?:sh-)?exec|.*(?:EXEC|SYSTEM|SHELL):", re.IGNORECASE)


def judge_command(command: Command, runner: Runner) -> Verdict:
    """Say what one command does; a name that stands in no table runs code."""
    name = command.name
    if _POWERSHELL.match(name):
        return unparsable("PowerShell is not read")
    if "/" in name:
        folder = next((each for each in _FOLDERS if name.startswith(each)), None)
        name = name[len(folder) :] if folder else ""
        command = Command(name, command.words, command.folder, command.source, command.depth)
    if name in WRAPPERS:
        return judge_wrapper(command, runner)
    if name in _ASKED and _asks(command):
        return verdict("it only reads", _C.READ)
    if name == "read" and all(re.fullmatch(r"-[rs]+|(?!path$)[a-z_]+\d*", word.text or "") for word in command.words):
        return READS
    if name == "crontab" and command.texts == ["-l"]:
        return READS
    if name in _LISTENERS and any(_STARTS.match(word.text or "") for word in command.words):
        return verdict("it gives a program to another machine", _C.CODE_EXECUTION, _C.EXPORT)
    judge = _JUDGES.get(name)
    return RUNS if judge is None else judge(command)


def _asks(command: Command) -> bool:
    texts = command.texts
    if texts is None or len(texts) > 3 or not texts:
        return False
    return (len(texts) == 1 and texts[0] in _ASKS) or texts[0] in _LISTS.get(command.name.rstrip("3"), set())
