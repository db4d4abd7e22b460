/** `train --config`: a run done again, its settings as defaults; a stranger's file is checked and chooses little. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fineTune, type Progress, packRun, repeatRun } from '../src/index.js';
import { parseConfig } from '../src/settings/config.js';
import { overlaid } from '../src/settings/overlay.js';
import { makeImageFolder, runBytes, settings, temporaryFolder } from './train-support.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
const at = (...names: string[]) => join(root, ...names);
afterAll(() => rmSync(root, { recursive: true }));

let data: string;
beforeAll(async () => {
  data = await makeImageFolder(root);
  await fineTune({ ...settings(data, at('first')), cacheDir: at('cache'), seed: 5, protocol: 'val' });
});

const config = (dir: string) => JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'));

/** A run's config.json with something else in it, in a file of another name. */
function edited(name: string, change: (record: ReturnType<typeof config>) => void): string {
  const record = config(at('first'));
  change(record);
  const path = at(name);
  writeFileSync(path, JSON.stringify(record));
  return path;
}

const idat = (...args: string[]) =>
  new Promise<{ code: number; stderr: string; stdout: string }>((done) =>
    execFile(process.execPath, [main, ...args], { cwd: root }, (error, stdout, stderr) =>
      done({ code: error ? Number(error.code) : 0, stdout, stderr }),
    ),
  );

