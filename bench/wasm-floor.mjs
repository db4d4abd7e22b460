/**
 * What the products of a tab's step would take alone: the step of the bundled pair (behind its frozen prefixes) and single
 * products through the same WebAssembly, in turn, in processor time, which other programs on the machine disturb little. Node runs
 * the WebAssembly as Chromium does: both have the same engine. The native runtime on one thread beside it.
 *
 *     npm run build && node bench/wasm-floor.mjs [ROUNDS] [IMAGES A CALL]       default: 10 rounds, 16 images
 */
import { readFileSync } from 'node:fs';
import { resolveBackbone } from '../dist/backbones/node/registry.js';
import { matrixPeakFeeds, matrixPeakProgram } from '../dist/bench/matrix-peak.js';
import { emit } from '../dist/graph/emit.js';
import { constant, input, linear } from '../dist/graph/ops/index.js';
import { syntheticFeeds } from '../dist/measure/tuning.js';
import { startRuntime } from '../dist/runtime/node/start.js';
import { openEngine } from '../dist/runtime/web/engine.js';
import { startWebRuntime } from '../dist/runtime/web/start.js';
import { parseConfig } from '../dist/settings/config.js';
import { planOf } from '../dist/settings/plan.js';
import { median } from '../dist/statistics/index.js';
import { modelSpecs, prefixesOf, stepOf } from '../dist/train/specs.js';

const rounds = Number(process.argv[2] ?? 10);
const images = Number(process.argv[3] ?? 16);
const PAIR = { student: 'vit_micro_patch4_32.cifar10', teacher: 'vit_nano_patch4_32.cifar10' };

const plan = planOf(parseConfig({ data: 'any', ...PAIR }));
const backbones = {
  student: await resolveBackbone(PAIR.student, {}),
  teacher: await resolveBackbone(PAIR.teacher, {}),
};
const specs = modelSpecs(plan.models, backbones, 10);
const prefixes = prefixesOf(specs, plan);

/** A layer of the student on the images of one call. */
function product(width, columns) {
  const { imageSize, patchSize } = backbones.student.config;
  const rows = images * ((imageSize / patchSize) ** 2 + 1);
  const weight = constant(
    [columns, width],
    Float32Array.from({ length: columns * width }, (_, i) => Math.sin(i)),
  );
  const x = Float32Array.from({ length: rows * width }, (_, i) => Math.cos(i));
  const name = `[${rows}, ${width}]·[${width}, ${columns}]`;
  return [name, () => ({ program: emit({ y: linear(input('x', [rows, width]), weight) }), feeds: { x } })];
}
const { width, mlpWidth } = backbones.student.config;
const SUBJECTS = Object.fromEntries([
  [
    'step',
    (sink) => {
      const step = stepOf(plan, specs, prefixes, images, sink);
      return { program: step.program, feeds: syntheticFeeds(step) };
    },
  ],
  ['[788, 768]·[768, 3072]', () => ({ program: matrixPeakProgram(), feeds: matrixPeakFeeds() })],
  product(width, mlpWidth),
  product(width, width),
]);

const files = new Map(Object.values(backbones).map(({ path }) => [path, new Uint8Array(readFileSync(path))]));
const runtimes = {
  WebAssembly: await startWebRuntime({ connect: () => openEngine(), files }),
  native: await startRuntime({ device: 'cpu', threads: 1 }),
};
const loaded = [];
for (const [where, runtime] of Object.entries(runtimes)) {
  for (const [name, make] of Object.entries(SUBJECTS)) {
    let made;
    const session = await runtime.load((sink) => {
      made = make(sink);
      return made.program;
    });
    await session.run(made.feeds);
    loaded.push({ where, name, session, feeds: made.feeds, flops: made.program.flops, ms: [] });
  }
}
for (let round = 0; round < rounds; round++) {
  for (const { session, feeds, ms } of loaded) {
    const before = process.cpuUsage();
    await session.run(feeds);
    const { user, system } = process.cpuUsage(before);
    ms.push((user + system) / 1000);
  }
}
for (const where of Object.keys(runtimes)) {
  const own = loaded.filter((subject) => subject.where === where);
  const step = own.find(({ name }) => name === 'step');
  const stepMs = median(step.ms) / images;
  const perImage = step.flops / images;
  console.log(
    `${where}: the step ${stepMs.toFixed(2)} ms an image, ${(step.flops / median(step.ms) / 1e6).toFixed(1)} GFLOP/s`,
  );
  for (const { name, flops, ms } of own.filter((subject) => subject !== step)) {
    const speed = flops / median(ms) / 1e6;
    const floor = perImage / speed / 1e6;
    console.log(
      `  ${name}: ${speed.toFixed(1)} GFLOP/s, at which the step's products take ${floor.toFixed(2)} ms, ${((100 * floor) / stepMs).toFixed(0)} % of it`,
    );
  }
}
for (const runtime of Object.values(runtimes)) await runtime.close();
