"""The step of gpu.mjs in PyTorch, on CUDA where there is one and on the processor otherwise.

    python gpu_peer.py JSON      what to time: {"student", "teacher": sizes, "classes", "sizes": [1, 4], "seconds": 3}

Prints milliseconds an image for each mode and batch size. float32 is exact (no TF32); the others are what is fastest.
"""

import contextlib
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from pytorch_peer import TEMPERATURE, ParallelBlock
from timm.models.vision_transformer import VisionTransformer
from torch import nn

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODES = ["float32", *(["tf32"] if DEVICE == "cuda" else []), "bfloat16", "compile bfloat16"]


def model(config, classes):
    made = VisionTransformer(
        img_size=config["imageSize"],
        patch_size=config["patchSize"],
        embed_dim=config["width"],
        depth=config["depth"],
        num_heads=config["heads"],
        mlp_ratio=config["mlpWidth"] / config["width"],
        num_classes=classes,
        block_fn=ParallelBlock,
    )
    for name, parameter in made.named_parameters():
        parameter.requires_grad_("adapter" in name or name.startswith("head."))
    return made


class Pair(nn.Module):
    def __init__(self, student, teacher, classes):
        super().__init__()
        self.student, self.teacher = model(student, classes), model(teacher, classes)

    def forward(self, images, labels):
        student, teacher = self.student(images), self.teacher(images)
        kl = F.kl_div(
            F.log_softmax(student / TEMPERATURE, -1), F.softmax(teacher / TEMPERATURE, -1), reduction="batchmean"
        )
        return F.cross_entropy(student, labels) + F.cross_entropy(teacher, labels) + kl


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def seconds_of(step, patience):
    step()  # sets up, and compiles where that was asked for
    wait()
    times = []
    began = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < patience:
        started = time.perf_counter()
        step()
        wait()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main():
    asked = json.loads(sys.argv[1])
    torch.manual_seed(0)
    pair = Pair(asked["student"], asked["teacher"], asked["classes"]).to(DEVICE)
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "processor"
    print(f"PyTorch {torch.__version__}, {DEVICE}: {name}", flush=True)
    side = asked["student"]["imageSize"]
    for mode in MODES:
        exact = mode == "float32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact
        module = torch.compile(pair, dynamic=False) if mode.startswith("compile") else pair
        for batch in asked["sizes"]:
            images = torch.randn(batch, 3, side, side, device=DEVICE)
            labels = torch.arange(batch, device=DEVICE) % asked["classes"]

            def step():
                pair.zero_grad(set_to_none=True)
                cast = torch.autocast(DEVICE, dtype=torch.bfloat16) if "bfloat16" in mode else contextlib.nullcontext()
                with cast:
                    loss = module(images, labels)
                loss.backward()

            try:
                ms = 1000 * seconds_of(step, asked["seconds"]) / batch
            except Exception as error:  # no memory, or a compiler that is not there
                print(f"{mode}, {batch} images: {str(error).splitlines()[0]}", flush=True)
                break
            print(f"{mode}, {batch} images: {ms:.3f} ms an image", flush=True)


main()
