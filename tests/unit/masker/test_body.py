"""The promise: a body is the same however it is asked for, and no error carries it along."""

from __future__ import annotations

import pytest

from countersign.masker.body import Body
from countersign.masker.withheld import Withheld


def test_a_body_cut_anywhere_reads_as_it_was_sent() -> None:
    sent = "é{}\ufeff".encode()
    for cut in range(len(sent) + 1):
        body = Body([sent[:cut], sent[cut:]])
        assert (body.size_bytes, body.data(), body.text(), body.data()) == (len(sent), sent, sent.decode(), sent)


def test_what_is_no_text_is_withheld_without_a_trace_of_it() -> None:
    with pytest.raises(Withheld, match="not UTF-8") as refused:
        Body([b"secret \xff"]).text()
    assert refused.value.__context__ is None
