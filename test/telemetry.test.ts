/** ONNX Runtime reports to its maker unless told not to: a prediction leaves no file and looks up no name. */
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const fixture = fileURLToPath(new URL('./fixtures/run-0.1', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'idat-telemetry-'));
afterAll(() => rmSync(root, { recursive: true }));

const run = join(root, 'data', 'finished');
cpSync(fixture, join(root, 'data'), { recursive: true });
const config = join(run, 'config.json');
writeFileSync(config, readFileSync(config, 'utf8').replaceAll('/idat-fixture', join(root, 'data')));

/** Folders of a user who has nothing yet; all that appears there was made by the prediction. */
const homes = Object.fromEntries(
  ['HOME', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME', 'TMPDIR'].map((name) => {
    const folder = join(root, name);
    mkdirSync(folder);
    return [name, folder];
  }),
);
const { ORT_DISABLE_TELEMETRY: _, ...inherited } = process.env;

function predict(command: string, ...args: string[]): Promise<{ code: number; stdout: string }> {
  const image = join(fixture, 'images', 'red.png');
  const options = { env: { ...inherited, ...homes }, timeout: 50_000 };
  return new Promise((resolve) =>
    execFile(command, [...args, main, 'predict', run, image, '--top', '1'], options, (error, stdout) =>
      resolve({ code: error ? Number(error.code) : 0, stdout }),
    ),
  );
}

const filesLeft = () => Object.values(homes).flatMap((folder) => readdirSync(folder, { recursive: true }) as string[]);

it('no file in home, cache or temporary folder', async () => {
  expect(await predict(process.execPath)).toMatchObject({ code: 0, stdout: expect.stringContaining('red') });
  expect(filesLeft()).toEqual([]);
});

const withoutStrace = (() => {
  try {
    execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' });
    return '';
  } catch {
    return ' (skipped: needs strace, and the right to use it)';
  }
})();

it.skipIf(withoutStrace)(
  `no connection, no name looked up, nothing of the maker's opened${withoutStrace}`,
  async () => {
    const trace = join(root, 'trace');
    const flags = ['-f', '-qq', '-e', 'trace=connect,sendto,sendmsg,sendmmsg,openat,mkdir', '-s', '200', '-o', trace];
    expect(await predict('strace', ...flags, process.execPath)).toMatchObject({ code: 0 });
    const calls = readFileSync(trace, 'utf8');
    expect(calls).not.toMatch(/microsoft|sa_family=AF_INET/i);
  },
);
