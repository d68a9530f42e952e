"""Answers of the page: rendered with every value escaped."""

from __future__ import annotations

from functools import cache

import jinja2
from starlette.responses import HTMLResponse

from countersign.approver.page.cookies import Session
from countersign.model.visible import visible

HINT = (
    "There is no page of approvals here: gateway.yaml has no approvals.sign_in. "
    "Decide by the command: countersign approvals\n"
)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("countersign.approver.page"), autoescape=True, undefined=jinja2.StrictUndefined
    )


class Rendering:
    """The templates, each compiled at its first use in a process."""

    def page(
        self, name: str, status: int = 200, *, session: Session | None = None, refresh_s: int = 0, **values: object
    ) -> HTMLResponse:
        """Render the template ``name``.html for whoever is signed in."""
        who = visible(session.principal.subject) if session else ""
        text = _templates().get_template(f"{name}.html").render(session=session, who=who, refresh_s=refresh_s, **values)
        return HTMLResponse(text, status)

    def message(
        self, title: str, text: str, status: int, *, session: Session | None = None, approval_id: str = ""
    ) -> HTMLResponse:
        """Say one thing, and where to go on."""
        return self.page("message", status, session=session, title=title, text=text, approval_id=approval_id)
