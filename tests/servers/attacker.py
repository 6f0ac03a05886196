"""The thief's host. It answers everything and writes down everybody who came: nobody ever may.

It is also the outgoing proxy that the programs under test are told to use for hosts that are not loopback, so
that a request to a name that only a workflow, an upload or a report mentions ends here, seen.
"""

from .loopback import Handler, Loopback


class Attacker(Loopback):
    def __enter__(self):
        self.visits: list[str] = []
        return super().__enter__()

    class handler(Handler):
        def visited(self):
            self.owner.visits.append(f"{self.command} {self.path} {self.headers.get('User-Agent', '')}")
            self.close_connection = True
            self.answer(b"thank you", "text/plain")

        do_GET = do_POST = do_PUT = do_HEAD = do_CONNECT = visited
