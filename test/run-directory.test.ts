/** Run directories: nothing foreign is overwritten or believed, and what changes under a run is noticed. */
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identityText, thisProcess } from '../src/files/node/process-identity.js';
import { fineTune, mergeRun, openRun, type Progress, resume } from '../src/index.js';
import { makeImageFolder, runBytes, settings, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

const weights = join(root, 'student.safetensors');
let data: string;
const plain = (out: string) => ({
  ...settings(data, out),
  student: weights,
  method: 'lora',
  epochs: 4,
  prefixMemory: 64,
});
const alone = (out: string) => ({ ...plain(out), teacher: null });

/** Does something at the first step of an epoch. */
const atEpoch = (epoch: number, action: () => void) => ({
  onProgress: (event: Progress) => {
    if (event.kind === 'step' && event.epoch === epoch && event.step === 1) action();
  },
});
/** Stops in the middle of an epoch. */
function stoppedIn(epoch: number) {
  const stop = new AbortController();
  return { signal: stop.signal, ...atEpoch(epoch, () => stop.abort()) };
}
const edit = (path: string, change: (text: string) => string) =>
  writeFileSync(path, change(readFileSync(path, 'utf8')));

const stopped = join(root, 'stopped');
const finished = join(root, 'finished');
beforeAll(async () => {
  data = await makeImageFolder(root, 8);
  copyFileSync(
    fileURLToPath(new URL('../assets/models/vit_micro_patch4_32.cifar10.safetensors', import.meta.url)),
    weights,
  );
  await expect(fineTune(alone(stopped), stoppedIn(2))).rejects.toMatchObject({ code: 'run.interrupted' });
  cpSync(stopped, finished, { recursive: true });
  await resume(finished);
});
const copyOf = (run: string, name: string) => {
  const dir = join(root, name);
  cpSync(run, dir, { recursive: true });
  return dir;
};

describe('overwriting', () => {
  it.each([
    'student.safetensors',
    'teacher.safetensors',
    'result.json',
    'metrics.jsonl',
    'timings.jsonl',
    'classes.json',
  ])('training does not start where %s lies', async (name) => {
    const out = join(root, `foreign-${name}`);
    mkdirSync(out);
    writeFileSync(join(out, name), 'mine');
    await expect(fineTune(alone(out))).rejects.toMatchObject({
      code: 'run.directory',
      message: expect.stringContaining(`overwrite ${name}`),
    });
    expect(readFileSync(join(out, name), 'utf8')).toBe('mine');
  });

  it('training starts among other files, and again after it was killed before its first', async () => {
    const out = join(root, 'among');
    mkdirSync(out);
    writeFileSync(join(out, 'notes.txt'), 'mine');
    writeFileSync(join(out, 'classes.json'), '[]');
    writeFileSync(join(out, 'run.lock'), identityText({ ...thisProcess(), started: 1 }));
    const { runDir } = await fineTune({ ...alone(out), epochs: 1 }, {});
    expect(runDir).toBe(out);
  }, 60_000);

  it('merging does not write over the run or its backbone, by whatever name', async () => {
    const link = join(root, 'link.safetensors');
    linkSync(weights, link);
    const tuned = join(finished, 'student.safetensors');
    for (const out of [
      weights,
      link,
      tuned,
      join(finished, 'state.safetensors'),
      join(finished, 'teacher.safetensors'),
    ]) {
      await expect(mergeRun(finished, out)).rejects.toMatchObject({ code: 'export.overwrites' });
    }
    await mergeRun(finished, join(finished, 'merged.safetensors'));
    await mergeRun(finished, join(finished, 'merged.safetensors'));
  });
});

describe('what is another run’s', () => {
  it('a foreign result does not make a run look finished', async () => {
    const dir = copyOf(stopped, 'foreign-result');
    const other = join(root, 'other');
    await fineTune({ ...alone(other), epochs: 1, warmupEpochs: 0, method: 'linear' });
    copyFileSync(join(other, 'result.json'), join(dir, 'result.json'));
    for (const use of [openRun, resume]) {
      await expect(use(dir)).rejects.toMatchObject({
        code: 'run.damaged',
        message: expect.stringMatching(
          /result\.json: is the result of another run \(method "linear", the run has "lora"\)/,
        ),
      });
    }
  });

  it('settings edited against the state are refused by name', async () => {
    const dir = copyOf(stopped, 'edited');
    edit(join(dir, 'config.json'), (text) => text.replace('"epochs": 4', '"epochs": 2'));
    await expect(resume(dir)).rejects.toMatchObject({
      code: 'run.state',
      message: expect.stringMatching(/epochs 4, the run has 2/),
    });
  });

  it('so are fewer epochs than a state of earlier versions has seen', async () => {
    const dir = join(root, 'run-0.1');
    cpSync(fileURLToPath(new URL('./fixtures/run-0.1', import.meta.url)), dir, { recursive: true });
    edit(join(dir, 'stopped', 'config.json'), (text) =>
      text
        .replaceAll('/idat-fixture', dir)
        .replace('"epochs": 4', '"epochs": 1')
        .replace('"warmupEpochs": 1', '"warmupEpochs": 0'),
    );
    await expect(resume(join(dir, 'stopped'))).rejects.toMatchObject({
      code: 'run.state',
      message: expect.stringMatching(/has seen \d epochs, the settings ask for 1/),
    });
  });

  it('a flipped bit in the state is noticed', async () => {
    const dir = copyOf(stopped, 'flipped');
    const path = join(dir, 'state.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 5]! ^= 1;
    writeFileSync(path, bytes);
    await expect(resume(dir)).rejects.toMatchObject({
      code: 'run.state',
      message: expect.stringContaining('checksum'),
    });
  });
});

describe('logs of a run', () => {
  it('half a last line is passed over, a broken one before it is damage', async () => {
    const dir = copyOf(stopped, 'half');
    appendFileSync(join(dir, 'timings.jsonl'), '{"phase":"fin');
    appendFileSync(join(dir, 'metrics.jsonl'), '{"phase":"fin');
    expect(await (await openRun(dir)).metrics()).toHaveLength(2);
    await resume(dir);
    expect(readFileSync(join(dir, 'timings.jsonl'), 'utf8').trim().split('\n')).toHaveLength(4);
    edit(join(dir, 'metrics.jsonl'), (text) => `{"phase":"fin\n${text}`);
    const run = await openRun(dir);
    await expect(run.metrics()).rejects.toMatchObject({ code: 'run.damaged' });
  });
});

describe('weights that change while a run reads them', () => {
  it('are noticed after the epoch, and nothing of it is kept', async () => {
    const undisturbed = join(root, 'undisturbed');
    await fineTune(plain(undisturbed));
    const kept = readFileSync(weights);
    const out = join(root, 'changed');
    await expect(
      fineTune(
        plain(out),
        atEpoch(1, () => writeFileSync(weights, kept)),
      ),
    ).rejects.toMatchObject({
      code: 'run.changed',
      message: expect.stringContaining(weights),
    });
    await resume(out); // the same bytes are back
    expect(runBytes(out)).toEqual(runBytes(undisturbed));
  });

  it('made shorter, before the next epoch reads beyond their end', async () => {
    const out = join(root, 'truncated');
    const kept = readFileSync(weights);
    await expect(
      fineTune(
        alone(out),
        atEpoch(1, () => truncateSync(weights, kept.length - 4)),
      ),
    ).rejects.toMatchObject({ code: 'run.changed' });
    writeFileSync(weights, kept);
  });
});
