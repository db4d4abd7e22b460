/**
 * What ONNX Runtime executes, kernel by kernel: the matrix products that remain in a compiled program, and how fast a
 * single product runs.
 *
 * Counting on what is executed, not on the model's formulas, leaves out what idat's passes and the runtime's own
 * fusions have removed.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { emit, type Program } from '../src/graph/emit.js';
import { constant, input, linear, sumAll } from '../src/graph/ops/index.js';
import { size } from '../src/graph/tensor.js';
import { randomStream } from '../src/random.js';
import type { Feed } from '../src/runtime/runtime.js';

interface Kernel {
  readonly op: string;
  readonly inputs: readonly (readonly number[])[];
  readonly outputs: readonly (readonly number[])[];
  readonly elapsedMs: number;
}

/** Float32 products; each is written with or without transposes and scale. */
const PRODUCTS = ['Gemm', 'MatMul', 'FusedMatMul', 'FusedGemm'];

/** Floating-point operations (a multiplication and an addition count as two) of all matrix products of one run. */
export async function productFlops(program: Program, feeds: Readonly<Record<string, Feed>>): Promise<number> {
  const kernels = await profile(program, feeds, 1, 1);
  return kernels.filter(({ op }) => PRODUCTS.includes(op)).reduce((sum, kernel) => sum + flopsOf(kernel), 0);
}

/** [m, k]·[k, n] costs 2·m·k·n, whichever of the two is stored transposed; leading axes repeat it. */
function flopsOf({ inputs: [a], outputs: [c] }: Kernel): number {
  const inner = (a!.at(-1)! * a!.at(-2)!) / c!.at(-2)!;
  return 2 * size(c!) * inner;
}

const [ROWS, FROM, TO] = [788, 768, 3072]; // four images' tokens through fc1 of ViT-B
const REPEAT = 20;

/** GFLOP/s of [788, 768]·[768, 3072] with a constant weight, in the kernel alone: the median of 20. */
export async function productPeak(threads: number): Promise<number> {
  const random = randomStream(1, 'product');
  const normal = (length: number) => Float32Array.from({ length }, () => random.normal());
  const product = linear(input('x', [ROWS, FROM]), constant([TO, FROM], normal(TO * FROM)));
  const program = emit({ sum: sumAll(product) }); // a scalar, so that no time goes into handing the product out
  const kernels = await profile(program, { x: normal(ROWS * FROM) }, REPEAT, threads);
  const times = kernels.filter(({ op }) => PRODUCTS.includes(op)).map(({ elapsedMs }) => elapsedMs);
  const median = times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
  return (2 * ROWS * FROM * TO) / median / 1e6;
}

async function profile(
  program: Program,
  feeds: Readonly<Record<string, Feed>>,
  runs: number,
  threads: number,
): Promise<Kernel[]> {
  const folder = await mkdtemp(join(tmpdir(), 'idat-profile-'));
  try {
    const session = await InferenceSession.create(program.model, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
      extra: { session: { model_external_initializers_file_folder_path: '/' } },
    });
    const inputs = Object.fromEntries(
      Object.entries(program.inputs).map(([name, { shape, dtype }]) => [name, new Tensor(dtype, feeds[name]!, shape)]),
    );
    for (let run = 0; run < runs; run++) await session.run(inputs);
    session.endProfiling();
    await session.release();
    const [file] = await readdir(folder);
    return kernelsOf(await readFile(join(folder, file!), 'utf8'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** An event of ONNX Runtime's profile, in Chrome's trace format. */
interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  /** Microseconds. */
  readonly dur: number;
  readonly args: { op_name: string; input_type_shape: TypedShape[]; output_type_shape: TypedShape[] };
}

/** Such as `{ "float": [788, 768] }`. */
type TypedShape = Readonly<Record<string, number[]>>;

function kernelsOf(text: string): Kernel[] {
  const shapes = (list: TypedShape[]) => list.map((typed) => Object.values(typed)[0]!);
  return (JSON.parse(text) as TraceEvent[])
    .filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'))
    .map(({ dur, args }) => ({
      op: args.op_name,
      inputs: shapes(args.input_type_shape),
      outputs: shapes(args.output_type_shape),
      elapsedMs: dur / 1000,
    }));
}
