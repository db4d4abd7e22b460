/** The standard normal distribution. */

/** Below this the series converges in a few dozen terms, above it the continued fraction does. */
const SERIES_TO = 3;

/** Φ(z): P(Z ≤ z). To about 1e-15 of itself, in the tails too. */
export function normalCdf(z: number): number {
  if (Number.isNaN(z)) return z;
  if (Math.abs(z) < SERIES_TO) return 0.5 + density(z) * oddSeries(z);
  const tail = density(z) / continuedFraction(Math.abs(z));
  return z < 0 ? tail : 1 - tail;
}

const density = (z: number): number => Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);

/** z + z³/3 + z⁵/(3·5) + …: (Φ(z) − ½)/φ(z). Abramowitz and Stegun 1964, 26.2.11 */
function oddSeries(z: number): number {
  let [term, sum] = [z, z];
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
    term *= (z * z) / k;
    sum += term;
  }
  return sum;
}

/** z + 1/(z + 2/(z + 3/(z + …))): φ(z)/(1 − Φ(z)) for z > 0. Abramowitz and Stegun 1964, 26.2.14 */
function continuedFraction(z: number): number {
  let value = z;
  for (let k = 200; k > 0; k--) value = z + k / value;
  return value;
}

/** Φ⁻¹(p), by bisection: a few hundred times an analysis, so that no table of coefficients is worth its length. */
export function normalQuantile(p: number): number {
  if (p <= 0) return p === 0 ? -Infinity : Number.NaN;
  if (p >= 1) return p === 1 ? Infinity : Number.NaN;
  if (p > 0.5) return -normalQuantile(1 - p); // the lower tail is the exact one
  let [low, high] = [-40, 0];
  for (let i = 0; i < 70; i++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
