"""Holds exported models against ONNX's own checker and Python's onnxruntime.

python check.py FOLDER (of make.mjs). Exit code 1 where the checker complains or logits of float32 lie further apart than 1e-4.
python check.py --docs FOLDER runs the Python of docs/deploy.md in a folder with model/ and photo.png.
"""

import json
import os
import re
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime

BOUND = 1e-4
folder = Path(sys.argv[-1])


def numbers(name, shape):
    return numpy.fromfile(folder / name, "<f4").reshape(shape)


def softmax(logits):
    shifted = numpy.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def deviations(case):
    """Of logits from the engine's as a share of the largest, and of probabilities from their definition."""
    session = onnxruntime.InferenceSession(folder / case["file"], providers=["CPUExecutionProvider"])
    logits_apart, probabilities_apart = [0.0], [0.0]
    for batch in case["batches"]:
        feeds = {"images": numbers(batch["images"], batch["shape"])}
        if "parameters" in case:
            feeds["parameters"] = numbers(case["parameters"], [-1])
        logits, probabilities = session.run(["logits", "probabilities"], feeds)
        expected = numpy.array(batch["logits"]).reshape(logits.shape)
        logits_apart.append(float(abs(logits - expected).max() / abs(expected).max()))
        probabilities_apart.append(float(abs(probabilities - softmax(logits)).max()))
    return max(logits_apart), max(probabilities_apart)


def main():
    cases = json.loads((folder / "cases.json").read_text())
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}", file=sys.stderr)
    worst = {}
    failed = False
    for case in cases:
        try:
            onnx.checker.check_model(folder / case["file"], full_check=case["kind"] != "int8")
            logits, probabilities = deviations(case)
        except Exception as error:
            print(f"{case['file']}: {error}")
            failed = True
            continue
        row = worst.setdefault((case["method"], case["family"]), {})
        row[case["kind"]] = logits
        if probabilities > 1e-6 or (case["kind"] != "int8" and not logits <= BOUND):
            print(f"{case['file']}: logits apart by {logits:.1e}, probabilities by {probabilities:.1e}")
            failed = True
    print("| method | family | inside | as an input | in 8 bits, from float32 |")
    print("| --- | --- | --- | --- | --- |")
    for (method, family), row in worst.items():
        cells = [f"{row[kind]:.1e}" if kind in row else "failed" for kind in ("inside", "input", "int8")]
        print(f"| {' | '.join([method, family, *cells])} |")
    sys.exit(failed)



def run_docs():
    docs = Path(__file__).parents[2] / "docs" / "deploy.md"
    (code,) = re.findall(r"^```python\n(.*?)^```$", docs.read_text(), re.M | re.S)
    os.chdir(folder)
    exec(code, {})


run_docs() if "--docs" in sys.argv else main()
