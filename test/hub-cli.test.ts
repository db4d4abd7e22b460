/** Fetching as a person meets it: spawned, killed, stopped, started twice. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KNOWN_BACKBONES } from '../src/backbones/known-backbones.js';
import { type Reply, type Seen, sha256, startTestHub, type TestHub } from './hub-server.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const nano = readFileSync(new URL('../assets/models/vit_nano_patch4_32.cifar10.safetensors', import.meta.url));
const HALF = nano.length >> 1;

let hub: TestHub;
let home: string;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'idat-hub-cli-'));
  hub = await startTestHub();
  hub.files.set('tests/nano/model.safetensors', nano);
});
afterEach(async () => {
  await hub.close();
  rmSync(home, { recursive: true });
});

function idat(args: string[], env: Record<string, string> = {}) {
  const { PATH = '' } = process.env;
  const own = { PATH, HOME: home, XDG_CACHE_HOME: join(home, 'cache'), HF_ENDPOINT: hub.endpoint };
  const child = spawn(process.execPath, [main, ...args], { cwd: home, env: { ...own, ...env } });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => (said.stdout += data));
  child.stderr.on('data', (data) => (said.stderr += data));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, ...said })),
  );
  return { child, ended };
}

const FETCH = ['models', 'fetch', 'hf-hub:tests/nano'];
const blobs = () => join(home, 'cache', 'huggingface', 'hub', 'models--tests--nano', 'blobs');
const names = () => (existsSync(blobs()) ? readdirSync(blobs()) : []);

/** The storage gives half of what is asked for and then nothing, once. */
function stallHalfway(): void {
  let stalled = false;
  hub.alter = (reply: Reply, { server, method }: Seen) => {
    if (server !== 'storage' || method !== 'GET' || stalled) return;
    stalled = true;
    reply.body = reply.body.subarray(0, HALF);
    reply.ending = 'stall';
  };
}

async function halfway({ pid }: ChildProcess): Promise<void> {
  await vi.waitFor(
    () => {
      const own = names().find((name) => name.includes(`-${pid}-`));
      expect(own && readFileSync(join(blobs(), own)).length).toBe(HALF);
    },
    { timeout: 20_000 },
  );
}

describe('idat models fetch', () => {
  it('prints where the file is, and asks nobody the second time', async () => {
    const { code, stdout, stderr } = await idat(FETCH).ended;
    const path = join(blobs(), '..', 'snapshots', hub.commit, 'model.safetensors');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${path}\n` });
    expect(stderr).toMatch(/^fetching tests\/nano\/model\.safetensors, \d MB, from 127\.0\.0\.1:\d+ into .*\n/);
    hub.seen.length = 0;
    expect((await idat(FETCH).ended).stdout).toBe(`${path}\n`);
    expect(hub.seen).toEqual([]);
  });

  it('killed half-way goes on from there', async () => {
    stallHalfway();
    const { child, ended } = idat(FETCH);
    await halfway(child);
    child.kill('SIGKILL');
    await ended;
    expect((await idat(FETCH).ended).code).toBe(0);
    expect(hub.downloads().map(({ range }) => range)).toEqual([undefined, `bytes=${HALF}-`]);
    expect(names()).toEqual([sha256(nano)]);
    expect(sha256(readFileSync(join(blobs(), sha256(nano))))).toBe(sha256(nano));
  });

  it('stopped by Ctrl-C ends with 130, and goes on from there', async () => {
    stallHalfway();
    const { child, ended } = idat(FETCH);
    await halfway(child);
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toMatch(/stopped while fetching tests\/nano: what has come is kept, and the same command goes on/);
    expect(names()).toEqual([`${sha256(nano)}.idat.incomplete`]);
    expect((await idat(FETCH).ended).stderr).toMatch(/\(\d(\.\d+)? MB are here\)/);
    expect(hub.downloads().at(-1)!.range).toBe(`bytes=${HALF}-`);
  });

  it('started many times at once leaves one whole file', async () => {
    const ended = await Promise.all([1, 2, 3].map(() => idat(FETCH).ended));
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(names()).toEqual([sha256(nano)]);
    expect(sha256(readFileSync(join(blobs(), sha256(nano))))).toBe(sha256(nano));
  });

  it('refuses what it does not know in one line', async () => {
    const { code, stderr } = await idat(['models', 'fetch', 'vit_tyni_patch16_224']).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^unknown model .* did you mean vit_tiny_patch16_224,.*\n$/);
    expect(hub.seen).toEqual([]);
  });
});

describe('idat models', () => {
  it('lists every known backbone, and where it is', async () => {
    const mine = join(home, 'cache', 'idat', 'models');
    mkdirSync(mine, { recursive: true });
    writeFileSync(join(mine, 'vit_tiny_patch16_224.augreg_in21k.safetensors'), 'by hand');
    const text = (await idat(['models']).ended).stdout;
    for (const { name } of KNOWN_BACKBONES) expect(text).toContain(`${name} `);
    expect(text).toMatch(/vit_nano_patch4_32\.cifar10 .* bundled\n/);
    expect(text).toMatch(/vit_tiny_patch16_224\.augreg_in21k .* ~\/cache\/idat\/models\/vit_tiny_\S+\n/);
    expect(text).toMatch(/vit_base_patch16_224\.augreg_in21k .* not fetched\n/);
    const { models } = JSON.parse((await idat(['models', '--json']).ended).stdout);
    expect(models.find(({ name }: { name: string }) => name.startsWith('vit_small'))).toMatchObject({
      parameters: 21_665_664,
      licence: 'Apache-2.0',
      hub: { repo: 'timm/vit_small_patch16_224.augreg_in21k', file: 'model.safetensors' },
      path: null,
    });
    expect(hub.seen).toEqual([]);
  });
});

describe('idat train', () => {
  const images = () => {
    const pixel = Buffer.from(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC',
      'base64',
    );
    for (let i = 0; i < 20; i++) {
      const folder = join(home, 'images', i % 2 ? 'a' : 'b');
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${i}.png`), pixel);
    }
    return 'images';
  };
  const training = (data: string) => ['train', data, '--student', 'hf-hub:tests/nano', '--epochs', '1', '--out', 'run'];

  it('fetches what it needs, says so, and records the name', async () => {
    const { code, stderr } = await idat(training(images())).ended;
    expect(stderr).toMatch(/^fetching tests\/nano\/model\.safetensors/);
    expect(code).toBe(0);
    const { settings, student } = JSON.parse(readFileSync(join(home, 'run', 'config.json'), 'utf8'));
    expect([settings.student, student.sha256]).toEqual(['hf-hub:tests/nano', sha256(nano)]);
    hub.seen.length = 0;
    expect((await idat(['predict', 'run', 'images/a/1.png']).ended).code).toBe(0);
    expect(hub.seen).toEqual([]);
  });

  it.each([
    ['--offline', ['--offline'], {}],
    ['HF_HUB_OFFLINE', [], { HF_HUB_OFFLINE: '1' }],
  ])('asks nobody with %s', async (_, flags, env) => {
    const { code, stderr } = await idat([...training(images()), ...flags], env as Record<string, string>).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^hf-hub:tests\/nano is not on this disk.*; get it from https:\/\/huggingface\.co\/tests\/nano .*\n$/,
    );
    expect(hub.seen).toEqual([]);
  });

  it('fetches nothing for a data set that is not there', async () => {
    const { code, stderr } = await idat(training('nowhere')).ended;
    expect([code, stderr]).toEqual([1, expect.stringContaining('nowhere: no such folder or file')]);
    expect(hub.seen).toEqual([]);
  });
});
