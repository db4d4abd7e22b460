import { ndarray } from '../ndarray.js';
import { apply1, type Op, shapeError, type Tensor } from '../tensor.js';

/** ONNX's numbers of types. */
const [FLOAT, INT32] = [1, 6];

/** Class numbers [B] (int64) -> rows [B, classes] with a 1 at the class and 0 elsewhere. */
export const oneHotOp: Op<{ readonly classes: number }> = {
  name: 'oneHot',
  infer([labels], { classes }) {
    if (labels!.dtype !== 'int64') throw shapeError('oneHot', `labels must be int64, got ${labels!.dtype}`);
    return [{ shape: [...labels!.shape, classes], dtype: 'float32' }];
  },
  onnx(builder, [labels], { classes }, node) {
    if (builder.forms === 'webgpu') {
      const numbers = Array.from({ length: classes }, (_, i) => i);
      const rows = builder.ints([...node.inputs[0]!.shape, 1]);
      const inside = (values: string) => builder.node('Cast', [values], { to: INT32 })[0]!; // WebGPU has no 64-bit integers
      const column = inside(builder.node('Reshape', [labels!, rows])[0]!);
      const equal = builder.node('Equal', [column, inside(builder.ints(numbers))]);
      return builder.node('Cast', equal, { to: FLOAT });
    }
    const values = builder.node(
      'Concat',
      [
        builder.node('Reshape', [builder.scalar(0), builder.ints([1])])[0]!,
        builder.node('Reshape', [builder.scalar(1), builder.ints([1])])[0]!,
      ],
      { axis: 0 },
    )[0]!;
    return builder.node('OneHot', [labels!, builder.ints([classes]), values], { axis: -1 });
  },
  evaluate([labels], { classes }) {
    const y = ndarray([...labels!.shape, classes]);
    labels!.data.forEach((label, row) => {
      y.data[row * classes + label] = 1;
    });
    return [y];
  },
  differentiable: false,
  cases: [],
};

export const oneHot = (labels: Tensor, classes: number): Tensor => apply1(oneHotOp, [labels], { classes });
