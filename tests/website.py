"""The server's pages without a browser: links are followed and forms filled in as they stand in the HTML."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self, html: str):
        super().__init__()
        self.forms: list[Form] = []
        self._select = None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        if tag == "form":
            self.forms.append(Form(of.get("action") or "", (of.get("method") or "get").lower()))
        elif self.forms and tag in ("input", "button", "textarea") and of.get("name"):
            if of.get("type") in ("checkbox", "radio") and "checked" not in of:
                self.forms[-1].fields.setdefault(of["name"], "")
            else:
                self.forms[-1].fields[of["name"]] = of.get("value") or ""
        elif self.forms and tag == "select":
            self._select = of.get("name")
        elif self.forms and tag == "option" and self._select:
            if "selected" in of or self._select not in self.forms[-1].fields:
                self.forms[-1].fields[self._select] = of.get("value") or ""

    def handle_endtag(self, tag):
        if tag == "select":
            self._select = None


class Website:
    """One visitor with cookies."""

    def __init__(self, server):
        self.url = server.url
        self.session = server.session()

    def get(self, path: str) -> requests.Response:
        page = self.session.get(urljoin(self.url, path), timeout=30)
        assert page.status_code == 200, f"GET {path}: {page.status_code}\n{page.text}"
        return page

    def form(self, page: requests.Response, having: str) -> Form:
        forms = [form for form in _Forms(page.text).forms if having in form.fields]
        assert forms, f"no form with a field {having!r} on {page.url}:\n{page.text}"
        return forms[0]

    def send(self, page: requests.Response, *, having: str, **values: str) -> requests.Response:
        """Fills in the form that has the field `having` and sends it with what it already holds; whatever the answer."""
        form = self.form(page, having)
        unknown = values.keys() - form.fields.keys()
        assert not unknown, f"the form on {page.url} has no field {sorted(unknown)}; it has {sorted(form.fields)}"
        data = {**form.fields, **values}
        return self.session.request(form.method, urljoin(page.url, form.action), timeout=30,
                                    headers={"Origin": self.url, "Referer": page.url},
                                    **({"data": data} if form.method == "post" else {"params": data}))

    def submit(self, page: requests.Response, *, having: str, **values: str) -> requests.Response:
        answer = self.send(page, having=having, **values)
        assert answer.status_code == 200, f"{answer.request.method} {answer.url}: {answer.status_code}\n{answer.text}"
        return answer

    def sign_in(self, name: str, password: str) -> requests.Response:
        return self.submit(self.get("/sign-in"), having="password", username=name, password=password)
