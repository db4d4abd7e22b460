/**
 * Holds folders exported for transformers.js against idat, through the real library, on the test images of a run: in Node, and in
 * a tab where a browser is named.
 *
 * node tools/check-export/library.mjs RUN [--browser chromium] [--images 1500] [--data PATH]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { env, pipeline, RawImage } from '@huggingface/transformers';
import { exportRun, openClassifier, openRun } from '../../dist/index.js';
import { openRunData } from '../../dist/runs/run-data.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { browser: { type: 'string' }, images: { type: 'string', default: '1500' }, data: { type: 'string' } },
});
const [runDir] = positionals;
const repository = fileURLToPath(new URL('../..', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'idat-check-export-'));

const WAYS = {
  graph: {},
  caller: { resize: 'caller' },
  int8: { quantize: 'int8' },
};

const run = await openRun(runDir);
const dataset = await openRunData(run, values.data ?? run.record.data.source, {});
const items = dataset.test.slice(0, Number(values.images));
const images = await Promise.all(items.map((item) => item.read()));
await dataset.close();

const classifier = await openClassifier(run, { threads: 1 });
const own = (await classifier.classify(images, { top: 1 })).map(({ predictions }) => predictions[0].label);
await classifier.close();

function tell(where, way, labels) {
  const share = (test) => `${((100 * labels.filter(test).length) / labels.length).toFixed(2)} %`;
  const right = share((label, i) => label === run.classes[items[i].label]);
  console.log(`| ${where} | ${way} | ${right} | ${share((label, i) => label === own[i])} |`);
}

async function inNode() {
  env.allowRemoteModels = false;
  env.localModelPath = `${root}/`;
  for (const way of Object.keys(WAYS)) {
    const classify = await pipeline('image-classification', way);
    const labels = [];
    for (const bytes of images) {
      const [{ label }] = await classify(await RawImage.fromBlob(new Blob([bytes])), { top_k: 1 });
      labels.push(label);
    }
    await classify.dispose();
    tell('Node', way, labels);
  }
}

/** What a page does: the same calls, on addresses. */
function page() {
  const script = async (ways, count) => {
    const report = (path, body) => fetch(path, { method: 'POST', body: JSON.stringify(body) });
    try {
      const { env, pipeline } = await import('/library/transformers.js');
      env.allowLocalModels = true;
      env.allowRemoteModels = false;
      env.localModelPath = '/models/';
      env.useBrowserCache = false;
      env.backends.onnx.wasm.wasmPaths = '/runtime/';
      env.backends.onnx.wasm.numThreads = 1;
      for (const way of ways) {
        const classify = await pipeline('image-classification', way, { device: 'wasm' });
        const labels = [];
        for (let i = 0; i < count; i++) labels.push((await classify(`/images/${i}`, { top_k: 1 }))[0].label);
        await report('/labels', { way, labels });
      }
      await report('/end', {});
    } catch (error) {
      await report('/end', { error: String(error?.stack ?? error) });
    }
  };
  return `<!doctype html><script type="module">(${script})(${JSON.stringify(Object.keys(WAYS))}, ${images.length})</script>`;
}

const TYPES = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};
const FOLDERS = {
  models: root,
  library: join(repository, 'node_modules', '@huggingface', 'transformers', 'dist'),
  runtime: join(repository, 'node_modules', 'onnxruntime-web', 'dist'),
};

async function inTab(browser) {
  let end;
  const ended = new Promise((resolve, reject) => {
    end = ({ error }) => (error ? reject(new Error(error)) : resolve());
  });
  const server = createServer((request, response) => {
    const [, folder, ...rest] = request.url.split('?')[0].split('/');
    if (request.method === 'POST') {
      const parts = [];
      request.on('data', (part) => parts.push(part));
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(parts).toString());
        response.end();
        if (folder === 'labels') tell('tab', body.way, body.labels);
        else end(body);
      });
      return;
    }
    if (folder === '') return response.setHeader('content-type', 'text/html').end(page());
    if (folder === 'images') return response.setHeader('content-type', 'image/jpeg').end(images[Number(rest[0])]);
    try {
      const bytes = readFileSync(join(FOLDERS[folder], ...rest.map(decodeURIComponent)));
      response.setHeader('content-type', TYPES[extname(request.url)] ?? 'application/octet-stream').end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const address = `http://127.0.0.1:${server.address().port}/`;
  const profile = mkdtempSync(join(tmpdir(), 'idat-check-tab-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${profile}`];
  const child = spawn(browser, [...flags, address], { stdio: 'ignore' });
  const gone = new Promise((_, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${browser} ended with ${code}`)));
  });
  try {
    await Promise.race([ended, gone]);
  } finally {
    gone.catch(() => {});
    child.kill();
    server.closeAllConnections();
    server.close();
    await new Promise((done) =>
      child.exitCode === null && child.signalCode === null ? child.once('exit', done) : done(),
    );
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

console.log('| where | resized by | top-1 | the same class as idat |');
console.log('| --- | --- | --- | --- |');
tell('idat', 'idat', own);
try {
  for (const [way, options] of Object.entries(WAYS)) {
    await exportRun(runDir, {
      out: join(root, way),
      format: 'transformers.js',
      ...options,
      ...(values.data && { data: values.data }),
    });
  }
  await inNode();
  if (values.browser) await inTab(values.browser);
} finally {
  rmSync(root, { recursive: true });
}
