/** `idat export`: files for others' runtimes, read by those; what docs/deploy.md shows is run. */
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tensorShapes } from '../src/backbones/architecture.js';
import type { SwinConfig } from '../src/backbones/backbone.js';
import { encodeSafetensors } from '../src/files/safetensors.js';
import { size } from '../src/graph/tensor.js';
import { exportRun, fineTune, openClassifier, packRun } from '../src/index.js';
import { refuseTooLarge } from '../src/onnx/exported-model.js';
import { randomStream } from '../src/random.js';
import { decodeSafetensors } from './export-support.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const repository = fileURLToPath(new URL('..', import.meta.url));
const root = temporaryFolder();
const run = join(root, 'run');
const out = (name: string) => join(root, name);

/** Of a file that was exported. */
const openModel = (path: string) => fromBinary(ModelProtoSchema, readFileSync(path));
const metadataOf = (path: string) =>
  Object.fromEntries(openModel(path).metadataProps.map(({ key, value }) => [key, value]));

const inChild = (...args: string[]) =>
  new Promise<{ code: number | null; stdout: string; stderr: string }>((done) => {
    const env = { ...process.env, NO_COLOR: '1', ORT_DISABLE_TELEMETRY: '1' };
    const child = execFile(process.execPath, args, { cwd: root, env, timeout: 120_000 }, (_error, stdout, stderr) =>
      done({ code: child.exitCode, stdout, stderr }),
    );
  });

/** Asks the real library, in a process of its own. */
const LIBRARY = `
  import { env, pipeline } from '@huggingface/transformers';
  env.allowRemoteModels = false;
  env.localModelPath = './';
  const classify = await pipeline('image-classification', process.argv[2]);
  const answers = [];
  for (const file of process.argv.slice(3)) answers.push(await classify(file, { top_k: 3 }));
  console.log(JSON.stringify(answers));
`;
interface Answer {
  label: string;
  score: number;
}
async function askLibrary(folder: string, files: readonly string[]): Promise<Answer[][]> {
  writeFileSync(join(root, 'library.mjs'), LIBRARY);
  const { code, stdout, stderr } = await inChild(join(root, 'library.mjs'), folder, ...files);
  expect({ folder, code, stderr: code === 0 ? '' : stderr }).toEqual({ folder, code: 0, stderr: '' });
  return JSON.parse(stdout);
}

async function askIdat(from: string, files: readonly string[]) {
  const classifier = await openClassifier(from, { threads: 1 });
  const answers = await classifier.classify([...files], { top: 3 });
  await classifier.close();
  return answers.map(({ predictions }) => predictions);
}

/** A small Swin with random weights, as a file. */
function randomSwin(): string {
  const config: SwinConfig = {
    family: 'swin',
    imageSize: 32,
    patchSize: 4,
    channels: 3,
    embedWidth: 8,
    depths: [2, 2],
    heads: [1, 2],
    windowSize: 2,
    mlpRatio: 2,
    qkvBias: true,
    layerNormEps: 1e-5,
  };
  const random = randomStream(1, 'swin');
  const tensors = [...tensorShapes(config)].map(([name, shape]) => ({
    name,
    shape,
    data: Float32Array.from({ length: size(shape) }, () => 0.3 * random.normal()),
  }));
  const path = join(root, 'swin.safetensors');
  writeFileSync(path, encodeSafetensors(tensors, { num_heads: '1,2', img_size: '32' }));
  return path;
}

let data: string;
beforeAll(async () => {
  data = await makeImageFolder(root, 12);
  copyFileSync(join(data, 'red', '0.png'), join(root, 'photo.png'));
  await fineTune({ ...settings(data, run), epochs: 2 });
  // a project that has installed what docs/deploy.md says
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'), 'junction');
  writeFileSync(join(root, 'package.json'), JSON.stringify({ type: 'module' }));
}, 120_000);
afterAll(() => rmSync(root, { recursive: true }));

