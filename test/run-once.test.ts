/** Runs of experiments that are there already: taken up where they are the ones asked for, and refused where they are not. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { IdatError } from '../src/errors.js';
import { runOnce } from '../src/experiments/run-once.js';
import { type FineTuneInput, fineTune, type Progress, type RunRecord } from '../src/index.js';
import { makeImageFolder } from './train-support.js';

const fixture = fileURLToPath(new URL('./fixtures/run-0.1', import.meta.url));
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'idat-once-'));
/** Where compare looks for the student alone, of seed 42. */
const dir = join(root, 'compared', 'colours', 'lora', 'seed-42');
afterAll(() => rmSync(root, { recursive: true }));

/** A finished run, as if it had been made here. */
beforeEach(() => {
  rmSync(root, { recursive: true });
  cpSync(fixture, root, { recursive: true });
  cpSync(join(fixture, 'finished'), dir, { recursive: true });
  const config = join(dir, 'config.json');
  writeFileSync(config, readFileSync(config, 'utf8').replaceAll('/idat-fixture', root));
});

/** As it is written by somebody who is here. */
const here = (name: string): string => relative(process.cwd(), join(root, name));

const stored = (): RunRecord => JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'));
const finished = () => JSON.parse(readFileSync(join(dir, 'result.json'), 'utf8'));

/** What led to the run. */
const wanted = (): FineTuneInput => ({
  ...{ data: join(root, 'colours.zip'), student: join(root, 'student.safetensors'), protocol: 'val' },
  ...{ method: 'lora', options: { rank: 2 }, epochs: 3, warmupEpochs: 1, lr: 0.02, batchSize: 4 },
  ...{ device: 'cpu', threads: 1, microBatch: 4 },
});

const refusal = async (input: FineTuneInput): Promise<IdatError> => {
  const error = await runOnce(input, dir).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof IdatError)) throw error ?? new Error('the run was taken up');
  return error;
};

describe('a run that is there', () => {
  it('is taken up where it is the one asked for, untouched where it is finished', async () => {
    const before = readFileSync(join(dir, 'student.safetensors'));
    expect(await runOnce(wanted(), dir)).toMatchObject(finished());
    expect(readFileSync(join(dir, 'student.safetensors')).equals(before)).toBe(true);
  });

  it.each<[string, Partial<FineTuneInput>]>([
    ['threads', { threads: 2 }],
    ['the micro-batch', { microBatch: 2 }],
    ['replicas', { replicas: 2 }],
    ['passes left out', { disable: ['simplify'] }],
    ['out', { out: '/elsewhere/run' }],
    ['the cache', { cacheDir: '/elsewhere/cache', prefixMemory: 3 }],
    ['looks that decide nothing', { evalEvery: 1 }],
    ['offline', { offline: true }],
    ['the method of a teacher that is not there', { teacherMethod: 'ssf' }],
    ['the way its paths are written', { data: here('colours.zip'), student: here('student.safetensors') }],
    ['a default written out', { seed: 42, options: { rank: 2, targets: 'qv' } }],
  ])('is the one asked for whatever is %s', async (_, other) => {
    expect(await runOnce({ ...wanted(), ...other }, dir)).toMatchObject(finished());
    expect(stored().settings).toMatchObject({ threads: 1, microBatch: 4 });
  });

  it('is the one asked for wherever copies of its images and weights lie', async () => {
    const [data, student] = [join(root, 'copy.zip'), join(root, 'copy.safetensors')];
    cpSync(wanted().data, data);
    cpSync(wanted().student!, student);
    for (const gone of ['colours.zip', 'student.safetensors']) rmSync(join(root, gone));
    expect(await runOnce({ ...wanted(), data, student }, dir)).toMatchObject(finished());
  });

  it('is gone on with where they lie now', async () => {
    const moved = { data: join(root, 'moved.zip'), student: join(root, 'moved.safetensors') };
    const unfinished = join(root, 'unfinished');
    const stop = new AbortController();
    const onProgress = ({ kind }: Progress) => kind === 'epoch' && stop.abort();
    await fineTune({ ...wanted(), out: unfinished }, { signal: stop.signal, onProgress }).catch(() => {});
    renameSync(wanted().data, moved.data);
    renameSync(wanted().student!, moved.student);
    expect(await runOnce({ ...wanted(), ...moved }, unfinished)).toMatchObject({ protocol: 'val' });
    // and of runs that keep their split, one image more makes another run, as it would make other splits
    const folder = await makeImageFolder(root, 4);
    const request = { ...wanted(), data: folder, student: moved.student };
    const other = join(root, 'other-run');
    await runOnce(request, other);
    const result = JSON.parse(readFileSync(join(other, 'result.json'), 'utf8')) as object;
    const { of: _, ...told } = result as { of: unknown };
    expect(await runOnce(request, other)).toMatchObject(told);
    cpSync(join(folder, 'red', '0.png'), join(folder, 'red', 'one-more.png'));
    await expect(runOnce(request, other)).rejects.toThrow(/\(data .*, where other images are now\)/);
  }, 240_000);

  it('is another where other images or weights lie, though their names are the same', async () => {
    const { data, student } = wanted();
    const bytes = readFileSync(student!);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(student!, bytes);
    expect((await refusal(wanted())).message).toContain(`(student ${student}, where other weights are now)`);
    rmSync(data as string);
    const folder = await makeImageFolder(join(root, 'elsewhere'), 4);
    renameSync(folder, data as string);
    const { message } = await refusal(wanted());
    expect(message).toContain(
      `(data ${data}, where other images are now, student ${student}, where other weights are now)`,
    );
    const named = join(root, 'elsewhere', 'colours.zip');
    cpSync(data as string, named, { recursive: true });
    expect((await refusal({ ...wanted(), data: named })).message).toContain(`(data ${data}, student`);
  });

  it.each<[Partial<FineTuneInput>, told: string]>([
    [{ lr: 0.5 }, 'lr 0.02'],
    [{ options: { rank: 3 } }, 'options {"rank":2,"targets":"qv","scale":1,"dropout":0.1}'],
    [{ seed: 7, epochs: 4 }, 'epochs 3, seed 42'],
    [{ clipNorm: 1 }, 'clip-norm not given'],
    [{ protocol: 'last' }, 'protocol val'],
    [{ frozen: 'int8' }, 'frozen float32'],
  ])('is refused where %j was asked for, by name and value', async (other, told) => {
    const before = readFileSync(join(dir, 'config.json'), 'utf8');
    const error = await refusal({ ...wanted(), ...other });
    expect(error).toMatchObject({ code: 'run.settings', about: { run: dir } });
    expect(error.message).toContain(`${dir}: the run here was made with other settings (${told});`);
    expect(readFileSync(join(dir, 'config.json'), 'utf8')).toBe(before);
  });

  it('is refused where a teacher was asked for, without all that comes with one', async () => {
    const { message } = await refusal({ ...wanted(), teacher: join(root, 'teacher.safetensors'), flip: true });
    expect(message).toContain('(teacher null, flip false)');
  });
});

it('idat compare says what to type', async () => {
  const { data, student } = wanted();
  const teacher = join(root, 'teacher.safetensors');
  const args = ['compare', data, '--student', student!, '--teacher', teacher, '--method', 'lora', '--seeds', '42'];
  const ended = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [main, ...args, '--out', 'compared'], { cwd: root }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toMatch(/seed-42: the run here was made with other settings \(.*lr 0\.02.*\); .*with --out\n$/);
});
