/**
 * Who a process is, so that another one can tell whether it still lives.
 *
 * A pid alone does not tell: it is given again, after a restart of a container most often to the same program. So a process
 * is known by its pid *and* by when it was started, in the pid namespace of a machine since its boot. As text that stands in
 * names of files: `HOST-PID-STARTED-SPACE`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessIdentity {
  /** 8 hex digits of a hash of the machine's name and, where the system numbers them, its boot. */
  readonly host: string;
  readonly pid: number;
  /** On Linux ticks from the boot, elsewhere seconds since 1970; 0 where nobody knows. */
  readonly started: number;
  /** The number of its pid namespace, as containers have one each; 0 where there is none. */
  readonly space: number;
}

/** `elsewhere`: on another machine or in another container, out of sight. */
export type Fate = 'alive' | 'dead' | 'elsewhere';

let own: ProcessIdentity | undefined;

export function thisProcess(): ProcessIdentity {
  own ??= { host: hostHash(), pid: process.pid, started: Number(startOf(process.pid)) || 0, space: pidNamespace() };
  return own;
}

export const identityText = ({ host, pid, started, space }: ProcessIdentity): string =>
  `${host}-${pid}-${started}-${space}`;

/** What `identityText` wrote, wherever it stands in a text; null where it does not. */
export function parseIdentity(text: string): ProcessIdentity | null {
  const [, host, pid, started, space] = /(?<![0-9a-z])([0-9a-f]{8})-(\d+)-(\d+)-(\d+)(?!\d)/.exec(text) ?? [];
  if (host === undefined) return null;
  return { host, pid: Number(pid), started: Number(started), space: Number(space) };
}

/** What has become of a process, as far as can be seen from here. */
export function fateOf({ host, pid, started, space }: ProcessIdentity): Fate {
  const self = thisProcess();
  if (host !== self.host || space !== self.space) return 'elsewhere';
  if (!exists(pid)) return 'dead';
  const found = startOf(pid);
  if (found === 'ended') return 'dead';
  return found === null || started === 0 || found === started ? 'alive' : 'dead';
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // of another user
  }
}

function startOf(pid: number): number | 'ended' | null {
  if (process.platform === 'win32') return null;
  return process.platform === 'linux' ? startOnLinux(pid) : startByPs(pid);
}

/** @see proc_pid_stat(5): field 3 is the state, field 22 when it was started; field 2, a name in brackets, may hold anything */
function startOnLinux(pid: number): number | 'ended' | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return 'ended'; // nobody has asked for its exit code yet
    const started = Number(fields[22 - 3]);
    return Number.isSafeInteger(started) ? started : null;
  } catch {
    return null; // hidden from us, or no /proc
  }
}

function startByPs(pid: number): number | null {
  try {
    const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', env });
    const ms = Date.parse(`${text.trim()} UTC`);
    return Number.isNaN(ms) ? null : ms / 1000;
  } catch {
    return null;
  }
}

function hostHash(): string {
  let boot = '';
  try {
    boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    // not on Linux
  }
  return createHash('sha256').update(`${hostname()} ${boot}`).digest('hex').slice(0, 8);
}

function pidNamespace(): number {
  try {
    return Number(/\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? 0);
  } catch {
    return 0;
  }
}
