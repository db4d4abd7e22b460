/** What is published: packed, unpacked beside its dependencies alone, and used as a stranger would. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from './train-support.js';

// compilers and processes, on a machine that may be busy
vi.setConfig({ testTimeout: 180_000 });

const repository = fileURLToPath(new URL('..', import.meta.url));
const modules = join(repository, 'node_modules');
const own = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
};

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));
const project = join(root, 'project');
const installed = join(project, 'node_modules', 'idat');

let packed: { filename: string; size: number; files: { path: string }[] };
let paths: string[];

/** A copy, so that what is packed is built from these sources alone and the checkout's own build stays as it is. */
beforeAll(() => {
  const copy = join(root, 'copy');
  mkdirSync(copy);
  for (const name of readdirSync(repository)) {
    if (/^(node_modules|dist|runs|test|bench|\.git|idat-.*\.tgz)$/.test(name)) continue;
    cpSync(join(repository, name), join(copy, name), { recursive: true });
  }
  symlinkSync(modules, join(copy, 'node_modules'));
  execFileSync('npm', ['run', 'build'], { cwd: copy });
  [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', root], { cwd: copy }).toString(),
  );
  paths = packed.files.map(({ path }) => path);

  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['xzf', join(root, packed.filename), '-C', installed, '--strip-components', '1']);
  writeFileSync(join(project, 'package.json'), '{ "name": "project" }\n');
  for (const name of Object.keys(own.dependencies)) link(name, project);
}, 300_000);

function link(name: string, into: string): void {
  const there = join(into, 'node_modules', name);
  mkdirSync(dirname(there), { recursive: true });
  symlinkSync(join(modules, name), there);
}

function run(file: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], { cwd: project, encoding: 'utf8' });
  return { status, stdout, stderr };
}
const idat = (...args: string[]) => run(join(installed, 'dist/cli/main.js'), ...args);

function script(name: string, text: string) {
  writeFileSync(join(project, name), text);
  return run(join(project, name));
}

