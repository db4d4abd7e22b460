/** Whether a device really computes, found out by trying. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { packageFile } from '../files/node/package-root.js';
import type { Int8Largest } from '../graph/passes/quantise-frozen.js';
import type { Provider } from '../runtime/runtime.js';

export interface TrialOutcome {
  readonly works: boolean;
  /** Why not, as the runtime says it. */
  readonly reason?: string;
  readonly code?: string;
  readonly int8?: Int8Largest | null;
}

export interface DeviceFacts {
  readonly device: Provider;
  readonly works: boolean;
  /** Why not, in a sentence; null where it works. */
  readonly reason: string | null;
  /** How large 8-bit weights may be for their products to be exact; null where the device does not work, or has no such products. */
  readonly int8: Int8Largest | null;
}

const PATIENCE_MS = 60_000;

/** Runs a tiny graph there, in a process of its own. */
export async function tryDevice(device: Provider): Promise<DeviceFacts> {
  const program = fileURLToPath(packageFile('dist/bench/device-process.js'));
  const outcome = await new Promise<TrialOutcome>((done) => {
    execFile(process.execPath, [program, device], { timeout: PATIENCE_MS, killSignal: 'SIGKILL' }, (error, stdout) => {
      const [line] = stdout.split('\n').filter((text) => text.startsWith('{"works"'));
      if (line !== undefined) done(JSON.parse(line) as TrialOutcome);
      else done({ works: false, reason: ended(error as (Error & { signal?: string; killed?: boolean }) | null) });
    });
  });
  const { works, reason, int8 } = outcome;
  return {
    device,
    works,
    reason: works ? null : sentence(device, reason ?? 'nobody says why'),
    int8: int8 ?? null,
  };
}

function ended(error: (Error & { signal?: string; killed?: boolean; code?: unknown }) | null): string {
  if (error?.killed) return `it did not answer within ${PATIENCE_MS / 1000} seconds`;
  return error?.signal
    ? `its driver ended the process (${error.signal})`
    : `its process ended (exit code ${error?.code ?? 0})`;
}

/** One sentence of what a runtime says in many lines, without the places in its sources. */
export function sentence(device: Provider, reason: string): string {
  if (/adapter/i.test(reason)) return `no graphics adapter that ${device} could use was found`;
  const plain = reason
    .split('\n')[0]!
    .replace(/(?:\/|[A-Z]:\\)\S+:\d+\b/g, '')
    .replace(/^device \w+: /, '')
    .replace(/; the device cpu is always there$/, '')
    .replace(/\s+/g, ' ')
    .trim();
  return plain.length > 200 ? `${plain.slice(0, 199)}…` : plain;
}
