/** docs/library.md: its code compiles and runs, and it names all that the package exports; importing it starts nothing. */
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as idat from '../src/index.js';
import { makeImageFolder, temporaryFolder } from './train-support.js';

const repository = fileURLToPath(new URL('..', import.meta.url));
const textOf = (path: string) => readFileSync(join(repository, path), 'utf8');
const docs = textOf('docs/library.md');

interface Snippet {
  readonly title: string;
  readonly code: string;
}

/** Code with the heading it stands under. */
const snippets: Snippet[] = docs.split(/^## /m).flatMap((section) => {
  const title = section.split('\n', 1)[0]!;
  return [...section.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => ({ title, code: code! }));
});

/** What each prints, beside not failing. */
const PRINTS: Record<string, RegExp> = {
  'Look at the data': /^\[ 'blue', 'green', 'red' \] \d+ \[ \d, \d, \d \] [0-9a-f]{64}$/m,
  Train: /^[01]\.?\d* last 7323 .*runs.flowers$/,
  'Follow it, stop it, go on with it': /^epoch 2 of 5: loss \d[\s\S]*^(0\.\d+|[01])$/m,
  'Do it again': /^[01]\.?\d* 0\.005$/m,
  Measure: /^[01]\.?\d* \d+ 24 last\n\{ low: [01][\s\S]*^blue \d+ \d+$/m,
  'What it has learned': /^weights .* \[ 'bound', 'ranges', 'models' \] 5[\s\S]*^attention 1 images, all heads/m,
  'A page to look at': /^run .*report\.html true \[\] 1$/m,
  'Name what is on pictures': /^photo\.png \[ '(red|green|blue) [01]\.\d{3}', [\s\S]*^more-photos\/one\.png \[/m,
  'A classifier that stays loaded':
    /of \[ 'blue', 'green', 'red' \] (true|false)\n3 image 2: not a JPEG, PNG[\s\S]*Float32Array\(3\)/,
  'None of the classes': /^strange (true|false) true true$/m,
  'Many adapters over one backbone': /^using .*second 1\nusing .*flowers 1$/m,
  Features: /^cosine -?[01]\.?\d*$/m,
  'Images in memory': /^[01]\.?\d* 4\n[01]\.?\d*\n[01]$/m,
  'A method of your own': /lora, .* and contrast-adapter\n\d+$/m,
  'A loss of your own': /^[01]\.?\d*$/m,
  'From random weights': /scratch\/model\.safetensors$/m,
  Merge: /lora\.safetensors \d+ \d+ .*lora-card\.md$/m,
  Export: /name: 'model\.onnx', bytes: \d+ \} (\d+) of \d+ [\d.]+$/m,
  Compare: /^\| flowers \| [\s\S]* of 2 seeds, protocol last\.$/m,
  'Many runs': /^\| alone \| [\s\S]*^\| kl \| [\s\S]*protocol last\.$/m,
  'What several runs are worth': /^0\.02\d* \{ low: 0\.0.* level: 0\.95 \} 0\.25 0\.003/m,
  'How fast': /images a second in training[\s\S]*parallel-shared/,
  'Are the numbers right': /^learning-rate schedules ok$/m,
  Backbones: /^vit_micro_patch4_32\.cifar10 \d+ .*safetensors$/m,
  'What a run left':
    /^parallel-shared \[ 'blue', 'green', 'red' \] last \(the last epoch[\s\S]*^4 \d[\s\S]*^flowers finished [01]/m,
  Errors: /^config\.field [\s\S]*^epochs too_small [\s\S]*got -1$/m,
};

const root = temporaryFolder();
const file = (i: number) => `snippet-${String(i).padStart(2, '0')}`;
const run = (...args: string[]) =>
  new Promise<{ code: number | null; stdout: string; stderr: string }>((done) => {
    const env = { ...process.env, NO_COLOR: '1' };
    const child = execFile(process.execPath, args, { cwd: root, env, timeout: 280_000 }, (_error, stdout, stderr) =>
      done({ code: child.exitCode, stdout, stderr }),
    );
  });

/** Runs each snippet in turn, what it prints kept apart: one process, as a program that did all of it. */
const DRIVER = `
import { writeFileSync } from 'node:fs';
import { format } from 'node:util';
const results = [];
for (const name of process.argv.slice(2)) {
  const lines = [];
  console.log = (...values) => lines.push(format(...values));
  const error = await import('./' + name + '.js').then(() => null, (thrown) => thrown.stack ?? String(thrown));
  results.push({ printed: lines.join('\\n'), error });
}
writeFileSync('results.json', JSON.stringify(results));
`;

beforeAll(async () => {
  renameSync(await makeImageFolder(root, 8), join(root, 'flowers'));
  cpSync(join(root, 'flowers'), join(root, 'other-flowers'), { recursive: true });
  copyFileSync(join(root, 'flowers', 'red', '0.png'), join(root, 'photo.png'));
  mkdirSync(join(root, 'more-photos'));
  copyFileSync(join(root, 'flowers', 'blue', '1.png'), join(root, 'more-photos', 'one.png'));
  await sharp({ create: { width: 16, height: 16, channels: 3, background: '#777' } })
    .png()
    .toFile(join(root, 'stripe.png'));
  copyFileSync(join(repository, 'examples', 'contrast-adapter.js'), join(root, 'contrast-adapter.js'));
  // half a cosine from 1 to 0 in four epochs, by its definition
  const rates = [1, 0.5 + Math.SQRT1_2 / 2, 0.5, 0.5 - Math.SQRT1_2 / 2];
  const table = {
    epochs: 4,
    warmup_epochs: 0,
    warmup_lr: 0,
    base_lr: 1,
    min_lr: 0,
    cooldown_epochs: 0,
    lr_per_epoch: rates,
  };
  mkdirSync(join(root, 'reference'));
  writeFileSync(join(root, 'reference', 'lr_schedule.json'), JSON.stringify({ tables: [table] }));

  // a project that has installed idat
  mkdirSync(join(root, 'node_modules'));
  symlinkSync(repository, join(root, 'node_modules', 'idat'), 'junction');
  symlinkSync(join(repository, 'node_modules', '@types'), join(root, 'node_modules', '@types'), 'junction');
  writeFileSync(join(root, 'package.json'), JSON.stringify({ type: 'module' }));
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2022'],
    types: ['node'],
    module: 'NodeNext',
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    allowJs: true,
    outDir: 'out',
    rootDir: '.',
  };
  writeFileSync(
    join(root, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, include: ['*.ts', 'contrast-adapter.js'] }),
  );
  snippets.forEach(({ code }, i) => {
    writeFileSync(join(root, `${file(i)}.ts`), code);
  });
  const [, readme] = /^```ts\n([\s\S]*?)^```$/m.exec(textOf('README.md'))!;
  writeFileSync(join(root, 'readme.ts'), readme!);
});
afterAll(() => rmSync(root, { recursive: true }));

describe('the code in docs/library.md', () => {
  let results: { printed: string; error: string | null }[];

  beforeAll(async () => {
    const compiled = await run(join(repository, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root);
    expect(compiled).toEqual({ code: 0, stdout: '', stderr: '' });
    writeFileSync(join(root, 'out', 'driver.js'), DRIVER);
    const driven = await run(join(root, 'out', 'driver.js'), ...snippets.map((_, i) => file(i)));
    expect(driven).toMatchObject({ code: 0, stderr: '' });
    results = JSON.parse(readFileSync(join(root, 'results.json'), 'utf8'));
  }, 300_000);

  it.each(snippets.map(({ title }, i) => [title, i] as const))('%s', (title, i) => {
    expect(results[i]!.error).toBe(null);
    expect(results[i]!.printed).toMatch(PRINTS[title]!);
  });

  it('is all there is to run, once under each heading', () => {
    expect(snippets.map(({ title }) => title)).toEqual(Object.keys(PRINTS));
    expect(docs.match(/^```/gm)).toHaveLength(2 * snippets.length);
  });
});

describe('what the package exports', () => {
  const index = textOf('src/index.ts').replace(/\/\*[\s\S]*?\*\//g, '');
  const exported = [...index.matchAll(/\{([^}]*)\}/g)].flatMap(([, names]) =>
    names!
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  );
  const names = exported.map((name) => name.replace(/^type /, ''));

  it('is read from its index as the module has it', () => {
    const types = [...index.matchAll(/export type \{([^}]*)\}/g)].flatMap(([, list]) =>
      list!.split(',').map((name) => name.trim()),
    );
    const values = exported.filter((name) => !name.startsWith('type ') && !types.includes(name));
    expect(values.sort()).toEqual(Object.keys(idat).sort());
    expect(names.length).toBeGreaterThan(80);
  });

  it('is named in docs/library.md, all of it', () => {
    const listed = docs.slice(docs.indexOf('## All names'));
    expect(names.filter((name) => !listed.includes(`\`${name}\``))).toEqual([]);
  });

  it('has all that docs/library.md names', () => {
    const listed = [...docs.slice(docs.indexOf('## All names')).matchAll(/^\|.*$/gm)].flatMap(
      ([row]) => row.match(/`[^`]+`/g) ?? [],
    );
    const inTables = listed.map((name) => name.slice(1, -1)).filter((name) => /^\w+$/.test(name));
    expect(inTables.filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe.each(['idat', 'idat/methods', 'idat/losses'])('importing %s', (name) => {
  it('starts nothing and ends', async () => {
    const program = `
      import worker from 'node:worker_threads';
      import { syncBuiltinESMExports } from 'node:module';
      let started = 0;
      worker.Worker = class extends worker.Worker { constructor(...given) { super(...given); started++; } };
      syncBuiltinESMExports();
      const before = process.getActiveResourcesInfo();
      const listened = process.eventNames();
      const names = Object.keys(await import('${name}'));
      const held = () => process.getActiveResourcesInfo().filter((kind) => !before.includes(kind) && kind !== 'Timeout');
      // the loader may still be reading files; what is held stays
      for (let i = 0; i < 100 && held().length > 0; i++) await new Promise((done) => setTimeout(done, 50));
      const own = held();
      const listens = process.eventNames().filter((event) => !listened.includes(event));
      console.log(JSON.stringify({ names: names.length > 3, started, own, listens }));
    `;
    writeFileSync(join(root, 'import.mjs'), program);
    const begun = performance.now();
    const { code, stdout, stderr } = await run(join(root, 'import.mjs'));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({ names: true, started: 0, own: [], listens: [] });
    expect(performance.now() - begun).toBeLessThan(30_000);
  });
});
