"""Trains a pipeline with scikit-learn, converts it to ONNX, and writes what this example needs.

    pip install -r ../requirements.txt
    python train.py

model/model.onnx   what skl2onnx makes of the pipeline: the whole artifact
expected.json      held-out wines and scikit-learn's probabilities for them
request.csv        a request body to try
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent


def lines(table):
    """A JSON array with one row a line. Numbers as the shortest text that names the same float32."""
    shortest = lambda row: [float(str(value)) for value in np.asarray(row, dtype=np.float32)]
    return "[\n" + ",\n".join(json.dumps(shortest(row)) for row in table) + "\n]"


features, cultivar = load_wine(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    features.astype(np.float32), cultivar, test_size=60, random_state=0, stratify=cultivar
)

model = make_pipeline(
    StandardScaler(), RandomForestClassifier(n_estimators=20, max_depth=4, random_state=0)
)
model.fit(train_x, train_y)
print(f"accuracy on {len(test_y)} held-out wines: {model.score(test_x, test_y):.3f}")

# Without zipmap the probabilities are an array, and not a dictionary for each row.
onnx = to_onnx(model, train_x[:1], options={"zipmap": False}, target_opset=17)
(HERE / "model").mkdir(exist_ok=True)
(HERE / "model/model.onnx").write_bytes(onnx.SerializeToString())

(HERE / "expected.json").write_text(
    f'{{"library": "scikit-learn {sklearn.__version__}",\n'
    f'"inputs": {lines(test_x)},\n'
    f'"predictions": {lines(model.predict_proba(test_x))}}}\n'
)
np.savetxt(HERE / "request.csv", test_x[:2], fmt="%.6g", delimiter=",")
