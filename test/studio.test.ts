/** The studio as a server: whom it lets in, which paths it follows, what it tells of runs that others make. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { takeLock } from '../src/files/node/lock.js';
import { writeZip } from '../src/files/web/zip.js';
import { compareRuns } from '../src/report/run-comparison.js';
import { knownHosts } from '../src/serving/guard.js';
import { resolveConfig } from '../src/settings/config.js';
import { comparePaired } from '../src/statistics/index.js';
import { EventHub } from '../src/studio/event-hub.js';
import type { FormAnswer, ShownRun } from '../src/studio/page/api.js';
import { seedsOf, textOf, typedValue, valuesOf } from '../src/studio/page/field-values.js';
import { routeOf } from '../src/studio/page/route.js';
import { FIRST_SELECTION, type ListedRow, selectRuns } from '../src/studio/page/select-runs.js';
import { copyRuns } from './old-run-support.js';
import { askRaw, eventsUntil, type TestStudio, testStudio } from './studio-support.js';
import { makeImageFolder, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
const runs = join(root, 'runs');
let studio: TestStudio;
let pictures: string;

beforeAll(async () => {
  mkdirSync(runs);
  copyRuns('0.1', runs);
  pictures = await makeImageFolder(root, 4);
  studio = await testStudio(runs, { dataRoots: [pictures], uploadLimits: { bytes: 4000, files: 20, fileBytes: 1000 } });
});
afterAll(async () => {
  await studio?.close();
  rmSync(root, { recursive: true });
});

describe('who is let in', () => {
  const ok = () => ({ authorization: `Bearer ${studio.token}` });

  it('nobody without the token, which an address turns into a cookie that scripts do not see', async () => {
    expect((await askRaw(studio.url)).status).toBe(401);
    expect((await askRaw(`${studio.url}api/form`)).status).toBe(401);
    expect((await askRaw(`${studio.url}?token=${studio.token}x`)).status).toBe(401);
    const { status, headers } = await askRaw(studio.address);
    expect([status, headers.location]).toEqual([303, '/']);
    const [cookie] = headers['set-cookie'] as string[];
    expect(cookie).toMatch(/^idat-studio-\d+=[\w-]{32}; Path=\/; HttpOnly; SameSite=Strict$/);
    expect((await askRaw(studio.url, { headers: { cookie: cookie!.split(';')[0]! } })).status).toBe(200);
    expect((await askRaw(studio.url, { headers: { cookie: cookie!.split(';')[0]!.slice(0, -1) } })).status).toBe(401);
  });

  it('no name that is not its own, as when a name of the web is made to point here', async () => {
    const { port } = new URL(studio.url);
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1', `127.0.0.1.evil.example:${port}`]) {
      expect([host, (await askRaw(studio.address, { headers: { host, ...ok() } })).status]).toEqual([host, 403]);
    }
    for (const host of [`localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
      expect([host, (await askRaw(studio.url, { headers: { host, ...ok() } })).status]).toEqual([host, 200]);
    }
  });

  it('names that a proxy has, at its own port as at the studio’s', async () => {
    const names = [
      ...knownHosts('127.0.0.1', 7457, ['Studio.example.org', 'lab.example:443', 'lab.example:8443', 'fd00::1']),
    ];
    const [own, proxied] = [names.slice(0, 3), names.slice(3)];
    expect(own).toEqual(['localhost:7457', '127.0.0.1:7457', '[::1]:7457']);
    expect(proxied).toEqual([
      ...['studio.example.org:7457', 'studio.example.org', 'lab.example:443', 'lab.example', 'lab.example:8443'],
      ...['[fd00::1]:7457', '[fd00::1]'],
    ]);
  });

  it('no page of another origin, also of another port of this machine', async () => {
    const asked = async (headers: Record<string, string>) =>
      (await askRaw(`${studio.url}api/form`, { headers: { ...headers, ...ok() } })).status;
    expect(await asked({ origin: 'https://evil.example' })).toBe(403);
    expect(await asked({ origin: 'http://127.0.0.1:1' })).toBe(403);
    expect(await asked({ origin: 'null' })).toBe(403);
    expect(await asked({ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' })).toBe(403);
    expect(await asked({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).toBe(403);
    expect(await asked({ 'sec-fetch-site': 'same-origin', origin: studio.url.slice(0, -1) })).toBe(200);
    // a link to the page itself may stand anywhere
    const opened = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect((await askRaw(studio.url, { headers: { ...opened, ...ok() } })).status).toBe(200);
  });

  it('and says that its pages load nothing of others and stand in nobody’s frame', async () => {
    const { headers } = await studio.ask('');
    expect(headers['content-security-policy']).toMatch(
      /default-src 'none'; script-src 'self';.*frame-ancestors 'none'/,
    );
    expect(headers).toMatchObject({ 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff' });
    expect(headers).toMatchObject({ 'cross-origin-resource-policy': 'same-origin', 'cache-control': 'no-store' });
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });
});

it('takes as long for an upload as it needs, and lets go who says nothing', async () => {
  let limits: Partial<Server> = {};
  const look = (message: unknown) => {
    limits = (message as { server: Server }).server;
  };
  subscribe('http.server.request.start', look);
  await studio.ask('');
  unsubscribe('http.server.request.start', look);
  const { headersTimeout, requestTimeout, timeout } = limits;
  // Node ends a request after five minutes, however much of it comes, where nobody says otherwise
  expect({ headersTimeout, requestTimeout, timeout }).toEqual({
    headersTimeout: 15_000,
    requestTimeout: 0,
    timeout: 900_000,
  });
});

describe('paths', () => {
  it('of runs are those of the list alone', async () => {
    for (const name of ['../outside', '..', '.', 'finished/..', '/etc', 'finished/../finished', 'none', '']) {
      const path = `api/run?run=${encodeURIComponent(name)}`;
      expect([name, await studio.refusal(path)]).toEqual([name, '404 run.missing']);
    }
    expect(await studio.refusal('api/runs/remove', { json: { names: ['../pictures'] } })).toBe('404 run.missing');
    expect(await studio.refusal('api/runs/restore?id=../..', { json: {} })).toBe('400 run.removed');
    expect(await studio.refusal('api/form/check', { method: 'POST', body: '{' })).toBe('400 studio.request');
    const large = { names: ['x'.repeat(300_000)] };
    expect(await studio.refusal('api/runs/remove', { json: large })).toBe('413 studio.size');
    expect(await studio.refusal(`api/sweep/resume?run=${encodeURIComponent('../x')}`, { json: {} })).toBe(
      '400 studio.path',
    );
    expect((await studio.ask('../../package.json')).status).toBe(404);
    expect((await studio.ask('%2e%2e/%2e%2e/package.json')).status).toBe(404);
  });

  const fieldsOf = async (form: object): Promise<string[]> => {
    const { issues } = await studio.get<FormAnswer>('api/form/check', { json: form });
    return issues.map(({ field }) => `${field}`);
  };

  it('of data and weights stay in the folder and its data roots, links followed', async () => {
    symlinkSync('/etc', join(runs, 'way-out'));
    expect(await fieldsOf({ data: pictures, settings: {} })).toEqual([]);
    expect(await fieldsOf({ data: join(pictures, '..', 'colours'), settings: {} })).toEqual([]);
    for (const data of ['/etc', join(runs, 'way-out'), join(runs, '..'), `${pictures}-more`]) {
      expect([data, await fieldsOf({ data, settings: {} })]).toEqual([data, ['data']]);
    }
    expect(await fieldsOf({ data: pictures, settings: { student: '/etc/x.safetensors' } })).toEqual(['student']);
    expect(await fieldsOf({ data: pictures, settings: { out: '/tmp/x' } })).toEqual(['out']);
    const vary = { student: ['vit_micro_patch4_32.cifar10', '/etc/x.safetensors'] };
    const varied = { name: 'x', seeds: [1], alone: false, vary };
    expect(await fieldsOf({ data: pictures, settings: {}, sweep: varied })).toEqual(['student']);
    const sweep = { name: '../x', seeds: [1], alone: false, vary: {} };
    expect(await studio.refusal('api/form/check', { json: { data: pictures, settings: {}, sweep } })).toBe(
      '400 config.field',
    );
    unlinkSync(join(runs, 'way-out'));
  });

  it('of uploads stay in their own folder, which is bounded and gone when nothing comes of it', async () => {
    const begin = async () => (await studio.get('api/upload', { json: { name: '../../a/b' } })).id as string;
    const put = (id: string, path: string, size = 10) =>
      studio.refusal(`api/upload?id=${id}&path=${encodeURIComponent(path)}`, {
        method: 'PUT',
        body: Buffer.alloc(size),
      });
    const id = await begin();
    for (const path of [
      '../x.png',
      '/x.png',
      'a/../../x.png',
      'a\\b.png',
      '.hidden/x.png',
      'a//x.png',
      'C:x.png',
      'x.js',
      'x',
    ])
      expect([path, await put(id, path)]).toEqual([path, '400 upload.path']);
    expect(await put(id, 'a/large.png', 1001)).toBe('400 upload.size');
    for (let i = 0; i < 4; i++) {
      await studio.get(`api/upload?id=${id}&path=a/${i}.png`, { method: 'PUT', body: Buffer.alloc(990) });
    }
    expect(await put(id, 'a/one-too-many.png', 500)).toBe('400 upload.size');
    expect(await put('feed', 'a.png')).toBe('400 upload.unknown');
    expect(await studio.refusal(`api/upload/end?id=${id}`, { json: {} })).toMatch(/^400 data\./);
    expect(readdirSync(join(runs, 'uploads'))).toEqual([]);
    expect(readdirSync(root).sort()).toEqual(['colours', 'runs']);
  });

  it('of a folder that is uploaded can be trained on at once', async () => {
    const { id } = await studio.get('api/upload', { json: { name: 'my colours!' } });
    for (const label of ['red', 'blue']) {
      for (const n of [0, 1, 2, 3]) {
        const body = readFileSync(join(pictures, label, `${n}.png`));
        await studio.get(`api/upload?id=${id}&path=${label}/${n}.png`, { method: 'PUT', body });
      }
    }
    const again = { method: 'PUT', body: Buffer.alloc(10) };
    expect(await studio.refusal(`api/upload?id=${id}&path=red/0.png`, again)).toBe('400 upload.twice');
    const { path, says } = await studio.get(`api/upload/end?id=${id}`, { json: {} });
    expect(readFileSync(join(path, 'red', '0.png'))).toEqual(readFileSync(join(pictures, 'red', '0.png')));
    expect(says).toMatch(/^2 classes, \d pictures to learn from and \d to be tested on$/);
    expect(path).toBe(join(runs, 'uploads', 'my-colours'));
    expect(await fieldsOf({ data: path, settings: {} })).toEqual([]);
    const files = ['red', 'blue'].flatMap((label) =>
      [0, 1, 2, 3].map((n) => ({ name: `${label}/${n}.png`, bytes: readFileSync(join(pictures, label, `${n}.png`)) })),
    );
    const zip = await studio.get('api/upload', { json: { name: 'my.zip' } });
    const body = new Uint8Array(await (await writeZip(files)).arrayBuffer());
    await studio.get(`api/upload?id=${zip.id}&path=my.zip`, { method: 'PUT', body });
    expect(await studio.refusal(`api/upload?id=${zip.id}&path=a/1.png`, { method: 'PUT', body })).toBe(
      '400 upload.path',
    );
    const { path: packed } = await studio.get(`api/upload/end?id=${zip.id}`, { json: {} });
    expect(packed).toBe(join(runs, 'uploads', 'my.zip'));
    rmSync(join(runs, 'uploads'), { recursive: true });
  });
});

describe('the form', () => {
  const check = (form: object) => studio.get<FormAnswer>('api/form/check', { json: form });

  it('says what is wrong at its field', async () => {
    const { issues, command } = await check({ data: pictures, settings: { epochs: 0, lr: 'fast', method: 'lora2' } });
    expect(issues.map(({ field }) => field)).toEqual(['lr', 'epochs'].reverse());
    expect(command).toBe('');
    const { issues: unknown } = await check({ data: pictures, settings: { method: 'lora2' } });
    expect(unknown).toEqual([{ field: 'method', message: expect.stringContaining('lora') }]);
    const { issues: alone } = await check({ data: pictures, settings: { distill: 'kl' } });
    expect(alone).toEqual([{ field: 'distill', message: expect.stringContaining('teacher') }]);
    expect((await check({ data: '', settings: {} })).issues).toMatchObject([{ field: 'data' }]);
  });

  it('leaves nothing of a training that never began, stopped or as the studio ends', async () => {
    const folder = join(root, 'waiting');
    const other = await testStudio(folder, { dataRoots: [pictures] });
    let finish = () => {};
    const work = () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      });
    other.studio.jobs.add({ kind: 'train', about: 'first', command: '', work });
    const form = { data: pictures, settings: { epochs: 1 } };
    const [stopped] = [await other.studio.start(form), await other.studio.start(form)];
    expect(readdirSync(folder).length).toBe(2);
    other.studio.jobs.stop(stopped.id);
    await expect.poll(() => readdirSync(folder).length).toBe(1);
    const closed = other.close();
    finish();
    await closed;
    expect(readdirSync(folder)).toEqual([]);
  });

  it('shows the command line that does the same', async () => {
    const settings = { teacher: 'vit_nano_patch4_32.cifar10', options: { hidden: 8 }, flip: true, orient: false };
    const { command } = await check({ data: pictures, preset: 'paper', recipe: 'none', settings });
    expect(command).toBe(
      `idat train ${pictures} --preset paper --recipe none --no-orient --teacher vit_nano_patch4_32.cifar10 ` +
        `--options hidden=8 --flip --out ${join(runs, 'colours-iDAT-S-mse-1')}`,
    );
  });

  it('makes a sweep’s plan of seeds, a teacher that is there or not, and settings that vary', async () => {
    const sweep = { name: 'both', seeds: [1, 2], alone: true, vary: { lr: [0.001, 0.003] } };
    const settings = { teacher: 'vit_nano_patch4_32.cifar10', epochs: 2 };
    const { runs: count, plan, issues, command } = await check({ data: pictures, settings, sweep });
    expect([count, issues]).toEqual([8, []]);
    expect(command).toBe(`idat sweep ${join(runs, 'both', 'plan.yaml')}`);
    expect(plan).toMatch(/name: alone\n.*name: taught\n {4}teacher: vit_nano/s);
    const alone = await check({ data: pictures, settings: {}, sweep });
    expect(alone.issues).toMatchObject([{ field: 'teacher' }]);
    mkdirSync(join(runs, 'both'));
    writeFileSync(join(runs, 'both', 'plan.yaml'), plan!);
    expect((await check({ data: pictures, settings, sweep })).issues).toEqual([]);
    const other = await check({ data: pictures, settings, sweep: { ...sweep, seeds: [3] } });
    expect(other.issues).toMatchObject([{ field: 'sweep.name' }]);
    rmSync(join(runs, 'both'), { recursive: true });
  });

  it('reads what is typed as the settings’ types', () => {
    const field = (type: object, nullable = false) => ({ type: type as never, nullable });
    const number = field({ kind: 'number' });
    expect([typedValue(number, ' 1e-3 '), typedValue(number, '0x8'), typedValue(number, '')]).toEqual([
      0.001,
      '0x8',
      undefined,
    ]);
    expect(typedValue(field({ kind: 'text' }, true), 'none')).toBe(null);
    expect(typedValue(field({ kind: 'record' }), 'rank=8 on=true name=x')).toEqual({ rank: 8, on: true, name: 'x' });
    expect(typedValue(field({ kind: 'list', of: { kind: 'integer' } }), '1, 3 5')).toEqual([1, 3, 5]);
    expect(valuesOf(number, '0.1, 0.2,')).toEqual([0.1, 0.2]);
    expect([seedsOf('1-3, 7 7'), seedsOf('x'), seedsOf('')]).toEqual([[1, 2, 3, 7], null, null]);
    expect([textOf({ rank: 8 }), textOf(null), textOf([1, 2]), textOf(undefined)]).toEqual([
      'rank=8',
      'none',
      '1, 2',
      '',
    ]);
  });
});

describe('runs that others make', () => {
  it('come, go on, end and go without being asked for', async () => {
    const name = 'elsewhere/new';
    const dir = join(runs, name);
    const isOf = (test: (run: ShownRun) => boolean) => (event: { kind: string; runs?: readonly ShownRun[] }) =>
      event.kind === 'runs' && (event.runs ?? []).some((run) => run.name === name && test(run));
    await eventsUntil(
      studio,
      isOf(({ state }) => state === 'stopped'),
      {
        meanwhile: () => cpSync(join(runs, 'stopped'), dir, { recursive: true }),
      },
    );
    const lock = await takeLock(join(dir, 'run.lock'));
    const metrics = join(dir, 'metrics.jsonl');
    const [first] = readFileSync(metrics, 'utf8').split('\n');
    const before = readFileSync(metrics, 'utf8').trim().split('\n').length;
    const events = await eventsUntil(
      studio,
      (event) => event.kind === 'epochs' && event.from + event.epochs.length > before,
      {
        run: name,
        meanwhile: () =>
          writeFileSync(
            metrics,
            `${readFileSync(metrics, 'utf8').trim()}\n${first!.replace(/"epoch":\d+/, `"epoch":${before}`)}\n`,
          ),
      },
    );
    expect(events[0]).toMatchObject({ kind: 'all' });
    expect(events[1]).toMatchObject({ kind: 'epochs', from: 0 });
    expect((await studio.get('api/run?run=elsewhere/new')).run).toMatchObject({
      state: 'running',
      task: expect.any(String),
    });
    expect(await studio.refusal('api/runs/remove', { json: { names: [name] } })).toBe('400 run.locked');
    expect(await studio.refusal('api/run/resume?run=elsewhere/new', { json: {} })).toBe('400 run.locked');
    // a process that is killed writes nothing
    await eventsUntil(
      studio,
      isOf(({ state }) => state === 'stopped'),
      { meanwhile: () => lock.release() },
    );
    await eventsUntil(studio, (event) => event.kind === 'runs' && event.gone.includes(name), {
      meanwhile: () => rmSync(join(runs, 'elsewhere'), { recursive: true }),
    });
  }, 30_000);

  it('are told to pages as long as those are there, and then to nobody', async () => {
    await expect.poll(() => studio.studio.hub.size, { timeout: 5000 }).toBe(0);
    await eventsUntil(studio, ({ kind }) => kind === 'all');
    await expect.poll(() => studio.studio.hub.size, { timeout: 5000 }).toBe(0);
  });

  it('do not pile up before a page that does not read', async () => {
    const hub = new EventHub();
    const listener = hub.listen('a');
    const epoch = { phase: 'final', epoch: 0 } as never;
    for (let i = 0; i < 10_000; i++) {
      hub.tell({ kind: 'runs', runs: [{ name: `run ${i % 7}`, changed: `${i}` } as never], gone: [] });
      hub.tell({ kind: 'job', job: { id: `${i % 3}` } as never });
      hub.tell({ kind: 'step', step: { step: i } as never }, 'a');
      hub.tell({ kind: 'epochs', from: i % 50, epochs: [epoch], secondsLeft: null }, 'a');
      hub.tell({ kind: 'step', step: { step: -1 } as never }, 'of another run');
    }
    const events = await listener.next(0);
    expect(events).toHaveLength(7 + 3 + 1 + 1);
    expect(events).toContainEqual({ kind: 'step', step: { step: 9999 } });
    expect(events.find(({ kind }) => kind === 'epochs')).toMatchObject({ epochs: { length: 50 } });
    for (let i = 0; i < 100; i++) hub.listen(null);
    expect(hub.size).toBe(64);
    hub.close();
    expect(hub.size).toBe(0);
  });
});

describe('a run', () => {
  it('keeps tags and a note, and is put aside and back', async () => {
    const json = { tags: ['paper', ' paper ', '<b>'], note: 'two\nlines' };
    const noted = await studio.get('api/run/notes?run=finished', { method: 'PUT', json });
    expect(noted).toMatchObject({ tags: ['paper', '<b>'], note: 'two\nlines' });
    const files = readdirSync(join(runs, 'finished')).sort();
    // a page is told of what it can undo, also where another run of the same request cannot be put aside
    const remove = () => studio.refusal('api/runs/remove', { json: { names: ['finished', 'none'] } });
    let refused: string | undefined;
    const events = await eventsUntil(studio, ({ kind }) => kind === 'removed', {
      meanwhile: async () => {
        refused = await remove();
      },
    });
    expect(refused).toBe('404 run.missing');
    expect(studio.studio.folder.runs.has('finished')).toBe(false);
    const { removed } = events.at(-1) as unknown as { removed: { id: string }[] };
    await studio.get(`api/runs/restore?id=${removed[0]!.id}`, { json: {} });
    expect(readdirSync(join(runs, 'finished')).sort()).toEqual(files);
    expect(readdirSync(runs).filter((name) => name.startsWith('.'))).toEqual([]);
    expect((await studio.get('api/run?run=finished')).run).toMatchObject({ tags: ['paper', '<b>'] });
    const long = { tags: [], note: 'x'.repeat(10_001) };
    expect(await studio.refusal('api/run/notes?run=finished', { method: 'PUT', json: long })).toBe('400 run.notes');
  });

  it('is shown without paths of the machine but in its commands', async () => {
    const { command, resumeCommand, ...rest } = await studio.get('api/run?run=finished');
    expect(command).toContain('idat train ');
    expect(resumeCommand).toContain(join(runs, 'finished'));
    const { data, student, teacher, ...settings } = rest.settings;
    expect(JSON.stringify({ ...rest, settings })).not.toContain(root);
    expect([data, student]).toEqual([expect.any(String), expect.any(String)]);
    expect(JSON.stringify(studio.studio.runs())).not.toContain(root);
  });
});

describe('a comparison', () => {
  const base = { data: '/d/pets', epochs: 10 };
  const run = (seed: number, accuracy: number | null, more: object = {}) => ({
    ...{ name: `${JSON.stringify(more)} ${seed}`, accuracy },
    settings: resolveConfig({ ...base, seed, ...more }, 42),
  });
  const taught = { teacher: 'vit_nano_patch4_32.cifar10', distill: 'kl', temperature: 3 };

  it('pairs runs by task and seed, and says in what they differ', () => {
    const alone = [0.5, 0.52, 0.56].map((value, seed) => run(seed, value));
    const others = [0.55, 0.58, 0.57].map((value, seed) => run(seed, value, taught));
    const { differing, rows, against, notes } = compareRuns([...alone, ...others, run(9, null)]);
    expect(differing.map(({ name }) => name)).toEqual(['teacher', 'seed']);
    expect(rows.map(({ label }) => label)).toEqual(['parallel-shared', 'iDAT-PS-kl']);
    expect(against).toBe('parallel-shared');
    const of = (values: number[]) => values.map((value, seed) => ({ task: 'pets', seed, value }));
    const { summary, interval, test } = comparePaired(of([0.5, 0.52, 0.56]), of([0.55, 0.58, 0.57]));
    expect(rows[1]!.difference).toMatchObject({ pairs: 3, mean: summary.mean, interval, p: test.p });
    expect(notes).toEqual(['1 of 7 runs have not ended, and are in the curves alone.']);
  });

  it('holds against another row, and tells of what is there twice', () => {
    const all = [run(1, 0.5), run(1, 0.6), run(1, 0.7, { lr: 0.1 }), run(2, 0.8, { lr: 0.1, data: '/e/dogs' })];
    const { rows, notes, against } = compareRuns(all, 'parallel-shared, lr 0.1');
    expect(against).toBe('parallel-shared, lr 0.1');
    expect(rows.map(({ label, runs: own }) => [label, own.length])).toEqual([
      ['parallel-shared, lr 0.005', 2],
      ['parallel-shared, lr 0.1', 2],
    ]);
    expect(rows[0]!.difference).toMatchObject({ pairs: 1, interval: null });
    expect(notes[0]).toMatch(/^Made twice/);
  });
});

describe('the list', () => {
  const row = (name: string, more: Partial<ShownRun> = {}): ListedRow => {
    const run = { name, task: 'pets', variant: 'lora', method: 'lora', loss: null, seed: 1, tags: [], note: '' };
    return {
      state: 'finished',
      run: { ...run, result: null, student: 's', teacher: null, changed: name, ...more } as never,
    };
  };

  it('is searched, sorted and grouped', () => {
    const rows = [
      row('a-10', { tags: ['x', 'y'], result: { accuracy: 0.5 } as never }),
      row('a-9', { tags: ['x'], result: { accuracy: 0.7 } as never, loss: 'kl' }),
      row('b', { task: 'dogs', seed: 2 }),
    ];
    const names = (part: object) =>
      selectRuns(rows, { ...FIRST_SELECTION, ...part }).map(({ name, rows: own }) => [
        name,
        own.map(({ run }) => run.name),
      ]);
    expect(names({ order: 'name', descending: false })).toEqual([['', ['a-9', 'a-10', 'b']]]);
    expect(names({ order: 'accuracy', descending: true })).toEqual([['', ['a-9', 'a-10', 'b']]]);
    expect(names({ text: 'dogs SEED 2' })).toEqual([['', ['b']]]);
    expect(names({ state: 'running' })).toEqual([]);
    expect(names({ group: 'tag', order: 'name', descending: false })).toEqual([
      ['no tag', ['b']],
      ['x', ['a-9', 'a-10']],
      ['y', ['a-10']],
    ]);
    expect(selectRuns(rows, { ...FIRST_SELECTION, group: 'loss' })[1]).toMatchObject({ name: 'no teacher', mean: 0.5 });
  });

  it('leads to addresses that any name survives', () => {
    const name = 'a/b c?#%&<x>';
    expect(routeOf(`#/run/${encodeURIComponent(name)}`)).toEqual({ view: 'run', name });
    expect(routeOf('#/compare/a%2Fb/c')).toEqual({ view: 'compare', names: ['a/b', 'c'] });
    expect(routeOf('#/run/%E0%A4%A')).toEqual({ view: 'runs' });
  });
});
