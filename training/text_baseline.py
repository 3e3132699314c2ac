"""The floor that a text model must beat: character n-grams and logistic regression."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from models.arrays import Vectors


def ngram_scores(train: Sequence[str], labels: NDArray[np.float32], test: Sequence[str]) -> Vectors:
    """Scores [N] of `test` by TF-IDF of character 1- to 3-grams and logistic regression."""
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True, max_features=300_000
    )
    features = vectorizer.fit_transform(train)
    model = LogisticRegression(C=4.0, solver="liblinear", max_iter=200)
    model.fit(features, labels)
    scores: Vectors = model.predict_proba(vectorizer.transform(test))[:, 1].astype(np.float32)
    return scores
