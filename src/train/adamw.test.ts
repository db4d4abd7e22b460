import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AdamW, type AdamWState, decayRanges, decays } from './adamw.js';

/** The largest difference, relative to the largest expected value. */
function deviation(actual: ArrayLike<number>, expected: readonly number[]): number {
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value))) / largest;
}

/**
 * A valley with a ripple that moves, so that gradients change sign; the same in the Python below.
 * The first four parameters decay; the learning rate grows every 8 steps, as if these were epochs.
 */
const TARGET = [1, -2, 0.5, 3, -0.25, 0];
const SLOPE = [1, 0.5, 2, 0.125, 4, 0.03125];
const START = [0.5, -0.25, 0.125, 1, -1, 2];
const OPTIONS = { weightDecay: 0.05, decayRanges: [[0, 4]] as const };
const gradientAt = (x: number, i: number, step: number) =>
  SLOPE[i]! * (x - TARGET[i]!) - 0.01 * step * Math.sin(x * step);
const rateAt = (step: number) => 0.005 * (1 + Math.floor(step / 8));

function descend(optimiser: AdamW, params: Float32Array, from: number, to: number): void {
  for (let step = from; step < to; step++) {
    optimiser.step(
      params,
      params.map((x, i) => gradientAt(x, i, step)),
      rateAt(step),
    );
  }
}

/*
 * torch 2.13.0, CPU, float64:
 *
 *   target = torch.tensor([1., -2., 0.5, 3., -0.25, 0.], dtype=torch.float64)
 *   slope = torch.tensor([1., 0.5, 2., 0.125, 4., 0.03125], dtype=torch.float64)
 *   theta = torch.tensor([0.5, -0.25, 0.125, 1., -1., 2.], dtype=torch.float64)
 *   decayed, free = theta[:4].clone().requires_grad_(), theta[4:].clone().requires_grad_()
 *   optimiser = torch.optim.AdamW([{'params': [decayed], 'weight_decay': 0.05},
 *                                  {'params': [free], 'weight_decay': 0.0}], lr=0.0)
 *   for step in range(60):
 *       for group in optimiser.param_groups: group['lr'] = 0.005 * (1 + step // 8)
 *       optimiser.zero_grad()
 *       x = torch.cat([decayed, free])
 *       (0.5 * slope * (x - target) ** 2 + 0.01 * torch.cos(x * step)).sum().backward()
 *       optimiser.step()
 *       if step in (0, 2, 59): print(step + 1, torch.cat([decayed, free]).tolist())
 *   state = [optimiser.state[p] for p in (decayed, free)]
 *   print(torch.cat([s['exp_avg'] for s in state]).tolist(), torch.cat([s['exp_avg_sq'] for s in state]).tolist())
 */
const TORCH: Record<number, number[]> = {
  1: [0.5048749999000001, -0.25493749994285714, 0.12996874993333335, 1.0047499998, -0.9950000000166667, 1.9950000008],
  3: [
    0.5146237796681817, -0.2648097936210273, 0.13989737937600055, 1.0142594222018422, -0.9850048670574435,
    1.9850535950660235,
  ],
  60: [
    1.0294191994356992, -1.2766363127358773, 0.46205602949307367, 1.8571099471917532, -0.22758712995658953,
    1.4718985707127452,
  ],
};
const TORCH_FIRST_MOMENT = [
  0.0026653059603377214, 0.44856702754002026, 0.20446996521499097, -0.20160906750098637, -0.10071140659663538,
  0.11590285821591972,
];
const TORCH_SECOND_MOMENT = [
  0.008106046493738415, 0.03138969119170223, 0.013111543305168097, 0.0062968979657557385, 0.2038445752658109,
  0.003419137025231372,
];

