"""The types and functions of the vocabulary as CEL's checker and evaluator know them. Made once, on first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings
from google.protobuf import descriptor_pb2, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from countersign.policy.conditions.functions import Functions
from countersign.policy.conditions.vocabulary import VOCABULARY, Function, Structure

PACKAGE = "countersign"
_Field = descriptor_pb2.FieldDescriptorProto
_FIELD_TYPES = {
    "string": (_Field.TYPE_STRING, _Field.LABEL_OPTIONAL),
    "list(string)": (_Field.TYPE_STRING, _Field.LABEL_REPEATED),
    "int": (_Field.TYPE_INT64, _Field.LABEL_OPTIONAL),
    "bool": (_Field.TYPE_BOOL, _Field.LABEL_OPTIONAL),
    "timestamp": (_Field.TYPE_MESSAGE, _Field.LABEL_OPTIONAL),
}
_TYPES = {
    "string": cel.Type.STRING,
    "bool": cel.Type.BOOL,
    "map(string, dyn)": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}


@dataclass(frozen=True, slots=True)
class Environment:
    """CEL's environment, what it calls, and the message class of each structure by its name."""

    cel: cel.Env
    functions: Functions
    messages: dict[str, Callable[..., Any]]


@cache
def environment() -> Environment:
    """Return the one environment of this process; it is immutable, and safe to share between threads."""
    pool, messages = _structures()
    functions = Functions(messages["Statement"])
    env = cel.NewEnv(
        pool,
        variables={variable.name: _type(variable.type) for variable in VOCABULARY.variables},
        functions=[_declared(function, functions) for function in VOCABULARY.functions],
        extensions=[ext_strings.ExtStrings()],
    )
    return Environment(env, functions, messages)


def _structures() -> tuple[DescriptorPool, dict[str, Callable[..., Any]]]:
    """Typed by messages, unknown fields are refused when a condition is compiled; maps would throw on some call."""
    pool = DescriptorPool()
    timestamps = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamps)
    pool.Add(timestamps)
    file = descriptor_pb2.FileDescriptorProto(
        name="countersign/conditions.proto", package=PACKAGE, syntax="proto3", dependency=[timestamps.name]
    )
    for structure in VOCABULARY.structures:
        _add_message(file, structure)
    pool.Add(file)
    names = [structure.name for structure in VOCABULARY.structures]
    return pool, {name: GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in names}


def _add_message(file: descriptor_pb2.FileDescriptorProto, structure: Structure) -> None:
    message = file.message_type.add(name=structure.name)
    for number, field in enumerate(structure.fields, 1):
        kind, label = _FIELD_TYPES[field.type]
        added = message.field.add(name=field.name, number=number, type=kind, label=label)
        if field.type == "timestamp":
            added.type_name = ".google.protobuf.Timestamp"


def _type(name: str) -> cel.Type:
    return _TYPES.get(name) or cel.Type(f"{PACKAGE}.{name}")


def _declared(function: Function, functions: Functions) -> cel.FunctionDecl:
    parameters = [_type(type_) for _, type_ in function.parameters]
    overload = cel.Overload(function.name, _type(function.result), parameters, False, functions.by_name(function.name))
    return cel.FunctionDecl(function.name, [overload])
