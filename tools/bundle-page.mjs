/**
 * Makes dist/page/: the page that `idat serve` hands out, less what lies elsewhere in the package already, and files.json,
 * which lists all of it. Run after bundle-browser.mjs.
 *
 *     node tools/bundle-page.mjs
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { readZip, writeZip } from '../dist/files/web/zip.js';
import { BUNDLED, FIELDS } from '../dist/settings/fields.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const OUT = 'dist/page';

const PROGRAMS = { 'page.js': 'main.tsx', 'run-worker.js': 'run-worker.ts' };
const AS_THEY_ARE = ['index.html', 'page.css', 'icon.svg', 'app.webmanifest'];
/** What the package has elsewhere, by its path on the page. */
const ELSEWHERE = {
  ...Object.fromEntries(
    ['training-worker.js', 'engine-worker.js', 'ort-wasm-simd-threaded.wasm'].map((name) => [
      name,
      `dist/browser/${name}`,
    ]),
  ),
  ...Object.fromEntries(
    Object.values(BUNDLED).map((name) => [`models/${name}.safetensors`, `assets/models/${name}.safetensors`]),
  ),
};
/** Packages whose licences dist/browser has, and the page's own. */
const KNOWN = ['@bufbuild/protobuf', 'fflate', 'onnxruntime-web', 'pure-rand', 'zod', 'preact'];

/** What the form says of a setting: its record's own words, of which the page needs no more. */
const SAYS = Object.fromEntries(
  ['teacher', 'epochs', 'lr', 'imageSize', 'seed', 'flip'].map((name) => [name, FIELDS[name].says]),
);

async function bundled(input, define) {
  const bundle = await rolldown({
    input: join(root, 'src/page', input),
    platform: 'browser',
    resolve: { extensionAlias: { '.js': ['.ts', '.tsx', '.js'] } },
    transform: { define },
  });
  const options = { format: 'es', minify: true, comments: { legal: false }, codeSplitting: false };
  const { output } = await bundle.generate(options);
  await bundle.close();
  const [chunk] = output;
  if (chunk.imports.length > 0) throw new Error(`${input} still imports ${chunk.imports.join(', ')}`);
  for (const path of chunk.moduleIds) {
    const [, name] = /[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(path) ?? [];
    if (name && !KNOWN.includes(name.replaceAll('\\', '/'))) {
      throw new Error(`dist/page contains ${name}, whose licence nobody has looked at`);
    }
  }
  return chunk.code;
}

/** Four kinds of land of the demo's pictures, a folder each. */
async function examples() {
  const kinds = ['Forest', 'Highway', 'Residential', 'SeaLake'];
  const counts = new Map();
  const files = [];
  for (const { name, read } of await readZip(new Blob([readFileSync(join(root, 'assets/eurosat-100.zip'))]))) {
    const [, kind] = /^images\/([A-Za-z]+)_/.exec(name) ?? [];
    const count = counts.get(kind) ?? 0;
    if (!kinds.includes(kind) || count === 30) continue;
    counts.set(kind, count + 1);
    files.push({ name: `${kind}/${name.slice('images/'.length)}`, bytes: await read() });
  }
  return Buffer.from(await writeZip(files).arrayBuffer());
}

const licences = [
  readFileSync(join(root, 'dist/browser/LICENSES.txt'), 'utf8').trim(),
  `preact, MIT\n\n${readFileSync(join(root, 'node_modules/preact/LICENSE'), 'utf8').trim()}`,
  `The models and the example pictures (assets/LICENSES.md)\n\n${readFileSync(join(root, 'assets/LICENSES.md'), 'utf8').trim()}`,
].join(`\n\n${'='.repeat(72)}\n\n`);

const own = {};
for (const [name, input] of Object.entries(PROGRAMS))
  own[name] = await bundled(input, { IDAT_SAYS: JSON.stringify(SAYS) });
for (const name of AS_THEY_ARE) own[name] = readFileSync(join(root, 'src/page', name));
own['example.zip'] = await examples();
own['LICENSES.txt'] = `${licences}\n`;

const bytesOf = (content) => Buffer.from(content);
const hashOf = (content) => createHash('sha256').update(content).digest('hex');
const files = [
  ...Object.entries(own).map(([path, content]) => ({ path, from: `${OUT}/${path}`, content: bytesOf(content) })),
  ...Object.entries(ELSEWHERE).map(([path, from]) => ({ path, from, content: readFileSync(join(root, from)) })),
];
const hashes = Object.fromEntries(files.map(({ path, content }) => [path, hashOf(content)]));
own['sw.js'] = await bundled('sw.ts', { IDAT_FILES: JSON.stringify(hashes) });
files.push({ path: 'sw.js', from: `${OUT}/sw.js`, content: bytesOf(own['sw.js']) });

mkdirSync(join(root, OUT), { recursive: true });
for (const [name, content] of Object.entries(own)) writeFileSync(join(root, OUT, name), content);
const list = files.map(({ path, from, content }) => ({ path, from, bytes: content.length, sha256: hashOf(content) }));
writeFileSync(join(root, OUT, 'files.json'), `${JSON.stringify(list, null, 1)}\n`);
for (const name of ['page.js', 'run-worker.js'])
  console.log(`${OUT}/${name}: ${(own[name].length / 1000).toFixed(0)} kB`);
