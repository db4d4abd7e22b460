/**
 * Makes the script of the studio's page, dist/studio/assets/studio.js, of what tsc has made in dist/studio/page, with nothing left to be resolved, and its licences beside it.
 *
 *     node tools/bundle-studio.mjs
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('../dist/studio/', import.meta.url));
const folder = join(root, 'assets');

/** Of each package that may be in it, what its licence asks to be handed on; all its licence files where none are named. */
const NOTICES = {
  echarts: ['NOTICE', 'LICENSE', 'licenses/LICENSE-d3'],
  zrender: ['LICENSE'],
  tslib: ['CopyrightNotice.txt', 'LICENSE.txt'],
  preact: ['LICENSE'],
};

function notice([name, place]) {
  const files = NOTICES[name];
  if (files === undefined)
    throw new Error(`the studio's page contains ${name}, whose licence is not handed on: add it to NOTICES`);
  const { version, license } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
  const there = new Set(readdirSync(place));
  const texts = files
    .filter((one) => one.includes('/') || there.has(one))
    .map((one) => readFileSync(join(place, one), 'utf8').trim());
  if (texts.length === 0) throw new Error(`${name} has no licence file`);
  return [`${name} ${version}, ${license}`, ...texts].join('\n\n');
}

const bundle = await rolldown({ input: join(root, 'page/main.js'), platform: 'browser' });
const { output } = await bundle.generate({
  format: 'es',
  minify: true,
  comments: { legal: false },
  codeSplitting: false,
});
await bundle.close();
const [chunk, ...others] = output;
if (others.length > 0 || chunk.imports.length > 0) throw new Error('the page is more than one file');

const packages = new Map();
for (const path of chunk.moduleIds) {
  const found = /^(.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))[\\/]/.exec(path);
  if (found) packages.set(found[2], found[1]);
}
const about = `studio.js contains parts of ${[...packages.keys()].sort().join(', ')}, as minified by idat's build.`;
const notices = [about, ...[...packages].map(notice)];
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'studio.LICENSES.txt'), `${notices.join(`\n\n${'='.repeat(72)}\n\n`)}\n`);
writeFileSync(join(folder, 'studio.js'), `/*! Licences: studio.LICENSES.txt */\n${chunk.code}`);
console.log(`dist/studio/assets/studio.js: ${(chunk.code.length / 1000).toFixed(0)} kB`);
