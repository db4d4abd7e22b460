/** The length of a gradient, and its bound. */

/** √Σ g², in float64. Infinite or none where any number is. */
export function gradientNorm(gradient: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < gradient.length; i++) sum += gradient[i]! * gradient[i]!;
  return Math.sqrt(sum);
}

/**
 * Shortens a gradient in place so that its norm is at most `maxNorm`.
 * @see Pascanu et al. 2013, arXiv:1211.5063; torch.nn.utils.clip_grad_norm_, with its 1e-6
 */
export function clipGradient(gradient: Float32Array, norm: number, maxNorm: number): void {
  const factor = maxNorm / (norm + 1e-6);
  if (factor >= 1) return;
  for (let i = 0; i < gradient.length; i++) gradient[i]! *= factor;
}
