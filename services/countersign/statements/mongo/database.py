"""mongosh's methods on a database (``db.x()``) and its one-line helpers, turned into commands or judged themselves.

Source: MongoDB manual 8.0, "mongosh methods", "mongosh help".
"""

from __future__ import annotations

from collections.abc import Sequence

from countersign.statements.mongo.commands import judge
from countersign.statements.mongo.methods import Call
from countersign.statements.mongo.values import Document, NotUnderstoodError, Value, array, document, name
from countersign.statements.names import names
from countersign.statements.verdict import StatementClass, Verdict

_C = StatementClass
_COMMANDS = {
    "dropDatabase": "dropDatabase",
    "createCollection": "create",
    "createView": "create",
    "stats": "dbStats",
    "serverStatus": "serverStatus",
    "serverBuildInfo": "buildInfo",
    "version": "buildInfo",
    "hostInfo": "hostInfo",
    "hello": "hello",
    "isMaster": "isMaster",
    "getCollectionNames": "listCollections",
    "getCollectionInfos": "listCollections",
    "listCommands": "listCommands",
    "getName": "ping",
    "getProfilingStatus": "ping",
    "getReplicationInfo": "ping",
    "printCollectionStats": "dbStats",
    "currentOp": "currentOp",
    "getLogComponents": "getParameter",
    "serverCmdLineOpts": "getCmdLineOpts",
    "getUser": "usersInfo",
    "getUsers": "usersInfo",
    "getRole": "rolesInfo",
    "getRoles": "rolesInfo",
    "auth": "authenticate",
    "logout": "logout",
    "changeUserPassword": "updateUser",
    "addUser": "createUser",
    "removeUser": "dropUser",
    "dropAllUsers": "dropAllUsersFromDatabase",
    "dropAllRoles": "dropAllRolesFromDatabase",
    "killOp": "killOp",
    "setProfilingLevel": "profile",
    "setLogLevel": "setParameter",
    "shutdownServer": "shutdown",
    "fsyncLock": "fsync",
    "fsyncUnlock": "fsyncUnlock",
    "rotateCertificates": "rotateCertificates",
    "eval": "eval",
    "copyDatabase": "copydb",
    "cloneDatabase": "clone",
    "cloneCollection": "cloneCollection",
    **{
        verb: verb
        for verb in names(
            """createUser updateUser dropUser grantRolesToUser revokeRolesFromUser createRole updateRole dropRole
            grantPrivilegesToRole revokePrivilegesFromRole grantRolesToRole revokeRolesFromRole"""
        )
    },
}

_HELPERS: dict[str, tuple[StatementClass, ...]] = {
    **dict.fromkeys(("show collections", "show tables", "show dbs", "show databases", "show roles"), (_C.READ,)),
    **dict.fromkeys(("help", "it", "show logs", "show startupWarnings"), (_C.READ,)),
    **dict.fromkeys(("show users", "show profile", "show log"), (_C.PRIVILEGE, _C.READ)),
    **dict.fromkeys(("use", "exit", "quit", "cls"), (_C.SESSION_CONTROL,)),
}

_REPLICAS = {
    "rs": names("status conf config help hello isMaster printReplicationInfo printSecondaryReplicationInfo"),
    "sh": names("status help getBalancerState isBalancerRunning isConfigShardEnabled listShards"),
}
_SHARDING = names("enableSharding shardCollection reshardCollection refineCollectionShardKey")


def on_database(calls: Sequence[Call], database: str | None) -> Verdict:
    """Say what ``db`` and the calls behind it do. Raises :class:`NotUnderstoodError`."""
    first, *rest = calls
    arguments = first.arguments
    if any(call.name not in ("pretty", "toArray") for call in rest):
        raise NotUnderstoodError("a method that this result does not have")
    match first.name:
        case "runCommand" | "adminCommand":
            where = "admin" if first.name == "adminCommand" else database
            return _sent(arguments, where)
        case "aggregate":
            return judge({"aggregate": 1, "pipeline": array(arguments[0] if arguments else [])}, database)
    if first.name not in _COMMANDS:
        raise NotUnderstoodError("a method that is not known")
    command: Document = {_COMMANDS[first.name]: arguments[0] if arguments else 1}
    if first.name == "createView" and len(arguments) > 2:
        command["pipeline"] = arguments[2] if isinstance(arguments[2], list) else [arguments[2]]
    return judge(command, database)


def _sent(arguments: Sequence[Value], database: str | None) -> Verdict:
    if not arguments:
        raise NotUnderstoodError("an argument is missing")
    if isinstance(arguments[0], str):
        options = document(arguments[1]) if len(arguments) > 1 else {}
        return judge({name(arguments[0]): 1, **options}, database)
    return judge(document(arguments[0]), database)


def on_cluster(receiver: str, calls: Sequence[Call]) -> Verdict:
    """Say what ``rs.x()`` or ``sh.x()`` does. Raises :class:`NotUnderstoodError`."""
    if len(calls) != 1:
        raise NotUnderstoodError("a chain that is not read")
    method = calls[0].name
    shapes = _C.DDL if method in _SHARDING else _C.SESSION_CONTROL
    does = _C.READ if method in _REPLICAS[receiver] else shapes
    return Verdict(frozenset({does}), reason=f"a method of {receiver} that is {does}")


def helper(words: Sequence[str]) -> Verdict | None:
    """Say what a one-line helper (``show collections``) does; ``None`` when it is none."""
    classes = _HELPERS.get(" ".join(words[:2])) if len(words) > 1 else None
    classes = classes or (_HELPERS.get(words[0]) if len(words) == 1 or words[0] in ("use", "help") else None)
    if classes is None or len(words) > 3 or (words[0] == "use" and len(words) != 2):
        return None
    return Verdict(frozenset(classes), reason=f"{words[0]} is {', '.join(classes)}")
