"""Trains the breast cancer classifier and writes what this example needs beside it.

    pip install -r ../requirements.txt
    python train.py

model/model.json   the artifact's data: the file that XGBoost's own save_model writes
expected.json      held-out rows and XGBoost's probabilities for them; null is a missing value
request.csv        a request body to try: one row
"""

import json
from pathlib import Path

import numpy as np
import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent


def shortest(value):
    """The shortest number that names the same float32; None for a missing value."""
    return None if np.isnan(value) else float(str(np.float32(value)))


def lines(table):
    """A JSON array with one row a line."""
    return "[\n" + ",\n".join(json.dumps([shortest(v) for v in row]) for row in table) + "\n]"


def rows_on_thresholds(trees, typical, count, rng):
    """Rows made only of values at which some tree splits: there `<` and `<=` part ways."""
    thresholds = [[] for _ in typical]
    for tree in trees:
        for left, feature, threshold in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"]
        ):
            if left != -1:
                thresholds[feature].append(threshold)
    columns = [
        rng.choice(known, size=count) if known else np.full(count, usual)
        for known, usual in zip(thresholds, typical)
    ]
    return np.stack(columns, axis=1).astype(np.float32)


# The data set has no missing values. Five in a hundred are taken out before training, so that the
# trees learn a side for them.
rng = np.random.default_rng(0)
features, benign = load_breast_cancer(return_X_y=True)
features = features.astype(np.float32)
complete_row = features[19].copy()
features[rng.random(features.shape) < 0.05] = np.nan
train_x, test_x, train_y, test_y = train_test_split(
    features, benign, test_size=150, random_state=0, stratify=benign
)

classifier = xgboost.XGBClassifier(
    n_estimators=100,
    max_depth=6,
    learning_rate=0.05,
    min_child_weight=0.05,
    tree_method="hist",
    random_state=0,
    n_jobs=1,
).fit(train_x, train_y)
print(f"accuracy on {len(test_y)} held-out rows: {classifier.score(test_x, test_y):.3f}")

(HERE / "model").mkdir(exist_ok=True)
classifier.save_model(HERE / "model/model.json")
learner = json.loads((HERE / "model/model.json").read_text())["learner"]
trees = learner["gradient_booster"]["model"]["trees"]
print(f"{len(trees)} trees, {sum(len(tree['left_children']) for tree in trees)} nodes")

everything_missing = np.full((1, features.shape[1]), np.nan, dtype=np.float32)
inputs = np.concatenate([
    test_x,
    rows_on_thresholds(trees, np.nanmean(features, axis=0), 50, rng),
    everything_missing,
])
benign_probability = classifier.predict_proba(inputs)[:, 1:]

(HERE / "expected.json").write_text(
    f'{{"library": "xgboost {xgboost.__version__}",\n'
    f'"inputs": {lines(inputs)},\n'
    f'"predictions": {lines(benign_probability)}}}\n'
)
(HERE / "request.csv").write_text(",".join(str(value) for value in complete_row) + "\n")
