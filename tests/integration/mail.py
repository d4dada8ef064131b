"""A real SMTP server, and the mails that it got, as a person's program shows them."""

import email
import email.policy
from dataclasses import dataclass, field
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

PASSWORD = "correct-horse-battery"


@dataclass
class Mailbox:
    """What was delivered."""

    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail."""
        assert session.authenticated
        mail = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 Message accepted"

    def subjects(self) -> list[str]:
        """The subjects, in the order in which they came."""
        return [str(mail["Subject"]) for mail in self.mails]


def part(mail: EmailMessage, kind: str) -> str:
    """The plain or the html part of a mail."""
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def _authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: object) -> AuthResult:
    assert isinstance(given, LoginPassword)
    return AuthResult(success=given.password == PASSWORD.encode())


def mail_server(mailbox: Mailbox, port: int) -> Controller:
    """Return a server on this machine that asks for a password; start and stop it."""
    return Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        authenticator=_authenticate,
        auth_required=True,
        auth_require_tls=False,
        auth_exclude_mechanism=["LOGIN"],
    )
