"""The graph behind LitServe: `litserve_server.py FOLDER PORT WORKERS`."""

from __future__ import annotations

import sys
from typing import Any

import litserve
from openvino_pictures import Classifier


class Pictures(litserve.LitAPI):
    """Batches as LitServe joins them."""

    def setup(self, device: str) -> None:
        self.classifier = Classifier(sys.argv[1])

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # which it would read
        return self.classifier.decode(request["image"])

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, inputs: list[Any]) -> list[dict[str, Any]]:
        return self.classifier.answers(inputs)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Pictures(max_batch_size=32, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(sys.argv[3]))
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
