/** Options that several methods have, each with its range. */
import { z } from 'zod';

const width = z.int().min(1).max(65_536);

/** Numbers each token is squeezed into. */
export const hiddenOption = (preset: number) => width.default(preset).describe('hidden dimension of each adapter');
export const rankOption = (preset: number) => width.default(preset).describe('rank of each product');
export const scaleOption = (preset: number) => z.number().default(preset).describe('factor on what is added');
const rate = z.number().min(0).lt(1);
export const dropoutOption = (preset: number, what: string) =>
  rate.default(preset).describe(`rate at which ${what} are dropped in training`);
/** Without a preset: what it is depends on another option. */
export const dropoutRate = rate.optional();