describe('repeatRun', () => {
  const notesOf = async (run: (onProgress: (event: Progress) => void) => Promise<unknown>) => {
    const notes: string[] = [];
    await run((event) => event.kind === 'note' && notes.push(event.text));
    return notes;
  };

  it('trains to the same bytes, on the run’s data and from its weights', async () => {
    const notes = await notesOf((onProgress) =>
      repeatRun(
        at('first', 'config.json'),
        { out: at('again'), threads: 1, microBatch: 8, device: 'cpu' },
        { onProgress },
      ),
    );
    expect(runBytes(at('again'))).toEqual(runBytes(at('first')));
    expect(notes[0]).toMatch(/^repeats .*first.config\.json: vit_micro\S+, taught by vit_nano\S+, on .*colours$/);
    expect(notes[1]).toMatch(
      /^not taken from it: .*threads.*cache-dir.*; for its very bytes ask for micro-batch 8 and threads 1$/,
    );
    expect(notes.join('\n')).not.toMatch(/others than/);
  });

  it('takes neither places nor the use of the machine from the file', async () => {
    await repeatRun(at('first'), { out: at('elsewhere'), epochs: 1, protocol: 'last' }); // a run's directory will do
    const { cacheDir, threads, microBatch, device } = config(at('elsewhere')).settings;
    expect({ cacheDir, threads, microBatch, device }).toEqual({ microBatch: 'auto', device: 'auto' });
    expect(config(at('elsewhere')).settings).toMatchObject({ seed: 5, dropPath: 0.1, epochs: 1, batchSize: 8 });
  });

  it('says when images or weights are others, unless others were asked for', async () => {
    const path = edited('lies.json', (record) => {
      record.data.fingerprints.trainval = 'f'.repeat(64);
      record.student.sha256 = '0'.repeat(64);
    });
    const changes = { out: at('changed'), epochs: 1, protocol: 'last', evalEvery: 0 } as const;
    const notes = await notesOf((onProgress) => repeatRun(path, changes, { onProgress }));
    expect(notes.join('\n')).toMatch(/the student's weights are others than that run began with \(sha256 0{12}…, now /);
    expect(notes.join('\n')).toMatch(/colours: its images are others than that run had \(trainval\)/);
    const asked = await notesOf((onProgress) =>
      repeatRun(
        path,
        { ...changes, out: at('asked'), data, student: config(at('first')).student.path },
        { onProgress },
      ),
    );
    expect(asked.join('\n')).not.toMatch(/are others/);
  });

  it('finds the weights that were packed with a run', async () => {
    await packRun(at('first'), at('packed'));
    await repeatRun(at('packed'), { out: at('of-packed'), data, epochs: 1, protocol: 'last', teacher: null });
    const record = config(at('of-packed'));
    expect(record.student.sha256).toBe(config(at('first')).student.sha256);
    expect(record.teacher).toBe(null);
  });

  it('does not run what a file names as its method', async () => {
    writeFileSync(
      at('evil.js'),
      `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(at('pwned'))}, '');`,
    );
    const path = edited('evil.json', ({ settings }) => Object.assign(settings, { method: at('evil.js') }));
    const { code, stderr } = await idat('train', '--config', path);
    expect(code).toBe(1);
    expect(stderr).toMatch(/evil\.json: settings\.method: unknown tuning method/);
    expect(existsSync(at('pwned'))).toBe(false);
  });
});

describe('train --config', () => {
  it('has flags win, the data set’s place too', async () => {
    cpSync(data, at('moved'), { recursive: true });
    const { code, stdout, stderr } = await idat(
      ...['train', 'moved', '--config', 'first/config.json', '--epochs', '1', '--protocol', 'last', '--seed', '9'],
      ...['--method', 'lora', '--options', 'rank=2', '--teacher', 'none', '--out', 'by-flags', '--json'],
    );
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout).protocol).toBe('last');
    const { settings: now, data: of } = config(at('by-flags'));
    expect(now).toMatchObject({ seed: 9, splitSeed: 42, method: 'lora', teacher: null, epochs: 1, dropPath: 0.1 });
    expect(now.options.rank).toBe(2);
    expect(of.source).toBe(at('moved'));
  });

  it.each([
    ['no data', ['train'], 2, /missing required argument 'data'/],
    [
      'no such file',
      ['train', '--config', 'nowhere.json'],
      1,
      /nowhere\.json: there is no such file; give one such as runs/,
    ],
  ])('%s: one sentence', async (_, args, exit, sentence) => {
    const { code, stderr } = await idat(...args);
    expect(code).toBe(exit);
    expect(stderr).toMatch(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it.each<[string, (record: ReturnType<typeof config>) => void, RegExp]>([
    [
      'another program’s',
      (record) => Object.assign(record, { format: 'x' }),
      /is not the config\.json of a run of idat/,
    ],
    [
      'a setting that is none',
      ({ settings }) => Object.assign(settings, { epohcs: 3 }),
      /settings\.epohcs: no such setting; did you mean epochs/,
    ],
    [
      'a number that cannot be',
      ({ settings }) => Object.assign(settings, { epochs: -3 }),
      /settings\.epochs: .*got -3/,
    ],
    [
      'data that are gone',
      ({ settings }) => Object.assign(settings, { data: '/nowhere/x' }),
      /no such folder.*idat train PATH --config/,
    ],
    [
      'weights that are gone',
      ({ settings }) => Object.assign(settings, { student: '/nowhere/y.safetensors' }),
      /student's weights of .* are not there; say where they are now: --student PATH/,
    ],
    [
      'images from memory',
      ({ settings }) => Object.assign(settings, { data: '(memory)' }),
      /in the memory of a program; give data/,
    ],
  ])('%s: one sentence', async (name, change, sentence) => {
    const path = edited(`${name.replace(/\W/g, '-')}.json`, change);
    const { code, stderr } = await idat('train', '--config', path, '--out', 'not-begun');
    expect(code).toBe(1);
    expect(stderr).toMatch(sentence);
    expect(existsSync(at('not-begun'))).toBe(false);
  });

  it('a file that is no JSON: one sentence', async () => {
    writeFileSync(at('half.json'), '{"format": "idat-run-1"');
    const { code, stderr } = await idat('train', '--config', 'half.json');
    expect(code).toBe(1);
    expect(stderr).toMatch(/half\.json: not JSON/);
  });
});

describe('settings laid over others', () => {
  const stored = (more: object) => {
    const { data: _, ...rest } = parseConfig({ data: 'x', ...more });
    return rest;
  };
  const outcome = (base: object, given: object) => parseConfig({ ...overlaid(base, given), data: 'x' });
  const teacher = 'vit_nano_patch4_32.cifar10';

  it('give the same again where nothing is given', () => {
    const base = stored({ teacher, variant: 'iDAT-P-kl', epochs: 30, hidden: 4 });
    expect(outcome(base, {})).toEqual({ ...base, data: 'x' });
  });
  it('have warm-up and cooldown follow other epochs, unless they were chosen', () => {
    expect(outcome(stored({ epochs: 100 }), { epochs: 20 })).toMatchObject({ warmupEpochs: 2, cooldownEpochs: 2 });
    expect(outcome(stored({ epochs: 100, warmupEpochs: 3 }), { epochs: 20 })).toMatchObject({ warmupEpochs: 3 });
  });
  it('have another method’s options be its own', () => {
    const base = stored({ teacher, method: 'lora', options: { rank: 2 } });
    expect(outcome(base, { method: 'lora' }).options).toMatchObject({ rank: 2 });
    expect(outcome(base, { method: 'ssf' })).toMatchObject({ method: 'ssf', teacherMethod: 'ssf', options: {} });
    expect(outcome(base, { variant: 'iDAT-S-kl' })).toMatchObject({
      method: 'sequential',
      teacherMethod: 'sequential',
      distill: 'kl',
    });
    const other = outcome(stored({ teacher, method: 'lora', teacherMethod: 'bitfit' }), { method: 'ssf' });
    expect(other).toMatchObject({ method: 'ssf', teacherMethod: 'bitfit' });
  });
  it('have an option that is given reach the teacher, which followed', () => {
    const base = stored({ teacher, method: 'parallel', hidden: 4 });
    expect(outcome(base, { hidden: 16 })).toMatchObject({ options: { hidden: 16 }, teacherOptions: { hidden: 16 } });
    expect(outcome(base, { options: { hidden: 16 } }).teacherOptions).toMatchObject({ hidden: 16 });
    const apart = stored({ teacher, method: 'parallel', hidden: 4, teacherOptions: { hidden: 2 } });
    expect(outcome(apart, { options: { hidden: 16 } }).teacherOptions).toMatchObject({ hidden: 2 });
  });
  it('have all of teaching go with the teacher', () => {
    const base = stored({ teacher, distill: 'kl', temperature: 2, teacherLayerNormEps: 1e-5 });
    expect(outcome(base, { teacher: null })).toMatchObject({ teacher: null, temperature: 5 });
  });
});
