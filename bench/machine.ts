/** What a result was measured on, and with which code. */
import { execFileSync } from 'node:child_process';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';

export function machine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    /** Processes that wanted to run in the last minute: what the benchmark had to share the cores with. */
    loadAtStart: loadavg()[0]!,
    system: `${platform()} ${release()} ${arch()}`,
  };
}

/** The commit, and whether anything but results differs from it; null outside a git checkout. */
export function gitState(folder: string): { commit: string; dirty: boolean } | null {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return {
      commit: git('rev-parse', 'HEAD'),
      dirty: git('status', '--porcelain', '--', ':/', ':(exclude,top)bench/results') !== '',
    };
  } catch {
    return null;
  }
}
