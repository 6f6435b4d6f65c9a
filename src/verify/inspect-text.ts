import { columns, humanSize } from '../formats/human.ts';
import type { Inspection, SystemInfo } from './inspect.ts';

export function inspectText(path: string, inspection: Inspection): string {
  const { kind, format, size, chain, partitions, logicalVolumes, system, problem } = inspection;
  const lines = [`${path}: ${kind}, ${format}, ${humanSize(size)}`];
  for (const backing of chain.slice(1)) lines.push(`  backed by ${backing}`);
  if (partitions.length > 0) {
    const rows = partitions.map((part) => [
      `  ${part.number}`,
      humanSize(part.size),
      part.fileSystem?.kind ?? '-',
      part.fileSystem?.label ?? '',
      part.fileSystem?.uuid ?? '',
      part.name ?? '',
    ]);
    lines.push('partitions', ...columns([['  #', 'SIZE', 'TYPE', 'LABEL', 'UUID', 'NAME'], ...rows], [1]));
  }
  if (logicalVolumes.length > 0) {
    const rows = logicalVolumes.map(({ name, size, fileSystem, problem: why }) => [
      `  ${name}`,
      humanSize(size),
      fileSystem?.kind ?? '-',
      fileSystem?.label ?? '',
      fileSystem?.uuid ?? '',
      why ?? '',
    ]);
    lines.push('logical volumes', ...columns([['  NAME', 'SIZE', 'TYPE', 'LABEL', 'UUID', ''], ...rows], [1]));
  }
  if (system === undefined) return [...lines, `system    none: ${problem ?? 'nothing was found'}`].join('\n');
  lines.push(
    ...columns([
      ['system', system.os],
      ['kernel', system.kernels.join(', ') || 'none'],
      ['initrd', system.initrds.join(', ') || 'none'],
      ['packages', packagesLine(system)],
      ['identity', `machine-id ${system.machineId}, ${system.hostKeys.length} SSH host keys`],
    ]),
    'for MAAS',
    ...columns(system.maas.map(({ what, met, why }) => [`  ${met ? 'yes' : 'NO '}`, what, why])),
  );
  return lines.join('\n');
}

function packagesLine({ packageDatabases, packagesProblem }: SystemInfo): string {
  const counts = packageDatabases.map(({ manager, packages }) => `${packages} (${manager})`);
  return packagesProblem ?? (counts.join(', ') || 'none');
}
