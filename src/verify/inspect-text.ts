import { columns, humanSize } from '../formats/human.ts';
import type { IsoDescription } from '../machine/iso-describe.ts';
import type { Inspection, SystemInfo } from './inspect.ts';

export function inspectText(path: string, inspection: Inspection): string {
  const { kind, format, size, chain, partitions, logicalVolumes, system, problem, iso } = inspection;
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
  if (iso !== undefined) lines.push(...isoLines(iso));
  if (iso !== undefined && system === undefined) return lines.join('\n');
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

function isoLines(iso: IsoDescription): string[] {
  const { installer, boot, bootImages, volumeId, volumeSize, size } = iso;
  const starts = bootImages.map(({ platform, media, size: bytes, bootable }) => {
    const how = media === 'no-emulation' ? '' : `, as a ${media}`;
    return `${platform.toUpperCase()} (${humanSize(bytes)}${how}${bootable ? '' : ', not bootable'})`;
  });
  return columns([
    ['volume', `${volumeId}, names by ${iso.names}${iso.udf ? ', and UDF, which is not read' : ''}`],
    ...(volumeSize > size ? [['cut short', `${humanSize(size)} of ${humanSize(volumeSize)} are there`]] : []),
    ['installer', installer === undefined ? 'none known' : `${installer.title} (${installer.from})`],
    ['kernel', boot?.kernel ?? 'none where installers keep it'],
    ['initrd', boot?.initrd ?? 'none where installers keep it'],
    ['El Torito', iso.problem ?? (starts.join(', ') || 'none')],
  ]);
}

function packagesLine({ packageDatabases, packagesProblem }: SystemInfo): string {
  const counts = packageDatabases.map(({ manager, packages }) => `${packages} (${manager})`);
  return packagesProblem ?? (counts.join(', ') || 'none');
}
