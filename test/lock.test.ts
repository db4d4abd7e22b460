/** Locks that name their holder: a living one's holds, a dead one's does not, whoever else has its number by now. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { takeLock } from '../src/files/node/lock.js';
import { fateOf, identityText, parseIdentity, thisProcess } from '../src/files/node/process-identity.js';
import { claimIncomplete } from '../src/hub/incomplete.js';
import { fineTune, resume } from '../src/index.js';
import { rememberTuning } from '../src/measure/node/tuning-cache.js';
import { lockRun } from '../src/runs/claim-directory.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
let folder: string;
let path: string;
beforeEach(() => {
  folder = join(root, `case-${count++}`);
  mkdirSync(folder);
  path = join(folder, 'x.lock');
});

const self = thisProcess();
/** Somebody else, who had this process's number before. */
const predecessor = { ...self, started: self.started + 1 };
const away = { ...self, host: '00000000' };
const lockOf = (holder: typeof self) => writeFileSync(path, `${identityText(holder)}\n`);

describe('who a process is', () => {
  it('goes through text, wherever it stands', () => {
    expect(parseIdentity(identityText(self))).toEqual(self);
    expect(parseIdentity(`.idat-${identityText(self)}-0b0e.tmp`)).toEqual(self);
    expect(parseIdentity('.idat-no-owner.tmp')).toBe(null);
  });

  it('tells the living from the dead, also under the same number', () => {
    expect(fateOf(self)).toBe('alive');
    expect(fateOf(away)).toBe('elsewhere');
    if (self.started !== 0) expect(fateOf(predecessor)).toBe('dead');
    const ended = spawnSync(process.execPath, ['-e', '']).pid;
    expect(fateOf({ ...self, pid: ended })).toBe('dead');
  });

  it.runIf(process.platform === 'linux')('one whose exit code nobody asked for is dead', async () => {
    const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 10'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (text) => resolve(Number(text))));
    await expect.poll(() => readFileSync(`/proc/${pid}/stat`, 'latin1')).toMatch(/\) Z /);
    expect(fateOf({ ...self, pid })).toBe('dead');
    parent.kill('SIGKILL');
  });
});

