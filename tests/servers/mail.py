"""A mail server that delivers nothing and keeps everything, over real SMTP."""

import email
import email.policy
import threading
from email.message import EmailMessage

from aiosmtpd.controller import Controller

from .loopback import free_port


class Mailbox:
    def __enter__(self):
        self._arrived = threading.Condition()
        self._messages: list[EmailMessage] = []
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        return self

    def __exit__(self, *_):
        self._controller.stop()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_DATA(self, _server, _session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        with self._arrived:
            for recipient in envelope.rcpt_tos:
                message["X-Envelope-To"] = recipient
            self._messages.append(message)
            self._arrived.notify_all()
        return "250 kept"

    def to(self, address: str) -> list[EmailMessage]:
        with self._arrived:
            return [m for m in self._messages if address in m.get_all("X-Envelope-To", [])]

    def wait_for(self, address: str, text: str, seconds: float = 30) -> EmailMessage:
        """The first message to `address` that contains `text`, waiting for it to arrive."""

        def found():
            return next((m for m in self._messages if address in m.get_all("X-Envelope-To", []) and text in words(m)), None)

        with self._arrived:
            if message := self._arrived.wait_for(found, timeout=seconds):
                return message
            seen = "\n---\n".join(f"to {m.get_all('X-Envelope-To')}: {m['Subject']}\n{words(m)}" for m in self._messages)
        raise AssertionError(f"no mail to {address} with {text!r} came within {seconds} s; what came:\n{seen or 'nothing'}")


def words(message: EmailMessage) -> str:
    """Subject and plain text of a message."""
    body = message.get_body(preferencelist=("plain", "html"))
    return f"{message['Subject']}\n{body.get_content() if body else ''}"
