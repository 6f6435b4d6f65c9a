import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 optimize a function only once it has run about eight times as long as usual. A packing is seconds long, its compressors
 * are native and have all processors busy, and in a profile the optimizing compiler of V8 took 3 % of the CPU time beside them.
 * For the command's own process; a program that uses the library is not touched.
 */
export function compileLess(): void {
  setFlagsFromString('--interrupt-budget=1000000');
}
