// Makes two runs and what they came to: node make.mjs CHECKOUT, in an empty folder /idat-fixture, with Python for the zip.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const idat = await import(`${process.argv[2]}/dist/index.js`);
const sharp = (
  await import(`${process.argv[2]}/node_modules/sharp/dist/index.mjs`).catch(
    () => import(`${process.argv[2]}/node_modules/sharp/lib/index.js`),
  )
).default;
const root = '/idat-fixture';
let state = 7;
const next = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
for (const [c, name] of ['red', 'green', 'blue'].entries()) {
  mkdirSync(join(root, 'colours', name), { recursive: true });
  for (let i = 0; i < 10; i++) {
    const raw = Uint8Array.from({ length: 192 }, (_, at) => Math.floor(next() * 160) + (at % 3 === c ? 60 : 0));
    await sharp(raw, { raw: { width: 8, height: 8, channels: 3 } })
      .png()
      .toFile(join(root, 'colours', name, `${i}.png`));
  }
}
execFileSync('python3', ['-m', 'zipfile', '-c', 'colours.zip', 'colours'], { cwd: root });
const on = { device: 'cpu', threads: 1, microBatch: 4, batchSize: 4 };
const scratch = {
  data: join(root, 'colours.zip'),
  depth: 2,
  heads: 2,
  patchSize: 4,
  imageSize: 8,
  epochs: 2,
  seed: 1,
  ...on,
};
for (const [name, width] of [
  ['student', 16],
  ['teacher', 8],
]) {
  await idat.pretrain({ ...scratch, width, name: `vit_${name}`, out: join(root, name) });
  cpSync(join(root, name, 'model.safetensors'), join(root, `${name}.safetensors`));
}
const common = { data: join(root, 'colours.zip'), student: join(root, 'student.safetensors'), ...on };
const controller = new AbortController();
let steps = 0;
const onProgress = (event) => {
  if (event.kind === 'step' && ++steps === 14) controller.abort();
};
await idat
  .fineTune(
    {
      ...common,
      teacher: join(root, 'teacher.safetensors'),
      variant: 'iDAT-PS-mse',
      hidden: 2,
      protocol: 'paper',
      epochs: 4,
      warmupEpochs: 1,
      dropPath: 0.1,
      out: join(root, 'stopped'),
    },
    { signal: controller.signal, onProgress },
  )
  .catch((error) => console.log(error.message));
await idat.fineTune({
  ...common,
  method: 'lora',
  options: { rank: 2 },
  protocol: 'val',
  epochs: 3,
  warmupEpochs: 1,
  lr: 0.02,
  out: join(root, 'finished'),
});
// what is expected of them
cpSync(join(root, 'stopped'), join(root, 'resumed'), { recursive: true });
const result = await idat.resume(join(root, 'resumed'));
const finished = join(root, 'finished');
const evaluation = await idat.evaluateRun(finished);
const predictions = await idat.predict(
  finished,
  ['red', 'green', 'blue'].map((name) => join(root, 'colours', name, '0.png')),
  { top: 3 },
);
await idat.mergeRun(finished, join(root, 'merged.safetensors'));
const { readFileSync } = await import('node:fs');
writeFileSync(
  join(root, 'expected.json'),
  `${JSON.stringify(
    {
      resumed: {
        result: JSON.parse(readFileSync(join(root, 'resumed', 'result.json'))),
        metrics: readFileSync(join(root, 'resumed', 'metrics.jsonl'), 'utf8')
          .trim()
          .split('\n')
          .map((l) => JSON.parse(l)),
      },
      finished: {
        evaluation: { correct: evaluation.correct, total: evaluation.total },
        predictions: predictions.map(({ path, predictions }) => ({ image: path.slice(root.length + 1), predictions })),
      },
    },
    null,
    2,
  )}\n`,
);
console.log(result);
