"""Whom a security event is about (RFC 9493; OpenID Shared Signals Framework 1.0, section 3). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from countersign.portal.hears import claims as said
from countersign.portal.hears.claims import Claims
from countersign.portal.hears.told import Err, NotTaken

_COMPLEX = ("user", "session", "device", "tenant", "org_unit", "group", "application")
_MOST_ALIASES = 20
_WHAT = "the subject"


@dataclass(frozen=True, slots=True)
class Whose:
    """Of whom a transmitter may speak: principals of ``issuer``. ``by_mail`` says that these are named by addresses."""

    issuer: str
    by_mail: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """What a subject names of an issuer, each empty when it does not: a principal, a sign-in of it, or one token."""

    principal: str = ""
    sign_in: str = ""
    token_id: str = ""


def named(subject: object, whose: Whose) -> Named:
    """Return what ``subject`` names.

    Raises ``NotTaken`` for what is not understood, so that its sender learns that nothing comes of it, and for
    subjects of issuers of which it may not speak.
    """
    if not isinstance(subject, dict):
        raise NotTaken(Err.REQUEST, "the event's subject is missing or no object")
    found = _complex(subject, whose) if _form(subject) == "complex" else _plain(subject, whose)
    if found is None:
        raise NotTaken(Err.REQUEST, "the subject names nobody who is known here: send iss_sub, opaque or jwt_id")
    return found


def _form(subject: Claims) -> str:
    """Return the format; drafts called it ``subject_type``, wrote it with hyphens, and let it out for complex ones."""
    if "format" not in subject and "subject_type" not in subject and any(part in subject for part in _COMPLEX):
        return "complex"
    form = said.text(subject, "format" if "format" in subject else "subject_type", what=_WHAT)
    return form.replace("-", "_")


def _simple(form: str, subject: Claims, whose: Whose) -> Named | None:
    if form == "iss_sub":
        _check_issuer(subject, whose)
        return Named(principal=said.text(subject, "sub", what=_WHAT))
    if form == "opaque":
        return Named(principal=said.text(subject, "id", what=_WHAT))
    if form == "jwt_id":
        _check_issuer(subject, whose)
        return Named(token_id=said.text(subject, "jti", what=_WHAT))
    if form == "email" and whose.by_mail:
        return Named(principal=said.text(subject, "email", what=_WHAT))
    return None


def _check_issuer(subject: Claims, whose: Whose) -> None:
    if said.text(subject, "iss", what=_WHAT) != whose.issuer:
        raise NotTaken(Err.ACCESS, "this transmitter may not speak of that issuer's subjects")


def _complex(subject: Claims, whose: Whose) -> Named | None:
    """All parts of a complex subject hold at once: with a part left out, more is revoked, never less."""
    parts = {name: said.member(subject, name, what=_WHAT) for name in ("user", "session") if subject.get(name)}
    user = (_plain(parts["user"], whose) if "user" in parts else None) or Named()
    session = (_plain(parts["session"], whose) if "session" in parts else None) or Named()
    # What stands alone as a principal's opaque id is, as a session's, that of a sign-in.
    if _form_of(parts, "session") == "opaque":
        return Named(user.principal, sign_in=session.principal)
    if session.token_id:
        return Named(user.principal, token_id=session.token_id)
    return Named(user.principal) if user.principal else None


def _form_of(parts: Mapping[str, Claims], name: str) -> str:
    return _form(parts[name]) if name in parts else ""


def _plain(subject: Claims, whose: Whose) -> Named | None:
    """Return what a subject without parts names, ``None`` when it is not understood."""
    form = _form(subject)
    return _aliases(subject, whose) if form == "aliases" else _simple(form, subject, whose)


def _aliases(subject: Claims, whose: Whose) -> Named | None:
    """Return what the first alias names that is understood; one of an issuer that is not ours to hear of is refused."""
    aliases = subject.get("identifiers")
    if not isinstance(aliases, list) or len(aliases) > _MOST_ALIASES:
        raise NotTaken(Err.REQUEST, f"the subject's `identifiers` must be a list of at most {_MOST_ALIASES}")
    for alias in aliases:
        if not isinstance(alias, dict):
            raise NotTaken(Err.REQUEST, "an identifier of the subject is no object")
        found = _simple(_form(alias), alias, whose)
        if found is not None:
            return found
    return None