describe('a lock', () => {
  it('is held by one at a time, within a process too', async () => {
    const lock = await takeLock(path);
    await expect(takeLock(path)).rejects.toMatchObject({ code: 'files.locked' });
    await lock.release();
    await lock.release();
    expect(existsSync(path)).toBe(false);
    await (await takeLock(path)).release();
  });

  it('is waited for as long as one is patient', async () => {
    const lock = await takeLock(path);
    setTimeout(() => void lock.release(), 100);
    await (await takeLock(path, { patienceMs: 5000 })).release();
  });

  it('does not hold when its holder was killed, or its number given to another process', async () => {
    for (const pid of [spawnSync(process.execPath, ['-e', '']).pid, self.pid]) {
      lockOf({ ...predecessor, pid });
      const began = performance.now();
      const lock = await takeLock(path);
      expect(performance.now() - began).toBeLessThan(1000);
      expect(parseIdentity(readFileSync(path, 'utf8'))).toEqual(self);
      await lock.release();
    }
  });

  it('of the dead goes to exactly one of many', async () => {
    for (let round = 0; round < 10; round++) {
      lockOf(predecessor);
      const taken = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(path)));
      const locks = taken.filter((one) => one.status === 'fulfilled');
      expect(locks).toHaveLength(1);
      await locks[0]!.value.release();
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  it('of a holder out of sight holds while it gives signs', async () => {
    lockOf(away);
    const signs = setInterval(() => utimesSync(path, new Date(), new Date()), 50);
    await expect(takeLock(path, { silenceMs: 400 })).rejects.toMatchObject({
      code: 'files.locked',
      message: expect.stringContaining('on another machine'),
    });
    clearInterval(signs);
    await (await takeLock(path, { silenceMs: 400 })).release();
  });

  it('half written by a killed process does not hold for ever', async () => {
    writeFileSync(path, '');
    await (await takeLock(path, { silenceMs: 200 })).release();
  });
});

describe('who else asks whether a process lives', () => {
  it('bytes that a killed process was fetching are taken over at once', async () => {
    const blob = join(folder, 'abc');
    writeFileSync(`${blob}.${identityText(predecessor)}-0123abcd.incomplete`, 'half');
    const began = performance.now();
    const own = await claimIncomplete(blob);
    expect(performance.now() - began).toBeLessThan(1000);
    expect(readFileSync(own!, 'utf8')).toBe('half');
  });

  it('a tuning lock that cannot be had costs seconds, not the run', async () => {
    const { XDG_CACHE_HOME: before } = process.env;
    process.env.XDG_CACHE_HOME = folder;
    mkdirSync(join(folder, 'idat', 'tuning.json.lock'), { recursive: true }); // what no unlink removes
    const entry = { microBatch: 1, threads: 1, replicas: 1, msPerImage: 1, why: '', measured: '' };
    const began = performance.now();
    await expect(rememberTuning('key', entry)).rejects.toThrow();
    expect(performance.now() - began).toBeLessThan(5000);
    rmSync(join(folder, 'idat', 'tuning.json.lock'), { recursive: true });
    await rememberTuning('key', entry);
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
  });
});

describe('a run directory', () => {
  let data: string;
  const stopped = join(root, 'stopped');
  const short = (out: string) => ({ ...settings(data, out), teacher: null, epochs: 2, prefixMemory: 64 });
  const stopAtFirstStep = () => {
    const stop = new AbortController();
    return { signal: stop.signal, onProgress: ({ kind }: { kind: string }) => kind === 'step' && stop.abort() };
  };
  beforeAll(async () => {
    data = await makeImageFolder(root, 8);
    await fineTune(short(stopped), stopAtFirstStep()).catch(() => {});
  });

  it('goes to exactly one of two that want it at once', async () => {
    const out = join(root, 'wanted');
    const ended = await Promise.allSettled([fineTune(short(out)), fineTune(short(out))]);
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const [loser] = ended.filter((one) => one.status === 'rejected');
    expect(loser!.reason.code).toMatch(/^run\.(locked|exists)$/);
  });

  it('of a process at work is refused by resume in one sentence', async () => {
    const lock = await lockRun(stopped);
    const { code, stderr } = await new Promise<{ code: number; stderr: string }>((resolve) =>
      execFile(process.execPath, [MAIN, 'resume', stopped], (error, _, text) =>
        resolve({ code: Number(error?.code ?? 0), stderr: text }),
      ),
    );
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `${stopped}: process ${process.pid} is at work on this run; wait until it has ended, or stop it\n`,
    });
    await lock.release();
  });

  it('is free again after the end, after being stopped and after an error', async () => {
    expect(existsSync(join(stopped, 'run.lock'))).toBe(false);
    await expect(resume(stopped, stopAtFirstStep())).rejects.toMatchObject({ code: 'run.interrupted' });
    expect(existsSync(join(stopped, 'run.lock'))).toBe(false);
    const config = join(stopped, 'config.json');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, text.replace(/"fingerprints": \{\s*"\w+": "/, '$&0'));
    await expect(resume(stopped)).rejects.toMatchObject({ code: 'run.changed' });
    expect(existsSync(join(stopped, 'run.lock'))).toBe(false);
    writeFileSync(config, text);
    const [mine, dead] = [self, predecessor].map((owner) => join(stopped, `.idat-${identityText(owner)}-x.tmp`));
    for (const temporary of [mine!, dead!]) writeFileSync(temporary, '');
    await resume(stopped);
    expect([mine!, dead!, join(stopped, 'run.lock')].map((file) => existsSync(file))).toEqual([true, false, false]);
    const undisturbed = join(root, 'undisturbed');
    await fineTune(short(undisturbed));
    rmSync(mine!);
    expect(readdirSync(stopped).sort()).toEqual(readdirSync(undisturbed).sort());
    expect(readFileSync(join(stopped, 'state.safetensors'))).toEqual(
      readFileSync(join(undisturbed, 'state.safetensors')),
    );
  });
});
