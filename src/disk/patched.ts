import { type Awaitable, type BlockSource, checkRange, type StoredExtent } from './block-source.ts';
import { ExtentList } from './extent-list.ts';

/** Bytes that lie over a source from `position` on. */
export interface Patch {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A range of a source, bytes. */
export interface Range {
  readonly position: number;
  readonly length: number;
}

/** A range laid over a source: with `bytes`, or zeros without. */
interface Piece extends Range {
  readonly bytes: Uint8Array | undefined;
}

/**
 * `source` with the bytes of `patches` laid over it, as `literal` extents. A map gives whole blocks by their number, of
 * `blockSize` bytes each. Patches are not copied: leave their bytes alone. Disposing it leaves `source` open.
 * @throws RangeError when two patches overlap or one leaves the source
 */
export function patched(source: BlockSource, patches: readonly Patch[]): BlockSource;
export function patched(
  source: BlockSource,
  patches: ReadonlyMap<number, Uint8Array>,
  options: { readonly blockSize: number },
): BlockSource;
export function patched(
  source: BlockSource,
  patches: readonly Patch[] | ReadonlyMap<number, Uint8Array>,
  options: { readonly blockSize: number } = { blockSize: 1 },
): BlockSource {
  const pieces: Piece[] = [];
  if (patches instanceof Map) {
    for (const [block, bytes] of patches) pieces.push(piece(block * options.blockSize, bytes));
  } else {
    for (const { position, bytes } of patches as readonly Patch[]) pieces.push(piece(position, bytes));
  }
  return laidOver(source, pieces);
}

/**
 * `source` with `ranges` read as zeros, whatever is stored there. Ranges may overlap and touch. Disposing it leaves
 * `source` open.
 * @throws RangeError when a range leaves the source
 */
export function zeroed(source: BlockSource, ranges: Iterable<Range>): BlockSource {
  const joined: { position: number; length: number; bytes: undefined }[] = [];
  for (const { position, length } of [...ranges].sort((a, b) => a.position - b.position)) {
    const last = joined.at(-1);
    if (last !== undefined && position <= last.position + last.length) {
      last.length = Math.max(last.length, position + length - last.position);
    } else {
      joined.push({ position, length, bytes: undefined });
    }
  }
  return laidOver(source, joined);
}

function piece(position: number, bytes: Uint8Array): Piece {
  return { position, length: bytes.length, bytes };
}

function laidOver(source: BlockSource, unsorted: readonly Piece[]): BlockSource {
  const pieces = unsorted.filter(({ length }) => length > 0).sort((a, b) => a.position - b.position);
  for (const [index, { position, length }] of pieces.entries()) {
    checkRange(source.size, position, length);
    const next = pieces[index + 1];
    if (next !== undefined && position + length > next.position) {
      throw new RangeError(`the patches at ${position} and ${next.position} overlap`);
    }
  }
  return {
    size: source.size,
    files: source.files,
    locate: (position, length) => {
      checkRange(source.size, position, length);
      return locate(source, pieces, position, position + length);
    },
    read: async (position, into) => {
      checkRange(source.size, position, into.length);
      await read(source, pieces, position, into);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Index of the first piece that ends after `position`. */
function firstAfter(pieces: readonly Piece[], position: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { position: start, length } = pieces[middle]!;
    if (start + length <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What covers [position, end), in order: parts of pieces, and of the source where `bytes` is absent. */
function* runs(
  pieces: readonly Piece[],
  position: number,
  end: number,
): Generator<{ at: number; stop: number; over: Piece | undefined }> {
  let index = firstAfter(pieces, position);
  for (let at = position; at < end; ) {
    const over = pieces[index];
    if (over === undefined || over.position >= end) {
      yield { at, stop: end, over: undefined };
      return;
    }
    if (over.position > at) yield { at, stop: over.position, over: undefined };
    const start = Math.max(at, over.position);
    at = Math.min(end, over.position + over.length);
    yield { at: start, stop: at, over };
    index++;
  }
}

function locate(
  source: BlockSource,
  pieces: readonly Piece[],
  position: number,
  end: number,
): Awaitable<StoredExtent[]> {
  const out = new ExtentList();
  const rest = runs(pieces, position, end);
  const take = (): Awaitable<StoredExtent[]> => {
    for (let run = rest.next(); !run.done; run = rest.next()) {
      const { at, stop, over } = run.value;
      if (over === undefined) {
        const below = source.locate(at, stop - at);
        if (below instanceof Promise) return below.then((extents) => addAll(out, extents)).then(take);
        addAll(out, below);
      } else if (over.bytes === undefined) {
        out.zero(stop - at);
      } else {
        const bytes = over.bytes.subarray(at - over.position, stop - over.position);
        out.add({ kind: 'literal', length: bytes.length, bytes });
      }
    }
    return out.extents;
  };
  return take();
}

function addAll(out: ExtentList, extents: readonly StoredExtent[]): void {
  for (const extent of extents) out.add(extent);
}

async function read(source: BlockSource, pieces: readonly Piece[], position: number, into: Uint8Array): Promise<void> {
  for (const { at, stop, over } of runs(pieces, position, position + into.length)) {
    const part = into.subarray(at - position, stop - position);
    if (over === undefined) await source.read(at, part);
    else if (over.bytes === undefined) part.fill(0);
    else part.set(over.bytes.subarray(at - over.position, stop - over.position));
  }
}
