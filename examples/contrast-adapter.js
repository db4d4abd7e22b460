// @ts-check
/**
 * A tuning method of one's own: the contrast adapter. An example, not from a paper.
 *
 * What makes a token worth adapting may be how it differs from its image. So the adapter beside each MLP reads not the
 * token but the token less the mean of all tokens of the image: y = u + MLP(LN2 u) + B·GELU(A·(u − mean u) + a).
 *
 *     idat train photos/ --student vit_micro_patch4_32.cifar10 --method ./examples/contrast-adapter.js --options hidden=8
 */
import { dropoutOption, hiddenOption, kaimingUniform, ops, registerMethod, z, zeroInit } from 'idat/methods';

const options = z.object({
  hidden: hiddenOption(4),
  dropout: dropoutOption(0, 'hidden numbers'),
});

/** @type {import('idat/methods').Method<z.infer<typeof options>>} */
export const contrastAdapter = {
  name: 'contrast-adapter',
  title: 'Contrast adapter',
  paper: 'an example of docs/methods.md, unpublished',
  equation: 'y = u + MLP(LN2 u) + B·GELU(A·(u − mean u) + a), the mean over the tokens of an image',
  options,
  families: ['vit', 'swin'],
  identityAtStart: () => true, // B starts at 0
  count: (_config, { hidden }, { blocks }) => blocks.reduce((sum, { width: D }) => sum + 2 * D * hidden + hidden, 0),
  trains: () => false, // nothing of the backbone's own
  hooks: (scope, _config, { hidden, dropout }) => ({
    residual2(block, u, y) {
      const name = `blocks.${block}.contrast`;
      const D = /** @type {number} */ (u.shape.at(-1));
      const mean = ops.reduceMean(u, [1], true); // [B, 1, D]
      const down = scope.tensor(`${name}.down.weight`, [hidden, D], kaimingUniform());
      const shift = scope.tensor(`${name}.down.bias`, [hidden], zeroInit);
      const up = scope.tensor(`${name}.up.weight`, [D, hidden], zeroInit);
      const squeezed = ops.gelu(ops.linear(ops.sub(u, mean), down, shift)); // [B, T, hidden]
      return ops.add(y, ops.linear(scope.dropout(name, squeezed, dropout), up));
    },
  }),
};

registerMethod(contrastAdapter);
