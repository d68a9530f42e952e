"""Notifications by e-mail: one when somebody asks, another when it is decided, in one thread."""

from __future__ import annotations

import logging
import socket
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Final

import aiosmtplib

from countersign.approver.notify.summary import QUOTE_CHARACTERS, Notice, Quote
from countersign.approver.notify.telling import NotTold, Telling, shortened
from countersign.config.types import EmailChannel

STEP_S: Final = 10.0
SUBJECT_CHARACTERS: Final = 200

_log = logging.getLogger(__name__)


async def tell(channel: EmailChannel, telling: Telling) -> str:
    """Send it; nothing has to be remembered. Raises ``NotTold`` when nobody's mailbox took it."""
    try:
        message = render(channel, telling)
    except ValueError:
        raise NotTold("its sender or its recipients are no addresses") from None
    try:
        refused, _ = await aiosmtplib.send(
            message,
            hostname=channel.host,
            port=channel.port,
            username=channel.username or None,
            password=channel.password.reveal() if channel.password is not None else None,
            # Else it would be asked of the resolver, while everything waits.
            local_hostname=socket.gethostname(),
            timeout=STEP_S,
            use_tls=channel.security == "tls",
            start_tls=channel.security == "starttls",
        )
    except aiosmtplib.SMTPAuthenticationError:
        raise NotTold("it refused the login") from None
    except aiosmtplib.SMTPResponseException as error:
        raise NotTold(f"it answered {error.code}") from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise NotTold(f"it did not take the message ({type(error).__name__})") from None
    if refused:
        _log.warning("a notification's mail was refused for some recipients", extra={"recipients": len(refused)})
    return ""


def render(channel: EmailChannel, telling: Telling) -> EmailMessage:
    """Return the message, as text and as HTML. Raises ``ValueError`` for addresses that are none."""
    notice = shortened(telling.notice, QUOTE_CHARACTERS)
    name, _, domain = parseaddr(channel.sender)[1].rpartition("@")
    if not (name and domain):
        raise ValueError("a sender without an address")
    # The policy refuses line breaks in every header.
    message = EmailMessage(policy=SMTP)
    message["Subject"] = notice.title[:SUBJECT_CHARACTERS]
    message["From"] = channel.sender
    message["To"] = ", ".join(channel.to)
    message["Date"] = format_datetime(datetime.fromtimestamp(telling.now_us // 1_000_000, UTC))
    # The same over all attempts, so that a mailbox knows what it has.
    message["Message-ID"] = f"<{telling.id}@{domain}>"
    message["References"] = f"<{notice.approval.id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if notice.alarm:
        message["Importance"] = "high"
        message["X-Priority"] = "1"
    message.set_content(_text(notice))
    message.add_alternative(_html(notice), subtype="html")
    return message


def _text(notice: Notice) -> str:
    found = [notice.title, ""]
    for part in notice.body:
        if isinstance(part, Quote):
            found += ["", f"{part.label}:", *(f"  | {line}" for line in part.text.split("\n")), ""]
        else:
            found.append(part.text)
    found += ["", f"{'Approve or deny' if notice.asks else 'Show'}: {notice.link or notice.command}"]
    return "\n".join([*found, f"approval {notice.approval.id}", ""])


def _html(notice: Notice) -> str:
    color = ' style="color:#b00020"' if notice.alarm else ""
    found = [f"<h3{color}>{escape(notice.title)}</h3>"]
    for part in notice.body:
        if isinstance(part, Quote):
            found.append(f"<p><b>{escape(part.label)}</b></p><pre>{escape(part.text)}</pre>")
        else:
            found.append(f"<p>{escape(part.text)}</p>")
    if notice.link:
        what = "Approve or deny" if notice.asks else "Show"
        found.append(f'<p><a href="{escape(notice.link)}">{what}</a></p>')
    else:
        found.append(f"<pre>{escape(notice.command)}</pre>")
    found.append(f"<p><small>approval {escape(notice.approval.id)}</small></p>")
    return "<!DOCTYPE html>\n<html><body>\n" + "\n".join(found) + "\n</body></html>\n"
