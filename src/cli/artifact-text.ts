import { columns, humanSize } from '../formats/human.ts';
import type { PackResult } from '../pack/pack.ts';
import { type MaasEntry, shellWord, uploadCommand } from '../pack/records.ts';

/** Where the artifacts are, how large, their digests, and the commands that upload them. */
export function artifactText(result: PackResult, maas: Partial<MaasEntry> & { readonly name: string }): string {
  const rows = result.artifacts.map((artifact) => [artifact.path, artifact.filetype, humanSize(artifact.size)]);
  const digests = result.artifacts.map((artifact) => `sha256 ${artifact.sha256}  ${artifact.file}`);
  const uploads = result.artifacts.map((artifact) => uploadCommand(artifact, maas));
  const checked = result.artifacts.map((artifact) => `compose upload ${shellWord(artifact.path)} --profile $PROFILE`);
  const lists = result.lists.map(({ kind, path }) => `${kind}: ${path}`);
  if (result.treeManifest !== undefined) lists.push(`files: ${result.treeManifest.path}`);
  return [
    ...columns(rows),
    ...digests,
    `sums: ${result.sums}`,
    ...lists,
    '',
    'upload to MAAS with',
    ...checked,
    'or',
    ...uploads,
  ].join('\n');
}
