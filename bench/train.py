"""Trains the models of the benchmark of many models.

    python train.py DIRECTORY

Writes MODELS distinct XGBoost models of 100 trees over 10 features, each with a request and XGBoost's
own answer to it, so that the benchmark knows a right answer from a wrong one:

NNNN.json.gz   the file that XGBoost's save_model writes, compressed
cases.json     for each model the row to send and the probability that XGBoost predicts
shape.json     how large the models are
"""

import gzip
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import xgboost

MODELS = 1000
ROWS = 4000
FEATURES = 10
PARAMETERS = {
    "objective": "binary:logistic",
    "max_depth": 6,
    "learning_rate": 0.05,
    "tree_method": "hist",
    "nthread": 1,
}


def data(seed):
    """Rows of one tenant: a score of its own with an interaction, and noise that keeps trees deep."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    score = rows @ rng.normal(size=FEATURES) + rows[:, 0] * rows[:, 1] + rng.normal(size=ROWS)
    return rows, score > 0


def depth(tree):
    """The number of splits on the longest way from the root to a leaf."""
    deepest, level = -1, [0]
    while level:
        deepest += 1
        children = ((tree["left_children"][node], tree["right_children"][node]) for node in level)
        level = [child for pair in children for child in pair if child != -1]
    return deepest


def train(seed, directory):
    """Trains one model; returns its case and its shape."""
    rows, labels = data(seed)
    booster = xgboost.train(
        PARAMETERS | {"seed": seed}, xgboost.DMatrix(rows, labels, nthread=1), num_boost_round=100
    )
    # What the request says in decimals is what XGBoost is asked.
    row = [round(float(value), 4) for value in rows[0]]
    asked = xgboost.DMatrix(np.array([row], dtype=np.float32), nthread=1)
    saved = bytes(booster.save_raw(raw_format="json"))
    (directory / f"{seed:04}.json.gz").write_bytes(gzip.compress(saved, 6))
    trees = json.loads(saved)["learner"]["gradient_booster"]["model"]["trees"]
    shape = {
        "bytes": len(saved),
        "trees": len(trees),
        "nodes": sum(len(tree["left_children"]) for tree in trees),
        "deep": sum(depth(tree) == PARAMETERS["max_depth"] for tree in trees),
    }
    return {"row": row, "probability": float(booster.predict(asked)[0])}, shape


def main(directory):
    directory.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(max_workers=2) as processes:
        seeds = range(MODELS)
        trained = list(processes.map(train, seeds, [directory] * MODELS, chunksize=10))
    cases, shapes = zip(*trained)
    (directory / "cases.json").write_text(json.dumps(cases))
    mean = {key: sum(shape[key] for shape in shapes) / MODELS for key in shapes[0]}
    (directory / "shape.json").write_text(json.dumps(mean))
    print(
        f"{MODELS} models of {mean['trees']:.0f} trees, {mean['deep']:.0f} of them of depth 6; "
        f"{mean['nodes']:.0f} nodes and {mean['bytes'] / 1e3:.0f} kB of JSON each",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
