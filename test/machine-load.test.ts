/** What a measurement is worth: who else is at work, how many cores are free, whether training keeps the pace. No clock runs here. */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Backbone } from '../src/backbones/backbone.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { cpuQuota } from '../src/files/node/usable-cores.js';
import { type Cores, coresElsewhere, disturbance, freeCores, type LoadReading } from '../src/measure/load.js';
import { allowedCores, busyMs } from '../src/measure/node/machine-load.js';
import { paceNote, watchPace } from '../src/measure/pace.js';
import { concurrencies, type TuningEntry, type TuningHost, tuneCall } from '../src/measure/tuning.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { parseConfig } from '../src/settings/config.js';
import { planOf } from '../src/settings/plan.js';
import { modelSpecs } from '../src/train/specs.js';

const files = (texts: Record<string, string>) => (path: string) => texts[path] ?? null;

describe('the quota of a container', () => {
  it.each([
    ['none', {}, Infinity],
    ['no limit', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, Infinity],
    ['its own', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '250000 100000\n' }, 2.5],
    [
      'that of a group above, which is smaller',
      {
        '/proc/self/cgroup': '0::/jobs/mine\n',
        '/sys/fs/cgroup/jobs/mine/cpu.max': '800000 100000\n',
        '/sys/fs/cgroup/jobs/cpu.max': '300000 100000\n',
      },
      3,
    ],
    [
      'of the first version',
      {
        '/proc/self/cgroup': '5:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '150000\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      1.5,
    ],
    [
      'of the first version, without a limit',
      {
        '/proc/self/cgroup': '3:cpu:/\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      Infinity,
    ],
    ['damaged', { '/proc/self/cgroup': '0::/\nnonsense', '/sys/fs/cgroup/cpu.max': 'x y' }, Infinity],
  ])('%s', (_, texts, cores) => {
    expect(cpuQuota(files(texts as unknown as Record<string, string>))).toBe(cores);
  });
});

describe('what the system counts', () => {
  const core = (busy: number, idle: number) => ({
    ...{ model: 'x', speed: 1 },
    times: { user: busy, nice: 1, sys: 2, irq: 3, idle },
  });

  it('are the cores this process may run on', () => {
    const status = (list: string) =>
      files({ '/proc/self/status': `Name:\tnode\nCpus_allowed_list:\t${list}\nx:\t1\n` });
    expect(allowedCores(status('0-3'))).toEqual([0, 1, 2, 3]);
    expect(allowedCores(status('1,4-5'))).toEqual([1, 4, 5]);
    expect(allowedCores(files({}))).toBe(null);
  });

  it('is summed over those alone', () => {
    const cores = [core(10, 5), core(100, 5), core(1000, 5)];
    expect(busyMs(cores, null)).toBe(1110 + 18);
    expect(busyMs(cores, [0, 2])).toBe(1010 + 12);
    expect(busyMs(cores, [7])).toBe(1110 + 18); // numbered otherwise than listed
    const uncounted = { ...core(0, 0), times: { user: 0, nice: 0, sys: 0, irq: 0, idle: 0 } };
    expect(busyMs([uncounted], null)).toBe(null);
  });
});

/** A second in which this process used so much of cores, and others so much. */
const second = (own: number, others: number | null): [LoadReading, LoadReading] => [
  { wallMs: 500, ownMs: 70, allMs: others === null ? null : 9000 },
  { wallMs: 1500, ownMs: 70 + 1000 * own, allMs: others === null ? null : 9000 + 1000 * (own + others) },
];
const two: Cores = { usable: 2, visible: 2 };

describe('free cores', () => {
  it.each<[own: number, others: number | null, Cores, free: number]>([
    [1, 0, two, 2],
    [2, 0, two, 2], // its own work counts for nothing
    [0, 0.3, two, 2],
    [0, 1, two, 1],
    [0.5, 1.5, two, 1],
    [0, 5, two, 1], // one at least
    [0, null, two, 2],
    [0, 40, { usable: 4, visible: 64 }, 4], // a share of a large machine
    [0, 62, { usable: 4, visible: 64 }, 2],
  ])('this process %d, others %s of %j: %d', (own, others, cores, free) => {
    expect(freeCores(...second(own, others), cores)).toBe(free);
  });

  it('are all where no time has passed', () => {
    const [now] = second(1, 1);
    expect(coresElsewhere(now, now)).toBe(null);
    expect(freeCores(now, now, two)).toBe(2);
  });
});

describe('what was timed', () => {
  const calls = (times: number[], own: number, others: number | null) => {
    const [before, after] = second(own, others);
    return { times, before, after };
  };
  const even = [10, 10.2, 10.4, 10.3];

  it('is trusted on a machine at rest', () => {
    expect(disturbance([calls(even, 1, 0), calls(even, 2, 0.1)], two, true)).toBe(null);
    expect(disturbance([], two, true)).toBe(null);
  });

  it('is not beside other programs', () => {
    expect(disturbance([calls(even, 1, 0), calls(even, 1, 1.4)], two, true)).toBe(
      'other programs kept 0.7 of 2 cores busy',
    );
    // they may have what this process cannot use
    expect(disturbance([calls(even, 2, 20)], { usable: 2, visible: 64 }, true)).toBe(null);
  });

  it('is not where a program that computes did not get a core', () => {
    expect(disturbance([calls(even, 0.4, null)], two, true)).toBe('it got 0.40 of a core');
    expect(disturbance([calls(even, 0.4, null)], two, false)).toBe(null); // a GPU computes
  });

  it('is not where equal calls differ', () => {
    const odd = [10, 17, 18, 19];
    expect(disturbance([calls(odd, 1, 0)], two, true)).toBe('equal calls took 1.8 times the shortest');
    // one that was interrupted does not spoil the others, and neither does a hopeless one called once
    expect(disturbance([calls(even, 1, 0), calls(odd, 1, 0), calls(even, 1, 0)], two, true)).toBe(null);
    expect(disturbance([calls([10, 40], 1, 0)], two, true)).toBe(null);
  });
});

describe('candidates', () => {
  const runtime = { device: 'cpu', threads: 4 } as const;
  const engine = { device: 'cpu', threads: undefined, replicas: undefined } as const;
  const names = (...given: Parameters<typeof concurrencies>) =>
    concurrencies(...given).map(({ threads, replicas }) => `${threads}×${replicas}`);

  it('are as many threads as there are cores, on a machine at rest', () => {
    expect(names(runtime, engine, 4)).toEqual(['4×1', '1×1', '1×4']);
    expect(names(runtime, { ...engine, replicas: 2 }, 4)).toEqual(['2×2', '1×2']);
  });

  it('begin with those that are free, beside other programs', () => {
    expect(names(runtime, engine, 1)).toEqual(['1×1', '4×1']);
    expect(names(runtime, engine, 3)).toEqual(['3×1', '1×1', '1×3', '4×1']);
    expect(names(runtime, { ...engine, replicas: 2 }, 2)).toEqual(['1×2']);
  });

  it('are what was given', () => {
    expect(names(runtime, { ...engine, threads: 4 }, 1)).toEqual(['4×1']);
    expect(names({ ...runtime, device: 'cuda' }, engine, 1)).toEqual(['4×1']);
  });
});

describe('choosing', () => {
  let student: Backbone;
  beforeAll(async () => {
    const path = '../assets/models/vit_nano_patch4_32.cifar10.safetensors';
    student = await backboneFromFile(fileURLToPath(new URL(path, import.meta.url)));
  });

  /** A machine of two cores on which calls take what `callMs` says, and other programs some cores all the time. */
  function machine(others: number, callMs: (threads: number, replicas: number) => number) {
    let wallMs = 1000;
    let ownMs = 100;
    const loaded: string[] = [];
    const kept = new Map<string, TuningEntry>();
    const load = () => ({ wallMs, ownMs, allMs: ownMs + wallMs * others });
    const pass = (ms: number, own: number) => {
      wallMs += ms;
      ownMs += ms * own;
    };
    const runtimeOn = (threads: number, replicas: number): Runtime =>
      ({
        ...{ engine: { onnxruntime: '1', arch: 'x64', cpu: 'x' }, device: 'cpu', threads, replicas },
        withThreads: (count: number, copies = 1) => runtimeOn(count, copies),
        load: async (compile: (sink: undefined) => unknown) => {
          compile(undefined);
          loaded.push(`${threads}×${replicas}`);
          const run = async () => pass(callMs(threads, replicas) / replicas, threads * replicas);
          return { run, close: async () => {} };
        },
      }) as never;
    const host: TuningHost = {
      machine: { cpu: 'x', cores: 2, memoryBytes: 2 ** 34, platform: 'linux-x64' },
      cores: two,
      began: load(),
      load,
      now: () => wallMs,
      wait: async (ms) => pass(ms, 0),
      availableBytes: () => 2 ** 34,
      recall: async (key) => kept.get(key) ?? null,
      remember: async (key, entry) => void kept.set(key, entry),
      forget: async (key) => void kept.delete(key),
    };
    return { host, runtime: runtimeOn(2, 1), kept, loaded };
  }

  const choose = ({ host, runtime }: ReturnType<typeof machine>) => {
    const settings = { data: '/x', student: 'x', teacher: null, method: 'linear', microBatch: 8, batchSize: 16 };
    const plan = planOf(parseConfig({ ...settings, trivialAugment: true }));
    const specs = modelSpecs(plan.models, { student, teacher: null }, 3);
    return tuneCall(runtime, plan, specs, { student: null, teacher: null }, 100, host);
  };
  const even = (threads: number) => 40 / threads;

  it('remembers what was measured at rest, and forgets it when told', async () => {
    const rest = machine(0, even);
    const choice = await choose(rest);
    expect(choice).toMatchObject({ threads: 2, replicas: 1, freeCores: 2, measured: { msPerCall: 20 } });
    expect([...rest.kept.values()]).toEqual([
      expect.objectContaining({ threads: 2, msPerImage: 2.5, why: expect.stringMatching(/measured$/) }),
    ]);
    const again = await choose(rest);
    expect(again).toMatchObject({ threads: 2, measured: { msPerCall: 20 }, why: expect.stringMatching(/, on 20/) });
    await again.measured!.forget();
    expect(rest.kept.size).toBe(0);
  });

  it('never remembers what was measured beside others, and says so', async () => {
    const busy = machine(1, (threads) => (threads === 2 ? 300 : 40));
    const choice = await choose(busy);
    expect(busy.kept.size).toBe(0);
    expect(busy.loaded[0]).toBe('1×1');
    expect(choice).toMatchObject({ threads: 1, replicas: 1, freeCores: 1, measured: { msPerCall: 40 } });
    expect(choice.why).toMatch(
      /ms an image .* for this run alone and not remembered: other programs kept 1\.0 of 2 cores/,
    );
  });

  it('does not follow two threads, remembered at rest, onto one free core', async () => {
    const rest = machine(0, even);
    await choose(rest);
    const busy = machine(1, (threads) => (threads === 2 ? 300 : 40));
    for (const [key, entry] of rest.kept) busy.kept.set(key, entry);
    expect(await choose(busy)).toMatchObject({ threads: 1, replicas: 1 });
    expect(busy.kept).toEqual(rest.kept); // it is still true of the machine at rest
  });

  it('measures all cores too, as others may have gone', async () => {
    const choice = await choose(machine(1, even));
    expect(choice).toMatchObject({ threads: 2, why: expect.stringMatching(/not remembered/) });
  });
});

describe('the pace of training', () => {
  /** Tells so many calls of so many milliseconds each. @returns what was said */
  function said(promisedMs: number, ...stretches: [calls: number, ms: number][]): number[] {
    const told: number[] = [];
    const watch = watchPace(promisedMs, (ms) => told.push(ms));
    for (const [calls, ms] of stretches) for (let i = 0; i < calls; i++) watch({ calls: 1, ms });
    return told;
  }

  it('is as promised, or nearly', () => {
    expect(said(10, [10_000, 10])).toEqual([]);
    expect(said(10, [10_000, 19])).toEqual([]);
    expect(said(10, [10_000, 6])).toEqual([]);
  });

  it('is told once when it is far from it for long, in either direction', () => {
    expect(said(10, [100_000, 80])).toEqual([80]);
    expect(said(80, [100_000, 10])).toEqual([10]);
  });

  it('may be far from it for a while', () => {
    expect(said(10, [250, 80], [1000, 10], [250, 80], [1000, 10])).toEqual([]);
    expect(said(10, [370, 80])).toEqual([]);
    expect(said(10, [376, 80])).toEqual([80]);
  });

  it('is said in a sentence', () => {
    expect(paceNote(10, 80)).toMatch(
      /^a call takes 80\.0 ms, 8\.0 times more than the 10\.0 ms measured .* next start/,
    );
    expect(paceNote(80, 10)).toMatch(/^a call takes 10\.0 ms, 8\.0 times less/);
  });
});
