"""Texts that show what is masked in them: ``<<...>>`` stands around each value that must not survive."""

from __future__ import annotations

import re

from countersign.masking import Masker

_MARKED = re.compile(r"<<(.*?)>>", re.DOTALL)


def check(masker: Masker, marked: str, label: str = "SSN") -> None:
    """Fail unless exactly what is marked is replaced by the label."""
    text = _MARKED.sub(r"\1", marked)
    assert masker.text(text.encode()).data.decode() == _MARKED.sub(f"[{label}]", marked)
