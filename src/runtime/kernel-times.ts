/** What ONNX Runtime's profiler writes, read: the time of each kernel of each run. */

export interface KernelTime {
  /** The ONNX node's name; where the runtime fused several, that of one of them and some words behind it. */
  readonly name: string;
  /** ONNX operator type, the runtime's own fused ones included: MatMul, FusedMatMul. */
  readonly op: string;
  readonly ms: number;
}

export interface ProfiledRun {
  /** From the call's arrival in the runtime to its answer. */
  readonly elapsedMs: number;
  /** In the order in which they ran, one after the other. */
  readonly kernels: readonly KernelTime[];
}

/** The fields of an event that are used here. Durations are in microseconds. */
interface ProfilerEvent {
  cat: string;
  name: string;
  dur: number;
  args?: { op_name?: string };
}

const KERNEL_TIME = '_kernel_time';

/**
 * Reads a profile: an array of events, in which a run's kernels stand before the run itself.
 * @param json the file's text
 */
export function readKernelTimes(json: string): ProfiledRun[] {
  const runs: ProfiledRun[] = [];
  let kernels: KernelTime[] = [];
  for (const { cat, name, dur, args } of JSON.parse(json) as ProfilerEvent[]) {
    if (cat === 'Node' && name.endsWith(KERNEL_TIME)) {
      kernels.push({ name: name.slice(0, -KERNEL_TIME.length), op: args?.op_name ?? 'unknown', ms: dur / 1000 });
    } else if (cat === 'Session' && name === 'model_run') {
      runs.push({ elapsedMs: dur / 1000, kernels });
      kernels = [];
    }
  }
  return runs;
}
