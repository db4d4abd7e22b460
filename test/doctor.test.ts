/** `idat doctor`: what is said of a machine that is well, and of one on which something is broken. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { sentence } from '../src/bench/device-trial.js';
import type { Diagnosis } from '../src/bench/doctor.js';
import { machineFacts } from '../src/bench/machine-facts.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'idat-doctor-test-'));
afterAll(() => rmSync(root, { recursive: true }));

const doctor = (args: string[], env: Record<string, string> = {}) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((done) =>
    execFile(
      process.execPath,
      [main, 'doctor', ...args],
      { env: { ...process.env, ...env } },
      (error, stdout, stderr) => done({ code: error ? Number(error.code) : 0, stdout, stderr }),
    ),
  );

describe('idat doctor', () => {
  it('tries and measures, in 80 columns and without traces', async () => {
    const { code, stdout, stderr } = await doctor([], { XDG_CACHE_HOME: root });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(stdout).toMatch(/^idat +\d+\.\d+\.\d+, Node \d+.*, ONNX Runtime 1\./m);
    expect(stdout).toMatch(/^cpu +works$/m);
    expect(stdout).toMatch(/^(cuda|webgpu) +(works|no: [^\n]+)$/m);
    expect(stdout).toMatch(/^speed +(at least )?\d+ GFLOP\/s/m);
    expect(stdout).toMatch(/^telemetry +off$/m);
    expect(stdout).not.toMatch(/huggingface/);
  });

  it('warns of a cache that cannot be written, which is no failure', async () => {
    writeFileSync(join(root, 'file'), '');
    const { code, stdout } = await doctor(['--json'], { XDG_CACHE_HOME: join(root, 'file') });
    expect(code).toBe(0);
    const { cache, findings, speed, machine } = JSON.parse(stdout) as Diagnosis;
    expect(cache).toMatchObject({ bytes: null, writable: false });
    expect(findings[0]).toEqual({
      severity: 'warning',
      text: expect.stringMatching(/file.idat: cannot write in the cache folder/),
    });
    expect(speed!.imagesPerSecond).toBeGreaterThan(0);
    expect(machine.cores.available).toBeGreaterThan(0);
  });

  it('ends with 1 and a sentence where the runtime does not load', async () => {
    const broken = join(root, 'broken.cjs');
    writeFileSync(
      broken,
      `const open = process.dlopen;
      process.dlopen = (module, file, ...rest) => {
        if (/onnxruntime/.test(file)) throw new Error('libonnxruntime.so.1: cannot open shared object file');
        return open(module, file, ...rest);
      };`,
    );
    const { code, stdout, stderr } = await doctor([], { NODE_OPTIONS: `--require ${broken}`, XDG_CACHE_HOME: root });
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(/^speed +not measured/m);
    expect(stdout.replace(/\s+/g, ' ')).toMatch(
      /error: ONNX Runtime does not load on this \S+ \S+: libonnxruntime\.so\.1: cannot open/,
    );
  });

  it('asks the hub only with --network, and says why it cannot be reached', async () => {
    const env = { HF_ENDPOINT: 'http://127.0.0.1:9', XDG_CACHE_HOME: root, HF_HOME: join(root, 'hf') };
    const { code, stdout } = await doctor(['--network'], env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^hub +http:\/\/127\.0\.0\.1:9\/: cannot reach/m);
    expect(stdout).toMatch(/^hub cache +\S+hub \(writable/m);
  });
});

describe('reasons', () => {
  it('are one sentence, without places in sources', () => {
    const native =
      '/onnxruntime_src/onnxruntime/core/session/provider.cc:1423 CUDA failure 35: driver is too old\nstack:\n  0x1';
    expect(sentence('cuda', native)).toBe('CUDA failure 35: driver is too old');
    expect(sentence('webgpu', 'Failed to get a WebGPU adapter: No supported adapters.\nWarning: x')).toBe(
      'no graphics adapter that webgpu could use was found',
    );
    expect(sentence('cuda', 'x'.repeat(300))).toHaveLength(200);
  });
});

it('the machine is described within what it has', async () => {
  const { cores, memory, load } = await machineFacts();
  expect(cores.available).toBeLessThanOrEqual(cores.machine);
  expect(memory.available).toBeLessThanOrEqual(memory.total);
  if (load !== null) expect(load).toBeGreaterThanOrEqual(0);
});
