"""Writes small samples and what established packages make of them."""

import json
import sys
from types import SimpleNamespace

import numpy
import scipy
import sklearn
import statsmodels
from scipy import stats
from scipy.spatial.distance import squareform
from sklearn import metrics
from sklearn.manifold import _t_sne
from statsmodels.stats.multitest import multipletests

random = numpy.random.default_rng(7)


def summary_case(values):
    return {
        "values": values,
        "mean": numpy.mean(values),
        "std": numpy.std(values, ddof=1),
        "median": numpy.median(values),
        "range": numpy.ptp(values),
        "quantiles": [[q, numpy.quantile(values, q)] for q in (0, 0.025, 0.31, 0.5, 0.9, 1)],
        "populationStd": numpy.std(values),
        "skewness": stats.skew(values),
        "excessKurtosis": stats.kurtosis(values),
    }


def bca_case(values, level):
    """The interval of a given distribution, so that no generator has to be shared, and one of many samples."""
    data = numpy.array(values)
    means = random.choice(data, (400, len(data))).mean(axis=1)
    given = SimpleNamespace(bootstrap_distribution=means)
    options = {"confidence_level": level, "method": "BCa"}
    exact = stats.bootstrap((data,), numpy.mean, n_resamples=0, bootstrap_result=given, **options)
    many = stats.bootstrap((data,), numpy.mean, n_resamples=200_000, batch=10_000, random_state=1, **options)
    return {
        "values": values,
        "level": level,
        "distribution": means.tolist(),
        "ofDistribution": list(exact.confidence_interval),
        "ofMany": list(many.confidence_interval),
    }


def sign_flip_case(values):
    exact = len(values) <= 16
    resamples = numpy.inf if exact else 400_000
    test = stats.permutation_test(
        (numpy.array(values),), numpy.mean, permutation_type="samples", n_resamples=resamples, batch=20_000, random_state=1
    )
    return {"values": values, "exact": exact, "p": test.pvalue}


def ece(probabilities, labels, bins):
    """Guo et al. 2017: bins open below and closed above."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = numpy.linspace(0, 1, bins + 1)
    total, largest = 0.0, 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            total += inside.mean() * gap
            largest = max(largest, gap)
    return total, largest


def classification_case(images, classes, unseen):
    logits = random.normal(0, 2, (images, classes)).astype(numpy.float32)
    labels = random.integers(0, classes - unseen, images)
    logits[numpy.arange(images), labels] += 1.5
    logits[:, classes - 1] -= 20  # never answered
    probabilities = scipy.special.softmax(logits.astype(numpy.float64), axis=1)
    answers = logits.argmax(axis=1)
    every = list(range(classes))
    scores = metrics.precision_recall_fscore_support(labels, answers, labels=every, zero_division=numpy.nan)
    seen = sorted(set(labels.tolist()) | set(answers.tolist()))
    expected, largest = ece(probabilities, labels, 15)
    return {
        "classes": classes,
        "logits": logits.flatten().tolist(),
        "labels": labels.tolist(),
        "confusion": metrics.confusion_matrix(labels, answers, labels=every).tolist(),
        "precision": [None if numpy.isnan(x) else x for x in scores[0]],
        "recall": [None if numpy.isnan(x) else x for x in scores[1]],
        "f1": [None if numpy.isnan(x) else x for x in scores[2]],
        "balanced": metrics.balanced_accuracy_score(labels, answers),
        "macroF1": metrics.f1_score(labels, answers, labels=seen, average="macro"),
        "top5": metrics.top_k_accuracy_score(labels, logits, k=5, labels=every),
        "ece": expected,
        "mce": largest,
        "brier": numpy.mean(((probabilities - numpy.eye(classes)[labels]) ** 2).sum(axis=1)),
        "negativeLogLikelihood": metrics.log_loss(labels, probabilities, labels=every),
    }


def tsne_case(points, perplexity):
    """What scikit-learn's exact t-SNE works with: P, and the divergence and gradient of a map."""
    data = random.normal(0, 1, (points, 5)).round(3)
    places = random.normal(0, 1, (points, 2)).round(3)
    distances = metrics.pairwise.euclidean_distances(data, squared=True)
    condensed = _t_sne._joint_probabilities(distances, perplexity, 0)
    divergence, gradient = _t_sne._kl_divergence(places.ravel().copy(), condensed, 1, points, 2)
    return {
        "points": data.tolist(),
        "places": places.flatten().tolist(),
        "perplexity": perplexity,
        "affinities": squareform(condensed).flatten().tolist(),
        "divergence": divergence,
        "gradient": gradient.tolist(),
    }


def rounded(n, centre, spread):
    return [round(x, 4) for x in random.normal(centre, spread, n).tolist()]


samples = [rounded(n, 0.7, 0.2) for n in (2, 5, 12, 60)]
differences = [rounded(5, 0.02, 0.01), rounded(9, 0.01, 0.02), [round(x, 4) for x in random.exponential(1, 15).tolist()]]
zs = [-37.5, -12.0, -5.5, -3.0, -2.9, -1.0, -1e-9, 0.0, 0.3, 2.5, 3.1, 7.0]
ps = [1e-300, 1e-12, 0.001, 0.025, 0.4, 0.5, 0.77, 0.975, 1 - 1e-9]
several = [[0.01, 0.04, 0.03, 0.005], [0.5, 0.9, 0.04], [0.2], [0.05, 0.05, 0.05]]
result = {
    "made": {
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "statsmodels": statsmodels.__version__,
    },
    "summary": [summary_case(values) for values in samples],
    "normal": {"cdf": [[z, stats.norm.cdf(z)] for z in zs], "quantile": [[p, stats.norm.ppf(p)] for p in ps]},
    "bca": [bca_case(values, level) for values, level in zip(differences, (0.95, 0.9, 0.95))],
    "signFlip": [sign_flip_case(values) for values in [*differences, [0.1, -0.1, 0.2, 0.2], rounded(24, 0.4, 1.0)]],
    "holm": [{"ps": ps, "adjusted": multipletests(ps, method="holm")[1].tolist()} for ps in several],
    "tsne": tsne_case(20, 5),
    "classification": [classification_case(200, 7, 0), classification_case(90, 12, 2)],
}
with open(sys.argv[1], "w") as file:
    json.dump(result, file, indent=None, separators=(",", ":"), allow_nan=False)
    file.write("\n")
