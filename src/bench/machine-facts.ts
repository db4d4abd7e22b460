/** What the system tells of the machine and of the share of it that this process may use. */
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, loadavg, totalmem } from 'node:os';
import { thisMachine } from '../runtime/node/machine.js';

export interface MachineFacts {
  readonly cpu: string;
  readonly platform: string;
  readonly cores: {
    readonly machine: number;
    /** By affinity and, as far as Node sees it, quota. */
    readonly available: number;
    /** Of a container, in cores; null without one. */
    readonly quota: number | null;
  };
  /** Processes at work or waiting, on average over the last minute; null where nobody counts. */
  readonly load: number | null;
  readonly memory: {
    readonly total: number;
    readonly available: number;
    /** Of a container, in bytes; null without one. */
    readonly limit: number | null;
  };
  /** Instruction sets that matter here, the widest last; null where the system does not list them. */
  readonly instructions: readonly string[] | null;
}

/** In the names of Linux; NEON is asimd, its 8-bit dot products asimddp. */
const INSTRUCTIONS = [
  'avx',
  'avx2',
  'avx_vnni',
  'avx512f',
  'avx512_vnni',
  'amx_int8',
  'asimd',
  'asimddp',
  'i8mm',
  'sve',
];

export async function machineFacts(): Promise<MachineFacts> {
  const { cpu, platform } = thisMachine();
  const constrained = process.constrainedMemory();
  const limited = constrained > 0 && constrained < totalmem();
  return {
    cpu,
    platform,
    cores: { machine: cpus().length, available: availableParallelism(), quota: await quota() },
    load: process.platform === 'win32' ? null : loadavg()[0]!,
    memory: {
      total: totalmem(),
      available: Math.max(process.availableMemory(), 0) || freemem(),
      limit: limited ? constrained : null,
    },
    instructions: await instructions(),
  };
}

const textOf = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

/** @see cgroups(7): cpu.max of version 2, cpu.cfs_quota_us of version 1; a process sees its own group's at the root in most containers */
async function quota(): Promise<number | null> {
  const groups = [...(await textOf('/proc/self/cgroup')).matchAll(/^\d+:([^:]*):(\/.*)$/gm)];
  const [, , second = '/'] = groups.find(([, controllers]) => controllers === '') ?? [];
  const [, , first = '/'] = groups.find(([, controllers]) => controllers!.split(',').includes('cpu')) ?? [];
  const found: number[] = [];
  for (const folder of new Set(['/', second])) {
    const [, share, period] = /^(\d+) (\d+)/.exec(await textOf(`/sys/fs/cgroup${folder}/cpu.max`)) ?? [];
    if (share !== undefined) found.push(Number(share) / Number(period));
  }
  for (const folder of new Set(['/', first])) {
    const [share, period] = await Promise.all(
      ['quota', 'period'].map(async (name) => Number(await textOf(`/sys/fs/cgroup/cpu${folder}/cpu.cfs_${name}_us`))),
    );
    if (share! > 0 && period! > 0) found.push(share! / period!);
  }
  return found.length > 0 ? Math.min(...found) : null;
}

async function instructions(): Promise<string[] | null> {
  const [, flags] = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(await textOf('/proc/cpuinfo')) ?? [];
  if (flags === undefined) return null;
  const has = new Set(flags.split(/\s+/));
  return INSTRUCTIONS.filter((name) => has.has(name));
}
