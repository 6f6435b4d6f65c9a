/**
 * `npm run bench -- libraries`: what compose is made of beside what could have been taken, in turns in the same run: tables of
 * ratios, and every run in `bench/results/`. Further words choose tables: `libraries xz bzip2`. `--rounds=` asks for more
 * rounds than three, of which the best of each counts; `--docs` puts the tables into docs/dependencies.md.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { packageRoot, packageVersion } from '../../src/host/built-module.ts';
import { gzipTable, koffiTable } from './gzip.ts';
import { type Input, rootTar } from './input.ts';
import { putTables, type Section, sectionText } from './section.ts';
import { sshTable } from './ssh.ts';
import { tarTable } from './tar.ts';
import { rounds } from './turns.ts';
import { unpackTable } from './unpack.ts';
import { bzip2Table, xzTable } from './xz.ts';

const TABLES: Readonly<Record<string, (input: Input, work: string) => Promise<Section>>> = {
  gzip: gzipTable,
  koffi: koffiTable,
  unpack: unpackTable,
  xz: xzTable,
  bzip2: bzip2Table,
  tar: tarTable,
  ssh: sshTable,
};

const PACKAGES = [
  'attr',
  'bzip2',
  'libdeflate0',
  'libisal2',
  'openssh-client',
  'openssh-server',
  'qemu-utils',
  'tar',
  'xz-utils',
];

export async function libraries(): Promise<void> {
  const words = process.argv.slice(process.argv.indexOf('libraries') + 1).filter((word) => !word.startsWith('--'));
  const unknown = words.find((word) => !Object.hasOwn(TABLES, word));
  if (unknown !== undefined) throw new Error(`there is no table ${unknown}: ${Object.keys(TABLES).join(', ')}`);
  const names = Object.keys(TABLES).filter((name) => words.length === 0 || words.includes(name));
  const work = mkdtempSync(join(tmpdir(), 'compose-libraries-'));
  const sections: Section[] = [];
  try {
    const input = await rootTar(work, PACKAGES);
    for (const name of names) {
      const table = TABLES[name];
      if (table !== undefined) sections.push(await table(input, work));
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  console.log(`\n${sections.map(sectionText).join('\n\n')}\n`);
  const page = join(packageRoot(), 'docs/dependencies.md');
  if (process.argv.includes('--docs')) writeFileSync(page, putTables(readFileSync(page, 'utf8'), sections));
  const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model, memory: totalmem() };
  const head = { date: new Date().toISOString(), version: packageVersion(), machine, rounds: rounds() };
  const versions = Object.assign({}, ...sections.map((section) => section.versions)) as Record<string, string>;
  const tables = sections.map(({ versions: _, ...section }) => section);
  const folder = join(packageRoot(), 'bench/results');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${['libraries', ...words.toSorted()].join('-')}.json`);
  writeFileSync(path, `${JSON.stringify({ ...head, versions, tables }, null, 2)}\n`);
  console.log(`Every run is in ${relative(process.cwd(), path)}.`);
}
