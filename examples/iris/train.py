"""Trains the iris classifier and writes what this example needs beside it.

    pip install -r ../requirements.txt
    python train.py

model/coef.npy, model/intercept.npy   the artifact's data
expected.json                         held-out flowers and scikit-learn's probabilities for them
request.csv                           a request body to try
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def lines(table):
    """A JSON array with one row a line. Numbers as the shortest text that names the same float32."""
    shortest = lambda row: [float(str(value)) for value in np.asarray(row, dtype=np.float32)]
    return "[\n" + ",\n".join(json.dumps(shortest(row)) for row in table) + "\n]"


features, species = load_iris(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(
    features, species, test_size=50, random_state=0, stratify=species
)

classifier = LogisticRegression(max_iter=1000).fit(train_x, train_y)
print(f"accuracy on {len(test_y)} held-out flowers: {classifier.score(test_x, test_y):.3f}")

# One row per feature and one column per class, so that the guest computes `rows · coef + intercept`.
(HERE / "model").mkdir(exist_ok=True)
np.save(HERE / "model/coef.npy", np.ascontiguousarray(classifier.coef_.T))
np.save(HERE / "model/intercept.npy", classifier.intercept_)

(HERE / "expected.json").write_text(
    f'{{"library": "scikit-learn {sklearn.__version__}",\n'
    f'"inputs": {lines(test_x)},\n'
    f'"predictions": {lines(classifier.predict_proba(test_x))}}}\n'
)
np.savetxt(HERE / "request.csv", test_x[:2], fmt="%.1f", delimiter=",")
