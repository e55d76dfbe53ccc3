"""Nearest centroid: tells which of three cultivars a wine is made of, in plain Python.

The four hooks of `modelcell:inference` are the methods of `Hooks`, the name that componentize-py
looks for. Nothing here needs a package: Python's standard library is inside the component.
"""

import json
import math
from pathlib import Path

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import hooks

READS = "text/csv and application/json"
WRITES = "application/json"

# What model_fn loaded. It cannot be an attribute of Hooks, of which every call gets a new one.
model = None


class Hooks(exports.Hooks):
    def model_fn(self, model_dir):
        global model
        try:
            model = NearestCentroid(json.loads((Path(model_dir) / "model.json").read_text()))
        except (OSError, ValueError, KeyError) as error:
            raise Err(hooks.Error_Failed(f"cannot load model.json: {error!r}")) from error

    def input_fn(self, request):
        # SageMaker's inference toolkit, too, takes a request without a type for JSON.
        content_type = media_type(request.content_type or "application/json")
        if content_type == "text/csv":
            rows = parse_csv(decode(request.body))
        elif content_type == "application/json":
            rows = parse_json(decode(request.body))
        else:
            raise Err(
                hooks.Error_UnsupportedContentType(f"cannot read {content_type}; send {READS}")
            )
        check(rows, model.features)
        return Input(rows)

    def predict_fn(self, input):
        return Prediction([model.distances(row) for row in input.rows])

    def output_fn(self, prediction, accept):
        if not accepts_json(accept):
            raise Err(hooks.Error_UnsupportedAccept(f"cannot write {accept}; accept {WRITES}"))
        predictions = [
            {
                "cultivar": min(distances, key=distances.get),
                "distances": {name: round(value, 6) for name, value in distances.items()},
            }
            for distances in prediction.distances
        ]
        body = json.dumps({"predictions": predictions}).encode()
        return hooks.Payload(body, "application/json", None)


class Input(hooks.Input):
    """Rows of numbers, each as long as the model has features."""

    def __init__(self, rows):
        self.rows = rows


class Prediction(hooks.Prediction):
    """For each row, its distance to every class."""

    def __init__(self, distances):
        self.distances = distances


class NearestCentroid:
    def __init__(self, document):
        self.features = document["features"]
        self.mean = document["mean"]
        self.scale = document["scale"]
        self.centroids = document["centroids"]

    def distances(self, row):
        scaled = [(x - mean) / scale for x, mean, scale in zip(row, self.mean, self.scale)]
        return {name: math.dist(scaled, centroid) for name, centroid in self.centroids.items()}


def media_type(header):
    """`text/csv; charset=utf-8` is `text/csv`."""
    return header.split(";")[0].strip().lower()


def accepts_json(accept):
    if accept is None or not accept.strip():
        return True
    types = {media_type(entry) for entry in accept.split(",")}
    return not types.isdisjoint({"*/*", "application/*", "application/json"})


def decode(body):
    try:
        # Spreadsheets write a byte order mark. The codec for it, utf-8-sig, is a module that Python
        # would import only now, when the standard library's files are out of reach.
        return body.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise invalid(f"the body is not UTF-8: {error}") from error


def parse_csv(text):
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append([float(field) for field in line.split(",")])
            except ValueError as error:
                raise invalid(f"line {number}: {error}") from error
    return rows


def parse_json(text):
    """`{"instances": [[...], ...]}`, as TensorFlow Serving has it, or the rows alone, or one row."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid(f"the body is not JSON: {error}") from error
    rows = document.get("instances") if isinstance(document, dict) else document
    if isinstance(rows, list) and rows and not isinstance(rows[0], list):
        rows = [rows]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise invalid('expected {"instances": [[...], ...]}, a list of rows, or one row')
    return [[json_number(value) for value in row] for row in rows]


def json_number(value):
    # In Python, true and false are numbers too.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise invalid(f"{json.dumps(value)[:40]} is not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise invalid("a number is too large") from error


def check(rows, features):
    """Every row must have a finite number for each feature."""
    if not rows:
        raise invalid("there are no rows")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(features):
            raise invalid(
                f"row {number} has {len(row)} values; expected {len(features)}: "
                + ", ".join(features)
            )
        if not all(map(math.isfinite, row)):
            raise invalid(f"row {number} has a value that is not a finite number")


def invalid(text):
    return Err(hooks.Error_InvalidInput(text))
