import { columns, humanDuration, humanSize } from '../formats/human.ts';
import type { Image } from '../publish/boot-resources.ts';
import type { StreamReport } from '../publish/stream.ts';
import type { UploadedImage, UploadReport } from '../publish/upload.ts';

/** What came of each artifact, and the command that deploys a custom image. */
export function reportText({ maas, images }: UploadReport): string {
  const rows = images.map((image) => [image.file, `${image.name} (${image.architecture})`, stateText(image)]);
  const digests = images.map(({ sha256, name }) => `sha256 ${sha256}  ${name}`);
  return [...columns(rows), ...digests, `MAAS ${maas.version} at ${maas.url}`].join('\n');
}

function stateText({ state, size, ms, bytesPerSecond }: UploadedImage): string {
  if (state === 'same') return 'is there already';
  if (state === 'kept') return 'another one is there and stays';
  return `${humanSize(size)} in ${humanDuration(ms ?? 0)}, ${humanSize(bytesPerSecond ?? 0)}/s`;
}

/** A line for each image with what its newest version is. */
export function imagesText(images: readonly Image[]): string {
  if (images.length === 0) return 'no uploaded images';
  const rows = images.map(({ name, architecture, title, baseImage, versions: [newest] }) => {
    if (newest === undefined) return [name, architecture, '', '', '', 'without a file', title];
    const { filetype, size, version, complete } = newest;
    return [
      name,
      architecture,
      filetype,
      humanSize(size),
      version,
      complete ? 'complete' : 'incomplete',
      title,
      baseImage ?? '',
    ];
  });
  return columns(
    [['name', 'architecture', 'kind', 'size', 'version', 'state', 'title', 'base image'], ...rows],
    [3],
  ).join('\n');
}

/** What was added, and the commands that make MAAS import it once the tree is served at an address. */
export function streamText({ root, signed, products }: StreamReport): string {
  const rows = products.map(({ os, release, arch, version, state }) => [
    `${os}/${release}`,
    arch,
    version,
    state === 'same' ? 'is there already' : 'added',
  ]);
  const source = signed ? 'url=$URL/ keyring_filename=$KEYRING' : 'url=$URL/streams/v1/index.json';
  const selections = products.map(
    ({ os, release, arch }) =>
      `maas $PROFILE boot-source-selections create $SOURCE os=${os} release=${release} arches=${arch} subarches='*' labels='*'`,
  );
  return [
    ...columns(rows),
    '',
    `serve ${root} at $URL${signed ? ' and give the region keyring.gpg of it as $KEYRING' : ''}; once, then`,
    `maas $PROFILE boot-sources create ${source}`,
    ...new Set(selections),
    'maas $PROFILE boot-resources import',
  ].join('\n');
}
