import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 optimize a function only once it has run about eight times as long as usual. A packing is seconds long, its compressors
 * are native and have all processors busy: code made faster for the metadata of one disk costs more of them than it saves
 * (a twentieth of the whole on two cores). For the command's own process; a program that uses the library is not touched.
 */
export function compileLess(): void {
  setFlagsFromString('--interrupt-budget=1000000');
}
