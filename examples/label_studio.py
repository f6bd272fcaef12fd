"""A machine-learning backend for Label Studio: a tagger suggests entities while people annotate.

    python examples/label_studio.py my-tagger --port 9090

In Label Studio: Settings, Model, Connect Model, http://localhost:9090. Any labelling interface with `Labels`
over a `Text` will do; types that it lacks are not suggested, but named here. The server is Python's own, and
listens to this machine alone.
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from xml.etree import ElementTree

from pybert_crf import Tagger


def predict(tagger: Tagger, tasks: list[dict[str, Any]], interface: str) -> list[dict[str, Any]]:
    """A prediction for each task; its score is that of the least certain entity, to sort the tasks by."""
    config = ElementTree.fromstring(interface)
    labels = config.find(".//Labels")
    text = None if labels is None else config.find(f".//Text[@name='{labels.get('toName')}']")
    if labels is None or text is None:
        raise ValueError("the labelling interface has no Labels over a Text")
    key = (text.get("value") or "$text").removeprefix("$")
    known = {label.get("value") for label in labels.iter("Label")}
    tie = {"from_name": labels.get("name"), "to_name": labels.get("toName"), "type": "labels"}
    predictions = []
    for entities in tagger.tag([task["data"][key] for task in tasks]):
        if missing := {entity.label for entity in entities} - known:
            print(f"not in the labelling interface, so not suggested: {', '.join(sorted(missing))}")
        shown = [entity for entity in entities if entity.label in known]
        values = [{"start": e.start, "end": e.end, "text": e.text, "labels": [e.label]} for e in shown]
        result = [{**tie, "value": v, "score": e.score} for v, e in zip(values, shown, strict=True)]
        predictions.append({"result": result, "score": min((e.score for e in shown), default=1.0)})
    return predictions


class Handler(BaseHTTPRequestHandler):
    """Answers GET /health and POST /setup, /predict and /webhook, one at a time."""

    tagger: Tagger
    version: str

    def do_GET(self) -> None:
        self.reply(200, {"status": "UP", "model_class": "pybert-crf"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        try:
            if self.path == "/predict":
                found = predict(self.tagger, body["tasks"], body["label_config"])
                self.reply(200, {"results": [{"model_version": self.version, **each} for each in found]})
            else:  # /setup; /webhook tells of new annotations, from which nothing is learnt here
                self.reply(200, {"model_version": self.version})
        except Exception as error:
            self.reply(400, {"error": f"{type(error).__name__}: {error}"})

    def reply(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def server(tagger: Tagger, version: str, port: int) -> HTTPServer:
    return HTTPServer(("127.0.0.1", port), type("Own", (Handler,), {"tagger": tagger, "version": version}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A tagger as a backend of Label Studio.")
    parser.add_argument("model", help="a saved tagger")
    parser.add_argument("--port", type=int, default=9090)
    options = parser.parse_args()
    server(Tagger.from_pretrained(options.model), options.model, options.port).serve_forever()
