/**
 * How fast a training step is on a GPU, for each number of images a call, and PyTorch's beside it: for people who have one.
 *
 *     npm run build
 *     node bench/gpu.mjs --device webgpu                            # the bundled pair
 *     node bench/gpu.mjs --device cuda --models vit-b               # ViT-B/16 taught by ViT-S/16 at 224 pixels
 *     node bench/gpu.mjs --device cuda --python bench/.venv/bin/python     # and PyTorch, with timm (bench/requirements.txt)
 *
 * Prints a line a size: milliseconds an image of the whole step (from images on, no frozen prefix), forward and backward to
 * every gradient, the first call's seconds, and how far its loss and gradient are from the processor's. A size that does not
 * fit is told and left out. `--device cpu` runs the same on the processor. `--micro 1,4` chooses sizes, `--seconds 3` how
 * long each is measured. PyTorch (gpu_peer.py) has random weights of the same sizes: its speed counts, not its numbers.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measurableBackbone, withWeightsFolder } from '../dist/bench/measurable-backbone.js';
import { syntheticFeeds } from '../dist/measure/tuning.js';
import { thisMachine } from '../dist/runtime/node/machine.js';
import { withRuntime } from '../dist/runtime/node/start.js';
import { versions } from '../dist/runtime/node/versions.js';
import { parseConfig } from '../dist/settings/config.js';
import { planOf } from '../dist/settings/plan.js';
import { median } from '../dist/statistics/index.js';
import { modelSpecs, stepOf } from '../dist/train/specs.js';

const { values: flags } = parseArgs({
  options: {
    device: { type: 'string', default: 'webgpu' },
    models: { type: 'string', default: 'bundled' },
    micro: { type: 'string', default: '1,2,4,8,16,32,64,128,256' },
    seconds: { type: 'string', default: '3' },
    python: { type: 'string' },
  },
});
const PAIRS = {
  bundled: { student: 'vit_micro_patch4_32.cifar10', teacher: 'vit_nano_patch4_32.cifar10' },
  'vit-b': { student: 'vit_base_patch16_224.augreg_in21k', teacher: 'vit_small_patch16_224.augreg_in21k' },
};
const CLASSES = 100;
const WHOLE = { student: null, teacher: null };
const sizes = flags.micro.split(',').map(Number);
const patience = 1000 * Number(flags.seconds);
const plan = planOf(parseConfig({ data: 'synthetic', ...PAIRS[flags.models], variant: 'iDAT-P-kl', hidden: 4 }));

/** Milliseconds of a call: the median of as many as fit, three at least. */
async function time(run) {
  const times = [];
  for (const began = performance.now(); times.length < 3 || performance.now() - began < patience; ) {
    const started = performance.now();
    await run();
    times.push(performance.now() - started);
  }
  return median(times);
}

async function loadStep(runtime, specs, images) {
  let step;
  const session = await runtime.load((sink) => {
    step = stepOf(plan, specs, WHOLE, images, sink);
    return step.program;
  });
  return { session, feeds: syntheticFeeds(step), flops: step.program.flops };
}

/** Largest difference over largest number. */
function deviation(found, expected) {
  let [off, top] = [0, 0];
  for (const [i, value] of expected.entries()) {
    off = Math.max(off, Math.abs(found[i] - value));
    top = Math.max(top, Math.abs(value));
  }
  return off / top;
}

async function measure(runtime, processor, specs) {
  for (const images of sizes) {
    try {
      const { session, feeds, flops } = await loadStep(runtime, specs, images);
      const began = performance.now();
      const outputs = await session.run(feeds);
      const first = (performance.now() - began) / 1000;
      const ms = await time(() => session.run(feeds));
      await session.close();
      let words = '';
      if (images === sizes[0]) {
        const exact = await loadStep(processor, specs, images);
        const expected = await exact.session.run(exact.feeds);
        await exact.session.close();
        const off = ['loss.total', 'student.gradient', 'teacher.gradient'].map((name) =>
          deviation(outputs[name], expected[name]).toExponential(1),
        );
        words = `; off the processor's loss, gradients by ${off.join(', ')}`;
      }
      const speed = `${(flops / ms / 1e6).toFixed(0)} GFLOP/s`;
      console.log(
        `${images} images a call: ${(ms / images).toFixed(3)} ms an image, ${speed}, first call ${first.toFixed(1)} s${words}`,
      );
    } catch (error) {
      console.log(`${images} images a call: ${error.message.split('\n')[0]}`);
      return;
    }
  }
}

const { cpu, cores } = thisMachine();
const { onnxruntime, idat } = versions();
console.log(
  `idat ${idat}, ONNX Runtime ${onnxruntime}, device ${flags.device}; ${cpu}, ${cores} cores; ${flags.models}`,
);
const configs = await withWeightsFolder(async (folder) => {
  const { student, teacher } = plan.models;
  const backbones = {
    student: (await measurableBackbone(student, folder)).backbone,
    teacher: (await measurableBackbone(teacher, folder)).backbone,
  };
  const specs = modelSpecs(plan.models, backbones, CLASSES);
  await withRuntime({ device: flags.device }, (runtime) =>
    withRuntime({ device: 'cpu' }, (processor) => measure(runtime, processor, specs)),
  );
  return { student: backbones.student.config, teacher: backbones.teacher.config };
});
if (flags.python !== undefined) {
  const peer = fileURLToPath(new URL('./gpu_peer.py', import.meta.url));
  const given = JSON.stringify({ ...configs, classes: CLASSES, sizes, seconds: Number(flags.seconds) });
  spawnSync(flags.python, [peer, given], { stdio: 'inherit' });
}