describe('one ONNX file', () => {
  it('agrees with the engine on real images, and says what it is', async () => {
    const result = await exportRun(run, { out: out('model') });
    expect(result).toMatchObject({
      path: out('model'),
      format: 'onnx',
      precision: 'float32',
      method: 'parallel-shared',
    });
    expect(result.files.map(({ name }) => name)).toEqual(['model.onnx', 'README.md']);
    const { images, same, deviation, largest } = result.checked;
    expect(images).toBeGreaterThan(8);
    expect(same).toBe(images);
    expect(deviation / largest).toBeLessThan(1e-5);
    expect(result.checked).toMatchObject({ on: 'colours', int8: null, resized: null });

    const about = metadataOf(join(out('model'), 'model.onnx'));
    expect(about).toMatchObject({
      format: 'idat-onnx-1',
      classes: '["blue","green","red"]',
      image_size: '[32,32]',
      mean: '[0.5,0.5,0.5]',
      method: 'parallel-shared',
      precision: 'float32',
    });
    expect(about.licence).toContain('Apache-2.0');
    expect(JSON.stringify(about)).not.toContain(root); // no path of this machine
    const readme = readFileSync(join(out('model'), 'README.md'), 'utf8');
    expect(readme).toContain('blue, green, red');
    expect(readme).toContain('## Licences');
  });

  it('is the same to the byte when it is made again', async () => {
    await exportRun(run, { out: out('again'), images: 3 });
    const bytes = (name: string) => readFileSync(join(out(name), 'model.onnx'));
    expect(bytes('again').equals(bytes('model'))).toBe(true);
  });

  it('tells what 8 bits change', async () => {
    const { checked, files } = await exportRun(run, { out: out('small'), quantize: 'int8' });
    const { float32, int8 } = checked.int8!;
    expect(files[0]!.bytes).toBe(int8.bytes);
    expect(int8.bytes).toBeLessThan(0.35 * float32.bytes);
    expect(int8.msPerImage).toBeGreaterThan(0);
    expect(float32.msPerImage).toBeGreaterThan(0);
    expect(int8.recognised.total).toBe(float32.recognised.total);
    expect(int8.recognised.total).toBeGreaterThan(0);
    expect(checked.deviation).toBeGreaterThan(0);
    expect(metadataOf(join(out('small'), 'model.onnx')).precision).toBe('int8');
  });

  it('keeps what was trained outside: one backbone for several runs', async () => {
    const other = join(root, 'other');
    await fineTune({ ...settings(data, other), epochs: 1, seed: 7 });
    const parts = await exportRun(run, { out: out('parts'), adapterInput: true });
    await exportRun(other, { out: out('other-parts'), adapterInput: true, images: 4 });
    const base = (name: string) => readFileSync(join(out(name), 'model.onnx'));
    expect(base('parts').equals(base('other-parts'))).toBe(true);
    const [model, adapter] = parts.files;
    expect(adapter!.bytes).toBeLessThan(0.02 * model!.bytes);
    const { metadata, tensors } = decodeSafetensors(readFileSync(join(out('parts'), 'adapter.safetensors')));
    expect(metadata.classes).toBe('["blue","green","red"]');
    expect(tensors).toEqual(['parameters']);
    expect(parts.checked.same).toBe(parts.checked.images);
  });

  it('resizes in the graph', async () => {
    const { checked } = await exportRun(run, { out: out('pixels'), resize: 'graph' });
    expect(checked.resized).toMatchObject({ images: checked.images, same: checked.images });
    const { graph } = openModel(join(out('pixels'), 'model.onnx'));
    expect(graph!.input.map(({ name }) => name)).toEqual(['pixel_values']);
  });
});

describe('a folder for transformers.js', () => {
  it('gives idat’s answers through the real library', async () => {
    const result = await exportRun(run, { out: out('web'), format: 'transformers.js' });
    expect(result.files.map(({ name }) => name)).toEqual([
      'onnx/model.onnx',
      'config.json',
      'preprocessor_config.json',
      'README.md',
    ]);
    const files = ['red', 'green', 'blue'].flatMap((name) => [0, 1, 2].map((i) => join(data, name, `${i}.png`)));
    await exportRun(run, { out: out('own-resize'), format: 'transformers.js', resize: 'caller', images: 5 });
    await exportRun(run, { out: out('web-int8'), format: 'transformers.js', quantize: 'int8', images: 5 });
    const own = await askIdat(run, files);
    for (const [folder, digits] of [
      ['web', 4],
      ['own-resize', null],
      ['web-int8', 1],
    ] as const) {
      for (const [i, answer] of (await askLibrary(folder, files)).entries()) {
        const ours = new Map(own[i]!.map(({ label, probability }) => [label, probability]));
        expect(answer.map(({ label }) => label).sort()).toEqual([...ours.keys()].sort());
        if (digits !== null) for (const { label, score } of answer) expect(score).toBeCloseTo(ours.get(label)!, digits);
      }
    }
  }, 120_000);

  it('is loaded with a Swin as well', async () => {
    const swin = join(root, 'swin');
    await fineTune({ ...settings(data, swin), student: randomSwin(), teacher: null, method: 'lora', epochs: 1 });
    await exportRun(swin, { out: out('swin-web'), format: 'transformers.js', images: 4 });
    const files = ['red', 'green', 'blue'].map((name) => join(data, name, '3.png'));
    const own = await askIdat(swin, files);
    const answers = await askLibrary('swin-web', files);
    answers.forEach((answer, i) => {
      expect(answer.map(({ label }) => label)).toEqual(own[i]!.map(({ label }) => label));
      expect(answer[0]!.score).toBeCloseTo(own[i]![0]!.probability, 4);
    });
  }, 120_000);
});

