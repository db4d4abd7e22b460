/** Numbers for the colours of an image, as configurations write them. */
import { z } from 'zod';

/** A number for each colour, or one for all, in units of the full range of a byte or of a byte's steps. */
export const Colour = z
  .union([z.number(), z.array(z.number()).length(3)])
  .transform((value) => (typeof value === 'number' ? [value, value, value] : value));
