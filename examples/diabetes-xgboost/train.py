"""Trains a regression with XGBoost and writes what this example needs beside it.

    pip install -r ../requirements.txt
    python train.py

model/xgboost-model.json   what XGBoost saves: the whole artifact
expected.json              held-out patients and XGBoost's predictions for them
request.csv                a request body to try
"""

import json
from pathlib import Path

import numpy as np
import xgboost
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def lines(table):
    """A JSON array with one row a line. Numbers as the shortest text that names the same float32."""
    shortest = lambda row: [float(str(value)) for value in np.asarray(row, dtype=np.float32)]
    return "[\n" + ",\n".join(json.dumps(shortest(row)) for row in table) + "\n]"


features, progression = load_diabetes(return_X_y=True, scaled=False)
train_x, test_x, train_y, test_y = train_test_split(
    features.astype(np.float32), progression, test_size=100, random_state=0
)

model = xgboost.XGBRegressor(n_estimators=100, max_depth=3, learning_rate=0.05, random_state=0)
model.fit(train_x, train_y)
print(f"R2 on {len(test_y)} held-out patients: {model.score(test_x, test_y):.3f}")

(HERE / "model").mkdir(exist_ok=True)
model.save_model(HERE / "model/xgboost-model.json")

(HERE / "expected.json").write_text(
    f'{{"library": "xgboost {xgboost.__version__}",\n'
    f'"inputs": {lines(test_x)},\n'
    f'"predictions": {lines(model.predict(test_x)[:, None])}}}\n'
)
np.savetxt(HERE / "request.csv", test_x[:2], fmt="%.6g", delimiter=",")
