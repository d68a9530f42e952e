"""One provider's key for all tests of this room: making it costs more than using it."""

from __future__ import annotations

import pytest

from tests.support.saml_documents import Signer


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer.made()


@pytest.fixture(scope="session")
def stranger() -> Signer:
    return Signer.made("stranger", curve=True)
