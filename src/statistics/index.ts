/** All statistics of idat: definitions alone, held against SciPy's numbers by test/statistics.test.ts. */
export * from './averages.js';
export * from './bootstrap.js';
export * from './classification.js';
export * from './holm.js';
export * from './moments.js';
export * from './normal.js';
export * from './paired.js';
export * from './sign-flip.js';
export * from './summary.js';
export * from './wilson.js';
