import { z } from 'zod';
import { parseSize } from '../formats/human.ts';

/** A size in a recipe. */
export const size = z
  .union([z.string(), z.number()])
  .refine((value) => parseSize(value) !== undefined, 'a size is a number with K, M, G or T: 512M, 4G')
  .describe('bytes, or a number with K, M, G or T (binary)');
