/** How many cores this process may keep busy. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

/** The text of a file; null where there is none. */
export type ReadText = (path: string) => string | null;

let known: number | undefined;

/**
 * Those its affinity allows, and no more than the quota of its cgroup and of those above: a container on a large machine sees
 * all cores, and is stopped for the rest of each period once its threads have used up its share. At least 1.
 */
export function usableCores(): number {
  known ??= Math.max(1, Math.min(availableParallelism(), Math.floor(cpuQuota(readText))));
  return known;
}

/**
 * The smallest quota that holds for this process, in cores; Infinity where there is none.
 * @see the kernel's admin-guide/cgroup-v2 (cpu.max) and scheduler/sched-bwc (cpu.cfs_quota_us)
 */
export function cpuQuota(read: ReadText): number {
  let smallest = Infinity;
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || group === undefined) continue;
    const second = controllers === '';
    if (!second && !controllers.split(',').includes('cpu')) continue;
    const quotaOf = second ? quotaOfSecond : quotaOfFirst;
    const base = second ? '/sys/fs/cgroup' : '/sys/fs/cgroup/cpu';
    for (const above of upwards(group)) smallest = Math.min(smallest, quotaOf(read, join(base, above)));
  }
  return smallest;
}

/** A group and all above it. In a container the upper ones may not be there, or the group's own path lead nowhere. */
function upwards(group: string): string[] {
  return group === '/' ? ['/'] : [group, ...upwards(dirname(group))];
}

function quotaOfSecond(read: ReadText, folder: string): number {
  const [quota, period] = (read(join(folder, 'cpu.max')) ?? '').trim().split(/\s+/);
  return coresOf(quota, period);
}

const quotaOfFirst = (read: ReadText, folder: string): number =>
  coresOf(read(join(folder, 'cpu.cfs_quota_us'))?.trim(), read(join(folder, 'cpu.cfs_period_us'))?.trim());

/** `max` and −1 stand for no quota. */
function coresOf(quota: string | undefined, period: string | undefined): number {
  const cores = Number(quota || Number.NaN) / Number(period || Number.NaN);
  return cores > 0 ? cores : Infinity;
}

export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
