"""Trains the sentiment classifier and writes what this example needs beside it.

    pip install -r ../requirements.txt
    python train.py

model/model.json   the artifact's data: the terms it knows, with two numbers for each
expected.json      the texts of texts.txt and some awkward ones, and scikit-learn's probabilities

The texts are the 4,200 tweet-like ones that C.J. Hutto and Eric Gilbert wrote and had rated by at
least 20 people each, from -4 (extremely negative) to 4 (extremely positive), for "VADER: A
Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text" (ICWSM-14). They come with
the source distribution of vaderSentiment 0.5 on PyPI, under the MIT licence. pip downloads it;
nothing of it is installed.
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent
ARCHIVE = "vaderSentiment-0.5.zip"
ARCHIVE_SHA256 = "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a"
INNER = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
RATED = "hutto_ICWSM_2014/tweets_GroundTruth.txt"

# Where tokenisers tend to part ways: letters outside ASCII, case rules, digits, underscores, single
# letters, punctuation inside words, marks and symbols beside words, nothing at all.
AWKWARD = [
    "",
    "a I ? !",
    "Café Zürich was great, the crème brûlée even better :-)",
    "cafe\u0301 terrible\u0301 great\u0301",
    "ISTANBUL \u0130STANBUL HAPPY\u0130 happy",
    "ΣΊΣΥΦΟΣ great ΟΔΟΣ",
    "great_day great-day great'day great.day GREAT2 2great",
    "awful\u00a0service\u2003but\u3000good\u200bfood",
    "\u201cwonderful\u201d \u2014 \u2018sad\u2019 \u2026 love\u2019s",
    "良い good 悪い bad とても良いgood",
    "happy\U0001f600happy \U0001f170love\U0001f171 hate\u24d2 gr\u0363eat sad\u0345",
    "love\u00b2 \u00bdgood \u2160bad \u0967love",
    "naïve STRASSE straße \ufb01ne fine",
    "not a good idea, not x good",
    "good " * 50 + "bad",
    "tabs\tand\nlines\r\nare spaces: thanks",
]


def rated_texts():
    """Texts and their mean ratings."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
             "--no-binary", "vaderSentiment", "--dest", folder, "vaderSentiment==0.5"],
            check=True,
        )
        archive = (Path(folder) / ARCHIVE).read_bytes()
    if hashlib.sha256(archive).hexdigest() != ARCHIVE_SHA256:
        sys.exit(f"{ARCHIVE} is not the file that this example was made with")
    inner = zipfile.ZipFile(io.BytesIO(archive)).read(INNER)
    table = tarfile.open(fileobj=io.BytesIO(inner)).extractfile(RATED).read().decode()
    rows = [line.split("\t", 2) for line in table.splitlines()]
    return [text for _, _, text in rows], np.array([float(rating) for _, rating, _ in rows])


# Texts that people found neither positive nor negative teach neither.
texts, ratings = rated_texts()
clear = np.abs(ratings) > 0.5
texts = [text for text, is_clear in zip(texts, clear) if is_clear]
positive = (ratings[clear] > 0).astype(int)
train_x, test_x, train_y, test_y = train_test_split(
    texts, positive, test_size=600, random_state=0, stratify=positive
)

# A term is a word or a pair of neighbours ("not good"), and counts once it is in three texts. Two
# thirds of the texts are positive: "balanced" weighs both sides alike.
vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=3)
classifier = LogisticRegression(C=2.0, class_weight="balanced", max_iter=1000)
classifier.fit(vectorizer.fit_transform(train_x), train_y)
predicted = classifier.predict(vectorizer.transform(test_x))
print(f"{len(train_x)} texts, {len(vectorizer.vocabulary_)} terms")
print(f"accuracy on {len(test_y)} held-out texts: {np.mean(predicted == test_y):.3f}, "
      f"balanced: {balanced_accuracy_score(test_y, predicted):.3f}")

# A term's two numbers: its inverse document frequency and its weight. Nine decimals are more than
# the score's float32 can show.
(HERE / "model").mkdir(exist_ok=True)
(HERE / "model/model.json").write_text(
    f'{{"intercept": {float(classifier.intercept_[0])},\n"terms": {{\n'
    + ",\n".join(
        f"{json.dumps(term)}: [{vectorizer.idf_[i]:.9f}, {classifier.coef_[0, i]:.9f}]"
        for term, i in sorted(vectorizer.vocabulary_.items())
    )
    + "\n}}\n"
)

inputs = (HERE / "texts.txt").read_text().splitlines() + AWKWARD
scores = classifier.predict_proba(vectorizer.transform(inputs))[:, 1]
(HERE / "expected.json").write_text(
    f'{{"library": "scikit-learn {sklearn.__version__}",\n"cases": [\n'
    + ",\n".join(
        json.dumps({"text": text, "positive": score}) for text, score in zip(inputs, scores.tolist())
    )
    + "\n]}\n"
)
