/**
 * Makes what a page loads, dist/browser/: the entries, the programs that run in Workers, and ONNX Runtime's WebAssembly,
 * with nothing left to be resolved, so that a plain <script type="module"> and any bundler take it as it is. A page's
 * import map does not reach into Workers.
 *
 *     node tools/bundle-browser.mjs
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'dist/browser');
const WASM = 'ort-wasm-simd-threaded.wasm';
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const ENTRIES = {
  'idat.js': 'dist/browser.js',
  'classifier.js': 'dist/classifier.js',
  'classifier-worker.js': 'dist/classify/web/classifier-worker.js',
  'training-worker.js': 'dist/runs/web/training-worker.js',
  'engine-worker.js': 'dist/runtime/web/engine-worker.js',
};

/** Packages that are known to be in it. Another one has to be looked at before it is handed on. */
const KNOWN = ['@bufbuild/protobuf', 'fflate', 'onnxruntime-web', 'pure-rand', 'zod'];

/** Its package comes without the text. */
const MIT_OF_MICROSOFT = `MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const packages = new Map();
function note(files) {
  for (const path of files) {
    const found = /^(.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))[\\/]/.exec(path);
    if (found) packages.set(found[2].replaceAll('\\', '/'), found[1]);
  }
}

function notice([name, folder]) {
  if (!KNOWN.includes(name)) throw new Error(`dist/browser contains ${name}, whose licence nobody has looked at`);
  const { version: its, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (name === 'onnxruntime-web') return [`${name} ${its}, ${license}`, MIT_OF_MICROSOFT].join('\n\n');
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '';
  return [`${name} ${its}, ${license}`, text].filter((part) => part !== '').join('\n\n');
}

mkdirSync(out, { recursive: true });
for (const [name, input] of Object.entries(ENTRIES)) {
  const bundle = await rolldown({
    input: join(root, input),
    platform: 'browser',
    transform: { define: { IDAT_VERSION: JSON.stringify(version) } },
  });
  const { output } = await bundle.generate({
    format: 'es',
    minify: true,
    comments: { legal: false },
    codeSplitting: false,
  });
  await bundle.close();
  const [chunk] = output;
  if (chunk.imports.length > 0) throw new Error(`${name} still imports ${chunk.imports.join(', ')}`);
  note(chunk.moduleIds);
  // the runtime's own name, which is none of a file here: bundlers shall not look for it
  const code = chunk.code.replaceAll('new URL(`ort.', 'new URL(/* @vite-ignore */`ort.');
  writeFileSync(join(out, name), `/*! Licences: LICENSES.txt */\n${code}`);
  console.log(`dist/browser/${name}: ${(code.length / 1000).toFixed(0)} kB`);
}
copyFileSync(join(root, 'node_modules/onnxruntime-web/dist', WASM), join(out, WASM));
const about = `The files of this folder contain ${[...packages.keys()].sort().join(', ')}, as minified by idat's build.`;
writeFileSync(
  join(out, 'LICENSES.txt'),
  `${[about, ...[...packages].map(notice)].join(`\n\n${'='.repeat(72)}\n\n`)}\n`,
);
