"""Writes model/model.json: the mean of each class of scikit-learn's wine data (nearest centroid).

Runs on the author's machine, where scikit-learn is at hand; the model itself needs none of it.
"""

import json
from pathlib import Path

from sklearn.datasets import load_wine
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MODEL = Path(__file__).parent / "model" / "model.json"


def rounded(numbers):
    return [round(float(number), 6) for number in numbers]


def main():
    wine = load_wine()
    train_x, test_x, train_y, test_y = train_test_split(
        wine.data, wine.target, test_size=0.25, random_state=0, stratify=wine.target
    )
    # Without scaling, proline (hundreds) would drown hue (about one).
    pipeline = make_pipeline(StandardScaler(), NearestCentroid()).fit(train_x, train_y)
    scaler, centroids = pipeline[0], pipeline[1]

    MODEL.parent.mkdir(exist_ok=True)
    model = {
        "features": wine.feature_names,
        "mean": rounded(scaler.mean_),
        "scale": rounded(scaler.scale_),
        "centroids": {
            str(wine.target_names[label]): rounded(centroid)
            for label, centroid in zip(centroids.classes_, centroids.centroids_)
        },
    }
    MODEL.write_text(json.dumps(model, indent=1) + "\n")

    accuracy = accuracy_score(test_y, pipeline.predict(test_x))
    print(f"{MODEL}: accuracy {accuracy:.3f} on {len(test_y)} wines not trained on")


if __name__ == "__main__":
    main()
