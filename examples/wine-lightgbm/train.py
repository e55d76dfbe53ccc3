"""Trains a classifier with LightGBM and writes what this example needs beside it.

    pip install -r ../requirements.txt
    python train.py

model/model.txt   what LightGBM saves: the whole artifact
expected.json     held-out wines and LightGBM's probabilities for them
request.csv       a request body to try
"""

import json
from pathlib import Path

import lightgbm
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def lines(table):
    """A JSON array with one row a line. Numbers as the shortest text that names the same float32."""
    shortest = lambda row: [float(str(value)) for value in np.asarray(row, dtype=np.float32)]
    return "[\n" + ",\n".join(json.dumps(shortest(row)) for row in table) + "\n]"


features, cultivar = load_wine(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    features, cultivar, test_size=60, random_state=0, stratify=cultivar
)

model = lightgbm.LGBMClassifier(n_estimators=50, num_leaves=7, random_state=0, verbose=-1)
model.fit(train_x, train_y)
print(f"accuracy on {len(test_y)} held-out wines: {model.score(test_x, test_y):.3f}")

(HERE / "model").mkdir(exist_ok=True)
model.booster_.save_model(HERE / "model/model.txt")

# The text of the values is that of float64, as the model takes them.
inputs = ",\n".join(json.dumps(row) for row in test_x.tolist())
(HERE / "expected.json").write_text(
    f'{{"library": "lightgbm {lightgbm.__version__}",\n'
    f'"inputs": [\n{inputs}\n],\n'
    f'"predictions": {lines(model.predict_proba(test_x))}}}\n'
)
np.savetxt(HERE / "request.csv", test_x[:2], fmt="%.6g", delimiter=",")
