"""Wires the approver: its gRPC services, who is told, and the page."""

from __future__ import annotations

from countersign.approver.notify.deliveries import PostgresDeliveryStore
from countersign.approver.notify.notifier import Notifier
from countersign.approver.page.links import Links
from countersign.approver.page.serving import PageRoom
from countersign.approver.part import ApproverPart, Shared
from countersign.cli.wiring import serving
from countersign.cli.wiring.recording import recorder_client
from countersign.cli.wiring.revoked import revocations
from countersign.cli.wiring.watched import Watched
from countersign.config import SecretUse
from countersign.model.approval import Approval
from countersign.runtime import telemetry
from countersign.runtime.sealing import Sealer
from countersign.runtime.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve the approver until told to stop."""
    watched = Watched(settings, {SecretUse.POSTGRES, SecretUse.APPROVALS})
    links = Links(settings.sealing_key, lambda: watched.current.url)

    def link_for(approval: Approval) -> str:
        # Without a way to sign in there, the page is of no use to anybody.
        return links.make(approval) if watched.current.approvals.sign_in else ""

    def notifier(shared: Shared) -> Notifier:
        return Notifier(
            PostgresDeliveryStore(shared.dsn),
            lambda: watched.current.approvals,
            shared.store.get,
            link_for,
            clock_us=shared.clock_us,
        )

    def page(shared: Shared) -> PageRoom:
        return PageRoom(
            settings.listen_http,
            key=settings.sealing_key,
            config=lambda: watched.current,
            deciding=shared.deciding,
            revocations=shared.revocations,
            dsn=shared.dsn,
            clock_us=shared.clock_us,
        )

    part = ApproverPart(
        watched.dsn,
        recorder=recorder_client(settings, watched.current),
        sealer=Sealer(settings.sealing_key),
        revocations=revocations(settings, lambda: watched.current),
        is_auditor=watched.is_auditor,
        is_operator=watched.is_operator,
        rooms=(notifier, page),
    )
    telemetry.gauge("countersign.approvals.waiting", "Calls and people that wait for a change", lambda: part.waiting)
    serving.run("approver", settings, watched.current, part, watched.report, watched.follow)
