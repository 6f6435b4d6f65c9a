import { z } from 'zod';

type Bare<T> = T extends z.ZodDefault<infer Inner> ? Inner : T;
type PartShape<S extends z.ZodRawShape> = { [K in keyof S]: z.ZodOptional<Bare<S[K]> & z.ZodType> };

/**
 * A schema for a part of `whole`: every key may be left out, and what is left out stays out. zod's own `partial()` fills in
 * defaults, which would then replace what the part is laid over.
 */
export function partOf<S extends z.ZodRawShape>(whole: z.ZodObject<S>): z.ZodObject<PartShape<S>, z.core.$strict> {
  const shape = Object.entries(whole.shape).map(([key, field]) => {
    const bare = field instanceof z.ZodDefault ? field.unwrap() : field;
    return [key, z.optional(bare as z.ZodType)] as const;
  });
  return z.strictObject(Object.fromEntries(shape)) as unknown as z.ZodObject<PartShape<S>, z.core.$strict>;
}
