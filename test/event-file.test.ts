/** Event files of TensorBoard: the bytes that its own code writes, kept up while a run trains, stops and goes on. */
import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fineTune, resume } from '../src/index.js';
import { crc32c, eventFile } from '../src/report/event-file.js';
import { writeEvents } from '../src/runs/event-file.js';
import { readMetrics, readTimings } from '../src/runs/run-directory.js';
import type { EpochMetrics, EpochTiming } from '../src/settings/record.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const { start, metrics, timings, base64 } = JSON.parse(
  readFileSync(new URL('fixtures/tensorboard.json', import.meta.url), 'utf8'),
) as { start: number; metrics: EpochMetrics[]; timings: EpochTiming[]; base64: string };

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

it('CRC-32C is that of RFC 3720', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
});

it('an event file is, byte for byte, what TensorBoard’s own code writes', () => {
  expect(Buffer.from(eventFile(metrics, timings, start)).toString('base64')).toBe(base64);
});

it('a longer log begins as a shorter one', () => {
  const [short, long] = [eventFile(metrics.slice(0, 2), timings, start), eventFile(metrics, timings, start)];
  expect(Buffer.from(long.subarray(0, short.length)).equals(short)).toBe(true);
});

describe('the file of a run', () => {
  const dir = join(root, 'log');
  const folder = join(dir, 'tensorboard');
  const path = join(folder, `events.out.tfevents.${start}.idat`);
  beforeAll(() => {
    mkdirSync(dir);
    appendFileSync(join(dir, 'config.json'), '{}');
    utimesSync(join(dir, 'config.json'), start, start);
  });

  it('is named after when the run began, and grows in place, so that who reads it reads on', async () => {
    expect(await writeEvents(dir, folder, metrics.slice(0, 1), timings)).toBe(path);
    const { ino } = statSync(path);
    utimesSync(join(dir, 'config.json'), start + 999, start + 999); // written again by a resumed run
    await writeEvents(dir, folder, metrics, timings);
    expect(statSync(path).ino).toBe(ino);
    expect(readFileSync(path).toString('base64')).toBe(base64);
    expect(readdirSync(folder)).toHaveLength(1);
  });
  it('has no epoch twice where the run went back, and none half', async () => {
    appendFileSync(path, 'half a record');
    await writeEvents(dir, folder, metrics.slice(0, 3), timings);
    expect(Buffer.from(eventFile(metrics.slice(0, 3), timings, start)).equals(readFileSync(path))).toBe(true);
  });
  it('that cannot be written is refused in a sentence', async () => {
    const refused = writeEvents(dir, join(dir, 'config.json'), metrics, timings);
    await expect(refused).rejects.toThrow(
      /config.json: no event file can be written there \(\w+\); choose another folder/,
    );
  });
});

describe('a run with tensorboard', () => {
  it('keeps it up while it trains, stops and goes on, and comes to the same result', async () => {
    const data = await makeImageFolder(root, 8);
    const undisturbed = settings(data, join(root, 'plain'));
    await fineTune(undisturbed);
    const out = join(root, 'followed');
    const stop = new AbortController();
    const seen: number[] = [];
    const files = () => readdirSync(join(out, 'tensorboard')).map((name) => join(out, 'tensorboard', name));
    await expect(
      fineTune(
        { ...undisturbed, out, tensorboard: true },
        {
          signal: stop.signal,
          onProgress: (event) => {
            if (event.kind !== 'epoch') return;
            seen.push(statSync(files()[0]!).size);
            if (event.epoch === 1) stop.abort();
          },
        },
      ),
    ).rejects.toMatchObject({ code: 'run.interrupted' });
    expect(seen[1]!).toBeGreaterThan(seen[0]!);
    cpSync(files()[0]!, join(root, 'before'));
    await resume(out);
    const [file] = files();
    expect(files()).toHaveLength(1);
    const began = Number(/(\d+)\.idat$/.exec(file!)![1]);
    const [lines, times] = [await readMetrics(out), await readTimings(out)];
    expect(lines).toHaveLength(3);
    expect(Buffer.from(eventFile(lines, times, began)).equals(readFileSync(file!))).toBe(true);
    const before = readFileSync(join(root, 'before'));
    expect(readFileSync(file!).subarray(0, before.length).equals(before)).toBe(true);
    expect(lines).toEqual(await readMetrics(join(root, 'plain')));
  }, 120_000);
});
