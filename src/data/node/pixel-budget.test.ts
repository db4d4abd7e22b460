import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../testing/folder.js';
import { Budget } from './pixel-budget.js';

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('a budget', () => {
  it('is never spent twice, keeps the order, and lets a large one through alone', async () => {
    const budget = new Budget(10);
    const running = new Set<number>();
    const order: number[] = [];
    const amounts = [4, 4, 4, 25, 1, 9, 3];
    let largest = 0;
    const task = (amount: number, i: number) =>
      budget.spend(amount, async () => {
        order.push(i);
        running.add(i);
        const together = [...running].reduce((sum, at) => sum + Math.min(10, amounts[at]!), 0);
        largest = Math.max(largest, together);
        if (amount > 10) expect(running.size).toBe(1);
        await tick();
        running.delete(i);
        return i;
      });
    expect(await Promise.all(amounts.map(task))).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(largest).toBe(10);
  });

  it('is free again after a failure', async () => {
    const budget = new Budget(1);
    await expect(budget.spend(1, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await budget.spend(1, async () => 'yes')).toBe('yes');
  });
});

it('many large pictures at once take little more memory than a few', async () => {
  const folder = await temporaryFolder();
  const picture = join(folder, 'large.png');
  const background = { r: 1, g: 2, b: 3 };
  await sharp({ create: { width: 5000, height: 5000, channels: 3, background } })
    .png()
    .toFile(picture);
  // 32 pictures of 25 megapixels are 2.4 GB together
  const decode = fileURLToPath(new URL('../../../dist/data/node/decode.js', import.meta.url));
  const program = `
    import { readFileSync } from 'node:fs';
    import { decodeImage } from ${JSON.stringify(decode)};
    const bytes = readFileSync(${JSON.stringify(picture)});
    const one = async () => {
      const { pixels } = await decodeImage(bytes, { orient: true, name: 'x' });
      for (const end = performance.now() + 100; performance.now() < end; ); // as resizing does, while others are decoded
      return pixels[1];
    };
    await Promise.all(Array.from({ length: 32 }, one));
    console.log(process.resourceUsage().maxRSS / 1024);`;
  const megabytes = Number(
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }),
  );
  expect(megabytes).toBeLessThan(900);
});
