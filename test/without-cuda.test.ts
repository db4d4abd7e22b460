/** The installation is spared the fetching of CUDA, and only where nobody has chosen otherwise. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withoutCuda } from '../install/without-cuda.js';
import { temporaryFolder } from './train-support.js';

const modules = fileURLToPath(new URL('../node_modules', import.meta.url));
const LIBRARIES = ['cuda', 'shared', 'tensorrt'].map((name) => `libonnxruntime_providers_${name}.so`);

let root: string;
let runtime: string;
let libraries: string;
const from = () => pathToFileURL(join(root, 'node_modules/idat/install/without-cuda.js'));

/** A project in which idat and onnxruntime-node, as published but for its libraries, have just been unpacked. */
beforeEach(() => {
  root = temporaryFolder();
  runtime = join(root, 'node_modules/onnxruntime-node');
  libraries = join(runtime, 'bin/napi-v6/linux/x64');
  mkdirSync(libraries, { recursive: true });
  for (const name of ['package.json', 'script'])
    cpSync(join(modules, 'onnxruntime-node', name), join(runtime, name), { recursive: true });
  for (const name of ['adm-zip', 'global-agent']) symlinkSync(join(modules, name), join(root, 'node_modules', name));
  writeFileSync(join(root, 'package.json'), '{ "name": "project", "dependencies": { "idat": "*" } }');
});
afterEach(() => rmSync(root, { recursive: true }));

const npm = () => ({ npm_config_local_prefix: root, npm_package_json: join(runtime, 'package.json') });
const put = (env: NodeJS.ProcessEnv = npm()) => withoutCuda(env, from(), 'linux/x64');

describe('place holders', () => {
  it('stand where onnxruntime-node would fetch, and say what they are', () => {
    expect(
      put()
        .map((file) => file.slice(libraries.length + 1))
        .sort(),
    ).toEqual(LIBRARIES);
    const text = readFileSync(join(libraries, LIBRARIES[0]!), 'utf8');
    expect(text).toContain('ONNXRUNTIME_NODE_INSTALL=true npm rebuild onnxruntime-node');
    // `src/runtime/node/worker.ts` knows them by their size
    expect(text.length).toBeLessThan(1000);
  });

  it.runIf(process.platform === 'linux' && process.arch === 'x64')(
    'satisfy its script, which then fetches nothing',
    () => {
      put();
      const { PATH } = process.env;
      const { status, stdout, stderr } = spawnSync(process.execPath, ['./script/install'], {
        cwd: runtime,
        env: { PATH, ...npm() },
        encoding: 'utf8',
        timeout: 30_000,
      });
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
    },
  );

  it('replace no library that is there', () => {
    writeFileSync(join(libraries, LIBRARIES[1]!), 'a library');
    expect(put()).toHaveLength(2);
    expect(readFileSync(join(libraries, LIBRARIES[1]!), 'utf8')).toBe('a library');
  });

  it('are not needed on other systems', () => {
    expect(withoutCuda(npm(), from(), 'darwin/arm64')).toEqual([]);
  });
});

describe('who has chosen is left alone', () => {
  it.each([
    'ONNXRUNTIME_NODE_INSTALL',
    'ONNXRUNTIME_NODE_INSTALL_CUDA',
    'npm_config_onnxruntime_node_install',
    'npm_config_onnxruntime_node_install_cuda',
  ])('by %s', (name) => {
    expect(put({ ...npm(), [name]: 'true' })).toEqual([]);
    expect(readdirSync(libraries)).toEqual([]);
  });

  it('by depending on onnxruntime-node', () => {
    writeFileSync(join(root, 'package.json'), '{ "dependencies": { "idat": "*", "onnxruntime-node": "1.30.0" } }');
    expect(put()).toEqual([]);
    expect(put({ ...npm(), npm_config_global: 'true' })).toHaveLength(3);
  });
});

describe('the script', () => {
  const script = () => join(root, 'node_modules/idat/install/without-cuda.js');
  const start = (path: string) =>
    spawnSync(process.execPath, [path], { env: { PATH: process.env.PATH, ...npm() } }).status;
  beforeEach(() => {
    mkdirSync(join(root, 'node_modules/idat/install'), { recursive: true });
    writeFileSync(join(root, 'node_modules/idat/package.json'), '{ "type": "module" }');
    cpSync(fileURLToPath(new URL('../install/without-cuda.js', import.meta.url)), script());
  });

  it('works through a link too', () => {
    symlinkSync(join(root, 'node_modules/idat'), join(root, 'link'));
    expect(start(join(root, 'link/install/without-cuda.js'))).toBe(0);
    const here = join(runtime, 'bin/napi-v6', process.platform, process.arch);
    expect(existsSync(here) ? readdirSync(here).sort() : []).toEqual(
      process.platform === 'linux' && process.arch === 'x64' ? LIBRARIES : [],
    );
  });

  it('never fails an installation', () => {
    rmSync(runtime, { recursive: true });
    expect(start(script())).toBe(0);
    expect(existsSync(runtime)).toBe(false);
  });
});
