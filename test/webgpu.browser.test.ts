/** Device webgpu in a browser tab: a training on Chromium's software adapter, and each refusal. Skipped without Chromium. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as Idat from '../src/browser.js';
import { readZip, writeZip } from '../src/files/web/zip.js';
import { fineTune } from '../src/index.js';
import { hasChromium, serve, startBrowser } from './browser-support.js';
import { temporaryFolder } from './train-support.js';

const STUDENT = 'vit_nano_patch4_32.cifar10';
const SETTINGS = {
  ...({ student: STUDENT, method: 'parallel', blocks: 'last:1', protocol: 'last' } as const),
  ...{ epochs: 1, warmupEpochs: 0, cooldownEpochs: 0, batchSize: 4, microBatch: 4 },
};
const REQUEST = {
  ...SETTINGS,
  data: '/few.zip',
  dataName: 'few.zip',
  weights: { student: `/assets/models/${STUDENT}.safetensors` },
  device: 'webgpu',
} satisfies Omit<Idat.WebRequest, 'run'>;
const DIST = '/node_modules/onnxruntime-web/dist';
const TIMEOUT = 240_000;

/** Three pictures of each of two classes to train on, two to test on. */
async function fewPictures(): Promise<Uint8Array> {
  const files: { name: string; bytes: Uint8Array }[] = [];
  for (const { name, read } of await readZip(new Blob([readFileSync('assets/eurosat-100.zip')]))) {
    const [, label] = /^images\/(\w+?)_/.exec(name) ?? [];
    if (label !== 'Forest' && label !== 'River') continue;
    const number = files.filter((file) => file.name.includes(`/${label}/`)).length;
    if (number === 5) continue;
    files.push({ name: `${number < 3 ? 'train' : 'test'}/${label}/${number}.jpg`, bytes: await read() });
  }
  return new Uint8Array(await writeZip(files).arrayBuffer());
}

describe.runIf(hasChromium)('device webgpu in a tab', () => {
  let few: Uint8Array;
  let server: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    few = await fewPictures();
    // under the right name the build whose WebGPU kernels are the old ones
    const wrong = ['ort-wasm-simd-threaded.jsep.mjs', 'ort-wasm-simd-threaded.jsep.wasm', 'ort.min.mjs'].map(
      (name) => [`/wrong/${name.replace('ort.min', 'ort.webgpu.min')}`, readFileSync(`.${DIST}/${name}`)] as const,
    );
    server = await serve(undefined, undefined, new Map([['/few.zip', few], ...wrong]));
  });
  afterAll(() => server.close());

  const inTab = async (flags: readonly string[], asked: Partial<Idat.WebRequest>) => {
    const browser = await startBrowser(server.url, flags);
    try {
      const page = await browser.open();
      return await page.evaluate(
        async (request) => {
          const losses: number[] = [];
          const onProgress = (event: Idat.Progress) => {
            if (event.kind === 'epoch') losses.push(event.loss.total);
          };
          return window.idat
            .fineTune(request, { onProgress })
            .then(({ accuracy }) => ({ accuracy, losses }))
            .catch(({ code, message }) => ({ code: code as string, message: message as string }));
        },
        { ...REQUEST, ...asked } as Idat.WebRequest,
      );
    } finally {
      await browser.close();
    }
  };

  it(
    'trains as the processor does, but for rounding',
    async () => {
      const found = await inTab(['--enable-unsafe-webgpu'], { run: 'gpu', onnxruntime: DIST });
      const losses: number[] = [];
      const root = temporaryFolder();
      writeFileSync(`${root}/few.zip`, few);
      const request = { ...SETTINGS, data: `${root}/few.zip`, out: `${root}/run`, device: 'cpu', threads: 1 } as const;
      const { accuracy } = await fineTune(request, {
        onProgress: (event) => event.kind === 'epoch' && losses.push(event.loss.total),
      });
      expect(found).toMatchObject({ accuracy });
      losses.forEach((loss, epoch) => {
        expect('losses' in found && found.losses[epoch]).toBeCloseTo(loss, 4);
      });
    },
    TIMEOUT,
  );

  it(
    'is refused in a sentence without an adapter, without the address of its build, and with other builds',
    async () => {
      const code = 'runtime.device';
      const without = await inTab([], { run: 'none', onnxruntime: DIST });
      expect(without).toEqual({
        code,
        message: expect.stringMatching(/^device webgpu: this browser .*; the device cpu/),
      });
      const flags = ['--enable-unsafe-webgpu'];
      const message = (text: RegExp) => ({ code, message: expect.stringMatching(text) });
      expect(await inTab(flags, { run: 'a' })).toEqual(
        message(/give onnxruntime, the address of onnxruntime-web's dist/),
      );
      expect(await inTab(flags, { run: 'b', onnxruntime: `${DIST}/ort.min.mjs` })).toEqual(
        message(/ort\.min\.mjs is not ONNX Runtime's build for WebGPU/),
      );
      expect(await inTab(flags, { run: 'c', onnxruntime: '/wrong' })).toEqual(message(/moves numbers to wrong places/));
    },
    TIMEOUT,
  );
});
