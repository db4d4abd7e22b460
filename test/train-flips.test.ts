/** Training on images that are mirrored at random: both looks of what is frozen are kept, and nothing comes out otherwise. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type EpochMetrics, type FineTuneInput, fineTune, resume } from '../src/index.js';
import { DETERMINISTIC, makeImageFolder, runBytes, settings, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

let data: string;
const undisturbed = join(root, 'undisturbed');
const flipped = (out: string, more: Omit<Partial<FineTuneInput>, 'out'> = {}) => ({
  ...settings(data, join(root, out)),
  ...{ protocol: 'paper' as const, flip: true, ...more },
});
beforeAll(async () => {
  data = await makeImageFolder(root);
  await fineTune(flipped('undisturbed'));
}, 120_000);

function expectSame(dir: string, other = undisturbed): void {
  const [own, theirs] = [runBytes(dir), runBytes(other)];
  for (const name of DETERMINISTIC) expect(own[name] === theirs[name], name).toBe(true);
}
const metricsOf = (out: string) =>
  readFileSync(join(root, out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as EpochMetrics);
function expectClose(some: readonly EpochMetrics[], others: readonly EpochMetrics[]): void {
  for (const [epoch, { loss }] of some.entries()) {
    for (const [name, value] of Object.entries(others[epoch]!.loss)) {
      const difference = Math.abs(loss[name as keyof typeof loss] - value);
      expect(difference, `${name} of epoch ${epoch}`).toBeLessThan(5e-5 * Math.max(1, value));
    }
  }
}
const prefixFiles = (folder: string) => readdirSync(folder).filter((name) => name.startsWith('prefix-'));

it('is the same whether records lie in memory, on the disk or partly there', async () => {
  const cacheDir = join(root, 'cache');
  await fineTune(flipped('on disk', { prefixMemory: 0, cacheDir }));
  expectSame(join(root, 'on disk'));
  expect(prefixFiles(cacheDir)).toHaveLength(3);
  await fineTune(flipped('found', { prefixMemory: 0, cacheDir }));
  expectSame(join(root, 'found'));
  await fineTune(flipped('partly', { prefixMemory: 1 }));
  expectSame(join(root, 'partly'));
  // images as they are have their records in the same places of the same files
  await fineTune(flipped('plain, found', { flip: false, prefixMemory: 0, cacheDir }));
  expect(prefixFiles(cacheDir)).toHaveLength(3);
  await fineTune(flipped('plain', { flip: false }));
  expectSame(join(root, 'plain, found'), join(root, 'plain'));
}, 120_000);

it('is the same where the teacher’s images are mirrored, of the student’s own blocks too', async () => {
  for (const [name, more] of [
    ['other', {}],
    ['own', { teacher: 'self:2', head: 'ridge' }],
    ['own, flips', { teacher: 'self:2', flip: true }],
  ] as const) {
    const config = { flip: false, teacherView: 'flip' as const, ...more };
    const [memory, disk] = [`${name} in memory`, `${name} on disk`];
    await fineTune(flipped(memory, config));
    await fineTune(flipped(disk, { ...config, prefixMemory: 0, cacheDir: join(root, `${name}-cache`) }));
    expectSame(join(root, disk), join(root, memory));
    const whole = flipped(`${name} whole`, { ...config, disable: ['frozen-prefix'] });
    await fineTune(whole);
    expectClose(metricsOf(memory), metricsOf(`${name} whole`));
    const [seen, same] = [metricsOf(memory), `${name} same`];
    await fineTune(flipped(same, { ...config, teacherView: 'same' }));
    // equal programs on equal numbers are equal to the last bit
    expect(seen[0]!.loss.teacher).not.toBe(metricsOf(same)[0]!.loss.teacher);
  }
}, 180_000);

it('goes on as it would have without being stopped', async () => {
  const stop = new AbortController();
  let steps = 0;
  const onProgress = ({ kind }: { kind: string }) => kind === 'step' && ++steps === 7 && stop.abort();
  const config = flipped('stopped');
  await expect(fineTune(config, { onProgress, signal: stop.signal })).rejects.toMatchObject({
    code: 'run.interrupted',
  });
  await resume(config.out);
  expectSame(config.out);
});

it('learns the same with the prefix switched off, and otherwise than from images as they are', async () => {
  const config = flipped('without', { disable: ['frozen-prefix'] });
  await fineTune(config);
  const [kept, whole, plain] = ['undisturbed', 'without', 'plain'].map(metricsOf);
  expectClose(kept!, whole!);
  expect(Math.abs(kept!.at(-1)!.loss.total - plain!.at(-1)!.loss.total)).toBeGreaterThan(1e-3);
}, 60_000);
