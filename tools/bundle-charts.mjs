/**
 * Puts the chart library into the built file that imports it, dist/report/chart-library.js, with its licences beside it:
 * the part that is used is a hundredth of what ECharts would install. A plain `tsc` puts the import back, and then
 * ECharts is read from node_modules, where a checkout has it.
 *
 *     node tools/bundle-charts.mjs
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const file = fileURLToPath(new URL('../dist/report/chart-library.js', import.meta.url));

/** Of each package that may be in it, what its licence asks to be handed on. */
const NOTICES = {
  echarts: ['NOTICE', 'LICENSE', 'licenses/LICENSE-d3'],
  zrender: ['LICENSE'],
  tslib: ['CopyrightNotice.txt', 'LICENSE.txt'],
};

/** Where each package lies that is among the bundled files. */
function packagesOf(files) {
  const folders = files.map((path) => /^(.*[\\/]node_modules[\\/]([^\\/]+))[\\/]/.exec(path)).filter(Boolean);
  return new Map(folders.map(([, folder, name]) => [name, folder]));
}

function notice(name, folder) {
  const files = NOTICES[name];
  if (files === undefined)
    throw new Error(`the charts contain ${name}, whose licence is not handed on: add it to NOTICES`);
  const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = files.map((one) => readFileSync(join(folder, one), 'utf8').trim());
  return [`${name} ${version}, ${license}`, ...texts].join('\n\n');
}

const bundle = await rolldown({ input: file, platform: 'neutral', resolve: { mainFields: ['module', 'main'] } });
const { output } = await bundle.generate({ format: 'es', minify: true, comments: { legal: false } });
await bundle.close();
const [chunk, ...others] = output;
if (others.length > 0 || chunk.imports.length > 0) throw new Error('the charts are more than one file');

const packages = packagesOf(chunk.moduleIds);
// none: it was bundled before, and tsc has not written it since
if (packages.size > 0) {
  const notices = [...packages].map(([name, folder]) => notice(name, folder));
  const about = `chart-library.js contains parts of ${[...packages.keys()].join(', ')}, as minified by idat's build.`;
  writeFileSync(file.replace(/\.js$/, '.LICENSES.txt'), `${[about, ...notices].join(`\n\n${'='.repeat(72)}\n\n`)}\n`);
  writeFileSync(file, `/*! Licences: chart-library.LICENSES.txt */\n${chunk.code}`);
}
