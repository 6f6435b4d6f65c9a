/** `libraries tar`: compose's archive writer beside tar-stream, in time and in what arrives. */
import { readTar } from '../../src/formats/tar/reader.ts';
import { versionsOf } from '../versions.ts';
import type { Input } from './input.ts';
import { getRival } from './rival.ts';
import { ratio, type Section } from './section.ts';
import { fidelity } from './tar-fidelity.ts';
import { type Item, ownWriter, tarStreamWriter, type Writer } from './tar-writers.ts';
import { bestOf, inTurns, type Turn } from './turns.ts';

const SMALL = 64 * 1024;
const VERSION = '3.2.2';
/** Archives of the small entries in one turn: one alone takes too short a time. */
const PASSES = 5;

/** Entries of the tree but its large files, with what is in them. */
async function smallEntries({ bytes }: Input): Promise<Item[]> {
  const items: Item[] = [];
  const archive = (async function* () {
    yield bytes;
  })();
  for await (const entry of readTar(archive)) {
    if (entry.size > SMALL || entry.sparse !== undefined) continue;
    const { body: _, content: __, otherXattrs: ___, ...member } = entry;
    items.push({ member, body: Buffer.from(await entry.content(SMALL)) });
  }
  return items;
}

function largeFile({ path, bytes }: Input): Item[] {
  const name = Buffer.from('./large');
  const member = { name, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0n, size: bytes.length } as const;
  return [{ member, body: { path } }];
}

export async function tarTable(input: Input, work: string): Promise<Section> {
  const { title, module, remark } = await getRival({ name: 'tar-stream', version: VERSION }, work);
  const writers = new Map<string, Writer>([["compose's own", ownWriter]]);
  if (module !== undefined) {
    const tarStream = module.default ?? module;
    writers.set(title, tarStreamWriter(tarStream, false));
    writers.set(`${title}, PAX records by the caller`, tarStreamWriter(tarStream, true));
  }
  const small = await smallEntries(input);
  const contents = { small, large: largeFile(input) };
  const runs: (Turn & { content: string })[] = [];
  for (const [content, items] of Object.entries(contents)) {
    const passes = content === 'small' ? PASSES : 1;
    const write = (writer: Writer) => async (): Promise<void> => {
      for (let pass = 0; pass < passes; pass++) await drain(writer(items));
    };
    const ways = new Map([...writers].map(([name, writer]) => [name, write(writer)] as const));
    for (const turn of await inTurns(ways)) runs.push({ ...turn, content });
  }
  const rate = (content: string, name: string): string => {
    const turns = runs.filter((run) => run.content === content);
    return ratio(bestOf(turns, "compose's own") / bestOf(turns, name));
  };
  const names = [...writers.keys()];
  const rows = [
    [`rate, ${small.length} entries of at most 64 KiB`, ...names.map((name) => rate('small', name))],
    [
      `rate, one file of ${Math.round(input.bytes.length / 2 ** 20)} MiB, read meanwhile`,
      ...names.map((name) => rate('large', name)),
    ],
    ...(await fidelity(writers, work)),
  ];
  const refused = module === undefined ? ` ${title}: ${remark}.` : '';
  const caption = `Rates beside compose's writer, above 1 is faster; what is kept, once GNU tar has unpacked it.${refused}`;
  const versions = { 'tar-stream': VERSION, ...versionsOf(['tar']) };
  return { name: 'tar', caption, header: ['', ...names], rows, versions, runs };
}

async function drain(parts: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const part of parts) length += part.length;
  return length;
}