describe('the packed files', () => {
  it('are under 14 MB, 4 of them what a tab runs ONNX Runtime with', () => {
    expect(packed.size).toBeLessThan(14e6);
  });

  it('hold what a page loads, with its licences', () => {
    const browser = paths.filter((path) => path.startsWith('dist/browser/')).map((path) => path.slice(13));
    expect(browser.sort()).toEqual([
      'LICENSES.txt',
      'classifier-worker.js',
      'classifier.js',
      'engine-worker.js',
      'idat.js',
      'ort-wasm-simd-threaded.wasm',
      'training-worker.js',
    ]);
    const licences = readFileSync(join(installed, 'dist/browser/LICENSES.txt'), 'utf8');
    for (const name of ['onnxruntime-web', 'fflate', 'zod', 'pure-rand', '@bufbuild/protobuf']) {
      expect(licences).toMatch(new RegExp(`^${name} \\d`, 'm'));
    }
    expect(licences).toContain('Copyright (c) Microsoft Corporation');
  });

  it('hold the page of idat serve, each of its files once', () => {
    const page = JSON.parse(readFileSync(join(installed, 'dist/page/files.json'), 'utf8')) as { from: string }[];
    expect(page.map(({ from }) => from).filter((from) => !paths.includes(from))).toEqual([]);
    expect(readFileSync(join(installed, 'dist/page/LICENSES.txt'), 'utf8')).toMatch(/^preact, MIT$/m);
    const written = idat('serve', '--write', 'site');
    expect(written.stderr).toBe('');
    expect(readdirSync(join(project, 'site')).sort()).toContain('index.html');
  });

  it('lie in known places', () => {
    const places = new Set(paths.map((path) => path.split('/')[0]));
    expect([...places].sort()).toEqual(
      [
        'LICENSE',
        'NOTICE',
        'README.md',
        'assets',
        'dist',
        'docs',
        'examples',
        'experiments',
        'install',
        'package.json',
      ].sort(),
    );
  });

  it('hold no source maps and nothing of tests, and the demo’s pictures', () => {
    expect(paths.filter((path) => /\.map$|\.test\.|\/testing\//.test(path))).toEqual([]);
    expect(paths).toContain('assets/eurosat-100.zip');
    expect(readFileSync(join(installed, 'dist/index.js'), 'utf8')).not.toContain('sourceMappingURL');
  });

  it('are built from the sources, and all of them', () => {
    const compiled = (path: string) => /^dist\/(?!browser\/|studio\/assets\/|page\/(?!node\/)).*\.js$/.test(path);
    const built = paths.filter(compiled).map((path) => path.slice(5, -3));
    const sources = (readdirSync(join(repository, 'src'), { recursive: true }) as string[])
      .map((path) => path.replaceAll('\\', '/'))
      // pages are handed on as they are bundled
      .filter(
        (path) => /\.ts$/.test(path) && !/\.test\.ts$|(^|\/)testing\/|^studio\/page\/|^page\/(?!node\/)/.test(path),
      );
    expect(paths.filter((path) => path.startsWith('dist/studio/assets/'))).toHaveLength(2);
    expect(built.sort()).toEqual(sources.map((path) => path.slice(0, -3)).sort());
  });

  it('hold what the README and the docs link to', () => {
    const pages = paths.filter((path) => /^(README|docs\/[^/]*)\.md$|^docs\/.*\.md$/.test(path));
    const missing = pages.flatMap((page) =>
      [...readFileSync(join(installed, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
        .map(([, target]) => normalize(join(dirname(page), target!)))
        // of the repository alone: figures of the benches beside other frameworks
        .filter((target) => !target.startsWith('bench/') && !existsSync(join(installed, target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(pages).toContain('docs/library.md');
    expect(missing).toEqual([]);
  });

  it('hand on the licences of what was built into them', () => {
    const licences = readFileSync(join(installed, 'dist/report/chart-library.LICENSES.txt'), 'utf8');
    for (const words of [
      'Apache ECharts',
      'BSD 3-Clause License',
      'Permission to use, copy, modify, and/or distribute',
    ])
      expect(licences).toContain(words);
    expect(licences).toMatch(/zrender \d.*BSD-3-Clause/);
    const ofPage = readFileSync(join(installed, 'dist/studio/assets/studio.LICENSES.txt'), 'utf8');
    for (const words of ['Apache ECharts', 'BSD 3-Clause License', 'preact']) expect(ofPage).toContain(words);
    expect(readFileSync(join(installed, 'NOTICE'), 'utf8')).toContain('dist/report/chart-library.LICENSES.txt');
  });
});

describe('the installed package', () => {
  it('runs on the command line', () => {
    expect(idat('--version')).toEqual({ status: 0, stdout: `${own.version}\n`, stderr: '' });
    expect(idat('methods').stdout).toContain('parallel');
    expect(existsSync(join(project, 'node_modules/idat/assets/models/vit_micro_patch4_32.cifar10.safetensors'))).toBe(
      true,
    );
  });

  it('is imported by ES modules', () => {
    const { stdout, stderr } = script(
      'a.mjs',
      "import { methodRecords } from 'idat';\nimport { registerMethod } from 'idat/methods';\nimport { registerLoss } from 'idat/losses';\nconsole.log(methodRecords().length > 10, typeof registerMethod, typeof registerLoss);",
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'true function function\n', stderr: '' });
  });

  it('is imported by CommonJS, with import() everywhere and with require where Node has that', () => {
    const text = 'const use = (i) => console.log(i.methodRecords().length > 10);\n';
    expect(script('dynamic.cjs', `${text}import('idat').then(use);`).stdout).toBe('true\n');
    const required = script('static.cjs', `${text}use(require('idat'));`);
    if ('require_module' in process.features) expect(required.stdout).toBe('true\n');
    else expect(required.stderr).toContain('ERR_REQUIRE_ESM');
  });

  it('draws charts without the library being installed', () => {
    expect(existsSync(join(project, 'node_modules/echarts'))).toBe(false);
    const { stdout, stderr } = script(
      'chart.mjs',
      `import { drawChart } from './node_modules/idat/dist/report/chart-library.js';
const axes = { xAxis: { type: 'category', data: ['a', 'b'] }, yAxis: { type: 'value' } };
const series = ['line', 'bar', 'scatter'].map((type) => ({ type, data: [1, 2] }));
process.stdout.write(drawChart({ ...axes, series, title: { text: 'Bundled' } }, 200, 100));`,
    );
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^<svg .*>Bundled<\/text>.*<\/svg>$/s);
  });

  it('says in a sentence what a queue needs', () => {
    const { status, stderr } = idat('worker', '--queue', 'redis://:hush@127.0.0.1:1');
    expect([status, stderr]).toEqual([
      1,
      'a queue needs two packages that are not installed: npm install bullmq@6 ioredis@6\n',
    ]);
  });

  it('says in a sentence when the demo’s pictures are gone', () => {
    const assets = join(installed, 'assets');
    for (const name of readdirSync(assets)) if (name.endsWith('.zip')) rmSync(join(assets, name));
    const { status, stderr } = idat('demo');
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^the demo's images, .*, are not there: install idat again, or train on your own pictures[^\n]*\n$/,
    );
  });
});

describe('its types', () => {
  const importing = `import { fineTune, type FineTuneResult } from 'idat';
import { registerMethod } from 'idat/methods';
import { registerLoss } from 'idat/losses';
export const run: Promise<FineTuneResult> = fineTune({ data: 'a', student: 'b' });
export default [registerMethod, registerLoss];
`;
  const files = {
    'module.mts': importing,
    'wrong.mts': importing.replace("'a'", '1'),
    'page.mts': `import { fineTune, type WebResult } from 'idat/browser';
const weights = { student: '/model.safetensors' };
export const run: Promise<WebResult> = fineTune({ data: new Blob(), student: 'b', weights });
`,
    'wrong-page.mts': "import { fineTune } from 'idat/browser';\nvoid fineTune({ data: new Blob(), student: 'b' });\n",
    'static.cts': importing,
    'dynamic.cts': `import type { FineTuneResult } from 'idat' with { 'resolution-mode': 'import' };
export async function run(): Promise<FineTuneResult> {
  const { fineTune } = await import('idat');
  return fineTune({ data: 'a', student: 'b' });
}
`,
  };

  /** The errors of each file. */
  function compile(module: string): Record<string, string[]> {
    const folder = join(project, 'types');
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const options = ['--noEmit', '--ignoreConfig', '--strict', '--target', 'es2022', '--module', module];
    const types = ['--typeRoots', join(modules, '@types'), '--types', 'node'];
    const { stdout } = spawnSync(
      process.execPath,
      [join(modules, 'typescript/bin/tsc'), ...options, ...types, ...Object.keys(files)],
      { cwd: folder, encoding: 'utf8' },
    );
    const errors = stdout.split('\n').filter((line) => line.includes('error TS'));
    const byFile: Record<string, string[]> = {};
    for (const line of errors) {
      const file = line.split('(')[0]!;
      byFile[file] = [...(byFile[file] ?? []), line];
    }
    return byFile;
  }

  it('resolve under nodenext, in ES modules and CommonJS, and are checked', () => {
    const errors = compile('nodenext');
    expect(Object.keys(errors).sort()).toEqual(['wrong-page.mts', 'wrong.mts']);
    expect(errors['wrong-page.mts']).toEqual([expect.stringContaining("'weights'")]);
    expect(errors['wrong.mts']).toEqual([expect.stringContaining('TS2322')]);
  });

  it('resolve under node16, in CommonJS by import(): a plain one is told so', () => {
    const errors = compile('node16');
    expect(Object.keys(errors).sort()).toEqual(['static.cts', 'wrong-page.mts', 'wrong.mts']);
    expect(errors['static.cts']![0]).toMatch(/TS1479.*import\("idat"\)/);
  });
});

it('says so where it has been bundled', async () => {
  writeFileSync(join(project, 'entry.mjs'), "import { methodRecords } from 'idat';\nconsole.log(methodRecords());\n");
  const dependencies = Object.keys(own.dependencies).map((name) => new RegExp(`^${name}(/|$)`));
  for (const format of ['es', 'cjs'] as const) {
    const bundle = await rolldown({
      input: join(project, 'entry.mjs'),
      platform: 'node',
      external: dependencies,
      logLevel: 'silent',
    });
    const file = join(project, 'bundled', format === 'es' ? 'out.mjs' : 'out.cjs');
    await bundle.write({ file, format, codeSplitting: false });
    expect(run(file).stderr).toContain("idat's code has been bundled");
  }
});

describe('without its runtime', () => {
  const start = `import { startRuntime } from './node_modules/idat/dist/runtime/node/start.js';
startRuntime().catch((error) => console.log(error.name, error.code, error.message));`;
  const place = join(project, 'node_modules/onnxruntime-node');
  beforeAll(() => rmSync(place));

  it('the command line still runs', () => {
    expect(idat('--version').stdout).toBe(`${own.version}\n`);
  });

  it('says what to do about a missing package', () => {
    expect(script('start.mjs', start).stdout).toMatch(
      /^IdatError runtime\.missing .*ONNXRUNTIME_NODE_INSTALL=skip.*docs\/install\.md/,
    );
  });

  /** Stands in for onnxruntime-node as far as a worker asks it when it starts. */
  function standIn(last: string): void {
    rmSync(place, { recursive: true, force: true });
    mkdirSync(join(place, 'dist'), { recursive: true });
    const about = { name: 'onnxruntime-node', version: '1.30.0', main: 'dist/index.js' };
    writeFileSync(join(place, 'package.json'), JSON.stringify(about));
    const names = ['InferenceSession', 'listSupportedBackends', 'Tensor'].map((name) => `exports.${name} = null;\n`);
    writeFileSync(join(place, 'dist/index.js'), `${names.join('')}${last}\n`);
  }

  it('says why its library does not load', () => {
    standIn("throw new Error('libc.so.6: not found\\nmore');");
    expect(script('start.mjs', start).stdout).toMatch(
      /^IdatError runtime\.unloadable .* on this \w+ \w+: libc\.so\.6: not found \(idat's docs\/install\.md[^\n]*\n$/,
    );
  });

  it('takes no place holder for CUDA', () => {
    standIn("exports.listSupportedBackends = () => [{ name: 'cpu' }, { name: 'cuda' }];");
    const libraries = join(place, 'bin/napi-v6', process.platform, process.arch);
    mkdirSync(libraries, { recursive: true });
    const library = join(libraries, 'libonnxruntime_providers_cuda.so');
    const device = () =>
      script('device.mjs', start.replace('.catch', '.then(async (it) => (console.log(it.device), it.close())).catch'))
        .stdout;
    writeFileSync(library, 'Not a library');
    expect(device()).toBe('cpu\n');
    writeFileSync(library, 'x'.repeat(100_000));
    expect(device()).toBe('cuda\n');
  });
});
