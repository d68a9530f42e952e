"""What each server is tried with: the steps that show what it offers, and what it says differently each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.matrix.steps import END, PING, Step, call, cancel, complete, level, listing, prompt, read, subscribe, task

_LISTS = [listing(what) for what in ("tools", "resources", "templates", "prompts")]
_PYTHON = [
    PING,
    *_LISTS,
    call("echo", "echo", {"text": "hé 名"}),
    call("structured", "rows", {"count": 12}),
    call("large", "large", {"kib": 512}),
    call("empty", "nothing"),
    call("every kind of content", "shapes"),
    call("tool fails", "fails", feature="errors"),
    call("unknown tool", "no_such", feature="errors"),
    call("wrong arguments", "rows", {"count": "many"}, feature="errors"),
    read("archive://none", feature="errors"),
    prompt("greet", {}, feature="errors"),
    prompt("no such", {}, feature="errors"),
    call("progress", "counts", {"to": 4}, feature="progress"),
    level("info"),
    call("log", "counts", {"to": 2}, feature="logging"),
    cancel("waits", {"tag": "TAG"}, "was_cancelled"),
    call("elicitation", "asks", feature="elicitation"),
    call("sampling", "samples", feature="sampling"),
    call("roots", "roots", feature="roots"),
    read("archive://letter"),
    read("archive://picture"),
    read("archive://shelf/7"),
    prompt("greet", {"name": "Ürsula"}),
    complete({"type": "ref/prompt", "name": "greet"}, "tone", "wa"),
    complete({"type": "ref/resource", "uri": "archive://shelf/{number}"}, "number", "1"),
    call("resumption", "drops", feature="resumption"),
]

_EVERYTHING = [
    PING,
    *_LISTS,
    call("echo", "echo", {"message": "hé 名"}),
    call("sum", "get-sum", {"a": 0.1, "b": 0.2}),
    call("structured", "get-structured-content", {"location": "New York"}),
    call("picture", "get-tiny-image"),
    call("annotated", "get-annotated-message", {"messageType": "error", "includeImage": True}),
    call("links", "get-resource-links", {"count": 3}),
    call("embedded", "get-resource-reference", {"resourceType": "Text", "resourceId": 1}),
    read("demo://resource/dynamic/text/1"),
    read("demo://resource/static/document/features.md"),
    prompt("simple-prompt", {}),
    prompt("args-prompt", {"city": "Zürich", "state": "ZH"}),
    prompt("resource-prompt", {"resourceType": "Text", "resourceId": "1"}),
    complete({"type": "ref/prompt", "name": "completable-prompt"}, "department", "S"),
    complete({"type": "ref/resource", "uri": "demo://resource/dynamic/text/{resourceId}"}, "resourceId", "1"),
    call("progress", "trigger-long-running-operation", {"duration": 0.2, "steps": 4}, feature="progress"),
    level("debug"),
    call("sampling", "trigger-sampling-request", {"prompt": "keys"}, feature="sampling"),
    call("elicitation", "trigger-elicitation-request", feature="elicitation"),
    call("roots", "get-roots-list", feature="roots"),
    subscribe("demo://resource/dynamic/text/1", "toggle-subscriber-updates"),
    task("simulate-research-query", {"topic": "keys"}),
    # Last: the TypeScript SDK resumes the stream of an error a second later, and this server then sends all of its
    # events again, whosesoever they are.
    call("unknown tool", "no_such", feature="errors"),
    call("wrong arguments", "get-sum", {"a": "x"}, feature="errors"),
    read("demo://resource/none", feature="errors"),
    prompt("no such", {}, feature="errors"),
]

PLANS: Mapping[str, Sequence[Step]] = {
    "official": [
        *_PYTHON,
        call("error with data", "refuses", feature="errors"),
        subscribe("archive://letter", "updates"),
        END,
    ],
    "fast": [*_PYTHON, prompt("letter 7 — straße", {}), END],
    "everything": [*_EVERYTHING, END],
    "everything-stdio": _EVERYTHING,
    "filesystem": [
        PING,
        *_LISTS,
        call("read", "read_text_file", {"path": "{folder}/brief.txt"}),
        call("list", "list_directory", {"path": "{folder}"}),
        call("tree", "directory_tree", {"path": "{folder}"}),
        call("outside", "read_text_file", {"path": "/etc/hostname"}, feature="errors"),
        call("wrong arguments", "read_text_file", {}, feature="errors"),
    ],
    "memory": [
        PING,
        *_LISTS,
        call(
            "create",
            "create_entities",
            {"entities": [{"name": "TAG — 名", "entityType": "person", "observations": ["likes keys"]}]},
        ),
        call("search", "search_nodes", {"query": "TAG"}),
        call("delete", "delete_entities", {"entityNames": ["TAG — 名"]}),
    ],
    "git": [
        PING,
        *_LISTS,
        call("status", "git_status", {"repo_path": "{folder}"}),
        call("log", "git_log", {"repo_path": "{folder}", "max_count": 2}),
        call("outside", "git_status", {"repo_path": "/"}, feature="errors"),
    ],
    "time": [
        PING,
        *_LISTS,
        call(
            "convert",
            "convert_time",
            {"source_timezone": "Europe/Berlin", "target_timezone": "Asia/Tokyo", "time": "12:00"},
        ),
        call("unknown zone", "get_current_time", {"timezone": "Mars/Base"}, feature="errors"),
    ],
}
