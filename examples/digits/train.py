"""Trains the digit reader and writes what this example needs beside it.

    pip install -r ../requirements.txt
    python train.py

model/*.npy     the artifact's data: weights and biases of the network's layers
expected.json   held-out images and scikit-learn's probabilities for them
request.png     a request body to try: a picture of a seven
"""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).parent


def lines(table):
    """A JSON array with one row a line. Numbers as the shortest text that names the same float32."""
    shortest = lambda row: [float(str(value)) for value in np.asarray(row, dtype=np.float32)]
    return "[\n" + ",\n".join(json.dumps(shortest(row)) for row in table) + "\n]"


def write_png(path, pixels):
    """An 8-bit grayscale PNG, with nothing but the standard library."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    scan_lines = b"".join(b"\0" + row.tobytes() for row in pixels.astype(np.uint8))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(scan_lines, 9))
        + chunk(b"IEND", b"")
    )


# A pixel of the data set is 0 (black) to 16 (white). The network gets it as 0 to 1, in float32, and
# scikit-learn then trains and predicts in float32 too.
pixels, digit = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    (pixels / 16).astype(np.float32), digit, test_size=300, random_state=0, stratify=digit
)

classifier = MLPClassifier(hidden_layer_sizes=(64,), max_iter=1000, random_state=0)
classifier.fit(train_x, train_y)
print(f"accuracy on {len(test_y)} held-out images: {classifier.score(test_x, test_y):.3f}")

(HERE / "model").mkdir(exist_ok=True)
for name, values in [
    ("hidden_weights", classifier.coefs_[0]),
    ("hidden_bias", classifier.intercepts_[0]),
    ("output_weights", classifier.coefs_[1]),
    ("output_bias", classifier.intercepts_[1]),
]:
    assert values.dtype == np.float32
    np.save(HERE / f"model/{name}.npy", np.ascontiguousarray(values))

# request.png has 256 levels where the data set has 17, so it gets a prediction of its own.
seven = np.flatnonzero(test_y == 7)[0]
levels = np.round(test_x[seven] * 255)
write_png(HERE / "request.png", levels.reshape(8, 8))
request_prediction = classifier.predict_proba((levels / 255).astype(np.float32).reshape(1, 64))

inputs = test_x[:100]
(HERE / "expected.json").write_text(
    f'{{"library": "scikit-learn {sklearn.__version__}",\n'
    f'"inputs": {lines(inputs * 16)},\n'
    f'"predictions": {lines(classifier.predict_proba(inputs))},\n'
    f'"request_png": {lines(request_prediction)}}}\n'
)