describe('AdamW', () => {
  it('follows PyTorch in float64 over 60 steps', () => {
    const optimiser = new AdamW(6, OPTIONS);
    const params = Float32Array.from(START);
    let done = 0;
    for (const [steps, expected] of Object.entries(TORCH)) {
      descend(optimiser, params, done, Number(steps));
      done = Number(steps);
      expect(deviation(params, expected), `after ${steps} steps`).toBeLessThan(2e-6);
    }
    expect(deviation(optimiser.state.firstMoment, TORCH_FIRST_MOMENT)).toBeLessThan(1e-5);
    expect(deviation(optimiser.state.secondMoment, TORCH_SECOND_MOMENT)).toBeLessThan(1e-5);
  });

  it('follows its formula in float64 for other betas and eps, with a gradient of zero and a tiny one', () => {
    const [beta1, beta2, eps, weightDecay, lr] = [0.8, 0.95, 1e-3, 0.3, 0.07];
    const optimiser = new AdamW(4, { betas: [beta1, beta2], eps, weightDecay, decayRanges: [[1, 3]] });
    const params = Float32Array.of(1, -2, 3, -4);
    const expected = [...params].map((theta) => ({ theta, m: 0, v: 0 }));
    for (let t = 1; t <= 5; t++) {
      const gradient = Float32Array.of(0, 1e-20, 0.5 * t, t % 2 ? -3 : 2);
      optimiser.step(params, gradient, lr);
      expected.forEach((e, i) => {
        e.theta *= i === 1 || i === 2 ? 1 - lr * weightDecay : 1;
        e.m = beta1 * e.m + (1 - beta1) * gradient[i]!;
        e.v = beta2 * e.v + (1 - beta2) * gradient[i]! ** 2;
        e.theta -= (lr * (e.m / (1 - beta1 ** t))) / (Math.sqrt(e.v / (1 - beta2 ** t)) + eps);
      });
    }
    expect(params[0]).toBe(1);
    expected.forEach(({ theta }, i) => {
      expect(Math.abs(params[i]! / theta - 1), `parameter ${i}`).toBeLessThan(5e-7);
    });
  });

  it('goes on from a saved state to the very same bytes', () => {
    const undisturbed = Float32Array.from(START);
    descend(new AdamW(6, OPTIONS), undisturbed, 0, 60);

    const resumed = Float32Array.from(START);
    const first = new AdamW(6, OPTIONS);
    descend(first, resumed, 0, 23);
    const saved: AdamWState = structuredClone(first.state);
    descend(new AdamW(6, OPTIONS, saved), resumed, 23, 60);

    expect(new Uint8Array(resumed.buffer)).toEqual(new Uint8Array(undisturbed.buffer));
  });

  it('leaves the gradient alone', () => {
    const gradient = Float32Array.of(1, -1);
    new AdamW(2).step(new Float32Array(2), gradient, 0.1);
    expect([...gradient]).toEqual([1, -1]);
  });

  it('refuses vectors of another length and ranges that overlap or leave the vector', () => {
    const optimiser = new AdamW(3);
    expect(() => optimiser.step(new Float32Array(2), new Float32Array(3), 1)).toThrow(RangeError);
    expect(() => optimiser.step(new Float32Array(3), new Float32Array(4), 1)).toThrow(RangeError);
    expect(() => new AdamW(4, {}, optimiser.state)).toThrow(RangeError);
    for (const ranges of [
      [[0, 4]],
      [[2, 1]],
      [[-1, 2]],
      [
        [0, 2],
        [1, 3],
      ],
    ] as [number, number][][]) {
      expect(() => new AdamW(3, { decayRanges: ranges }), JSON.stringify(ranges)).toThrow(RangeError);
    }
  });
});

describe('decays', () => {
  it.each([
    ['blocks.0.gist_adapter.linear1.weight', [4, 48], true],
    ['head.weight', [10, 48], true],
    ['patch_embed.proj.weight', [48, 3, 8, 8], true],
    ['head.bias', [10], false],
    ['layers.0.blocks.1.attn.odd.bias', [2, 2], false],
    ['blocks.0.norm1.weight', [48], false],
    ['scale', [], false],
    ['pos_embed', [1, 197, 768], false],
    ['student/pos_embed', [1, 197, 768], false],
    ['cls_token', [1, 1, 768], false],
    ['layers.0.blocks.0.attn.relative_position_bias_table', [169, 3], false],
    ['pos_embed.adapter.weight', [4, 4], true],
    ['unbiased_weight', [4, 4], true],
  ])('%s %j: %s', (name, shape, expected) => {
    expect(decays(name, shape)).toBe(expected);
  });

  const trajectoryPath = '../shared/reference/trajectory.json';
  const absent = existsSync(trajectoryPath) ? '' : ` (skipped: ${trajectoryPath} is absent)`;

  it.skipIf(absent)(`groups tensors as the authors' code did${absent}`, () => {
    const { student } = JSON.parse(readFileSync(trajectoryPath, 'utf8')).optimizer.parameter_groups_S;
    const shapeOf = (name: string) => (name.endsWith('.bias') ? [4] : [4, 4]);
    expect(student.decay.length + student.no_decay.length).toBe(18);
    for (const name of student.decay) expect(decays(name, shapeOf(name)), name).toBe(true);
    for (const name of student.no_decay) expect(decays(name, shapeOf(name)), name).toBe(false);
  });
});

describe('decayRanges', () => {
  it('joins neighbours and skips what does not decay, in any order', () => {
    const tensors = [
      { name: 'head.weight', shape: [2, 3], offset: 22 },
      { name: 'a.weight', shape: [4, 2], offset: 0 },
      { name: 'b.weight', shape: [2, 4], offset: 8 },
      { name: 'b.bias', shape: [6], offset: 16 },
    ];
    expect(decayRanges(tensors)).toEqual([
      [0, 16],
      [22, 28],
    ]);
  });
});