describe('what cannot be exported', () => {
  const refused = async (code: string, message: RegExp, options: Parameters<typeof exportRun>[1], from = run) => {
    const before = readdirSync(root).sort();
    await expect(exportRun(from, options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(readdirSync(root).sort()).toEqual(before); // nothing half-written
  };

  it('no run', () => refused('run.missing', /no run here/, { out: out('x') }, data));

  it('a run that has not ended', async () => {
    const unfinished = join(root, 'unfinished');
    cpSync(run, unfinished, { recursive: true });
    rmSync(join(unfinished, 'result.json'));
    await refused('export.unfinished', /has not ended/, { out: out('x') }, unfinished);
  });

  it('to where something is', async () => {
    await refused('export.exists', /not empty/, { out: run });
    await refused('export.exists', /a file of that name/, { out: join(root, 'photo.png') });
    await refused('export.folder', /cannot make/, { out: join(root, 'photo.png', 'below') });
  });

  it('what makes no sense', async () => {
    await refused('export.option', /format onnx/, { out: out('x'), adapterInput: true, format: 'transformers.js' });
    await refused('export.option', /expected onnx or transformers.js, got "tflite"/, {
      out: out('x'),
      format: 'tflite' as never,
    });
    await refused('export.option', /quantize: expected int8/, { out: out('x'), quantize: 'int4' as never });
    await refused('export.option', /resize: expected graph or caller/, { out: out('x'), resize: 'me' as never });
    await refused('export.option', /images: expected a whole number/, { out: out('x'), images: 0 });
  });

  it('a run whose images are gone, unless others are given', async () => {
    const packed = join(root, 'packed');
    await packRun(run, packed);
    await refused('data.path.missing', /colours/, { out: out('x') }, packed);
    const { checked } = await exportRun(packed, { out: out('from-packed'), data, images: 7 });
    expect(checked).toMatchObject({ images: 7, same: 7, counted: 'images' });
  });

  it('more than a file of the format holds', () => {
    expect(() => refuseTooLarge('vit_giant', 4e9)).toThrow(/^vit_giant: 4\.0 GB of weights do not fit/);
    expect(() => refuseTooLarge('vit_large', 1.3e9)).not.toThrow();
  });

  it('when it is stopped', async () => {
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const before = readdirSync(root).sort();
    const stopped = exportRun(run, { out: out('x'), signal: controller.signal, onProgress });
    await expect(stopped).rejects.toMatchObject({ code: 'run.interrupted' });
    expect(readdirSync(root).sort()).toEqual(before);
  });
});

describe('docs/deploy.md', () => {
  const docs = readFileSync(join(repository, 'docs', 'deploy.md'), 'utf8');
  const snippets = [...docs.matchAll(/^```js (\w+)\n([\s\S]*?)^```$/gm)].map(
    ([, name, code]) => [name!, code!] as const,
  );
  const PRINTS: Record<string, RegExp> = {
    node: /^\[ '[01]\.\d{3}', '[01]\.\d{3}', '[01]\.\d{3}' \]$/m,
    transformers: /label: '(red|green|blue)'[\s\S]*label:/,
    adapter: /^\[ 'blue', 'green', 'red' \] \[ 1, 3 \]$/m,
  };

  it('has snippets, all with something to print', () => {
    expect(snippets.map(([name]) => name)).toEqual(Object.keys(PRINTS));
    expect(docs.match(/^```python$/gm)).toHaveLength(1); // which tools/check-export runs
  });

  it.each(snippets)(
    '%s',
    async (name, code) => {
      expect(['pixels', 'web', 'parts'].every((folder) => existsSync(join(root, folder)))).toBe(true);
      writeFileSync(join(root, `${name}.mjs`), code);
      const { code: status, stdout, stderr } = await inChild(join(root, `${name}.mjs`));
      expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(PRINTS[name]!);
    },
    120_000,
  );
});

it('is a command', async () => {
  const cli = join(repository, 'dist', 'cli', 'main.js');
  const { code, stdout } = await inChild(
    cli,
    'export',
    run,
    '--out',
    'by-command',
    '--images',
    '5',
    '--quantize',
    'int8',
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(/^checked +against the training engine on 5 images of colours$/m);
  expect(stdout).toMatch(/^size +\d\.\d\d MB in place of \d\.\d\d MB$/m);
  expect(stdout).toMatch(/^accuracy .*validation images/m);
  const again = await inChild(cli, 'export', run, '--out', 'by-command');
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect(again.stderr.trim().split('\n')).toHaveLength(1);
}, 60_000);
