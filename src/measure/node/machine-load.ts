/** What Node can tell of how busy the machine is. The load average is no help: for a minute it still counts a run that has ended. */
import { availableParallelism, type CpuInfo, cpus } from 'node:os';
import { type ReadText, readText, usableCores } from '../../files/node/usable-cores.js';
import type { Cores, LoadReading } from '../load.js';

/** Numbers of the cores that this process may run on; null where nobody knows. @see proc_pid_status(5) */
export function allowedCores(read: ReadText): readonly number[] | null {
  const list = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(read('/proc/self/status') ?? '')?.[1];
  if (list === undefined) return null;
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** CPU time of all programs on the cores of these numbers, in milliseconds; null where the system does not count it. */
export function busyMs(infos: readonly CpuInfo[], allowed: readonly number[] | null): number | null {
  const own = allowed?.every((core) => core < infos.length) ? allowed.map((core) => infos[core]!) : infos;
  const sum = (of: (times: CpuInfo['times']) => number) => own.reduce((total, { times }) => total + of(times), 0);
  const busy = sum(({ user, nice, sys, irq }) => user + nice + sys + irq);
  return busy + sum(({ idle }) => idle) > 0 ? busy : null;
}

const allowed = allowedCores(readText);

export const theseCores = (): Cores => ({
  usable: usableCores(),
  visible: Math.max(usableCores(), allowed?.length ?? availableParallelism()),
});

export function readLoad(): LoadReading {
  const { user, system } = process.cpuUsage();
  return { wallMs: performance.now(), ownMs: (user + system) / 1000, allMs: busyMs(cpus(), allowed) };
}
