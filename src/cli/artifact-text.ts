import { columns, humanSize } from '../formats/human.ts';
import { shellWord } from '../formats/shell-word.ts';
import type { PackResult } from '../pack/pack.ts';
import { type MaasEntry, uploadCommand } from '../pack/records.ts';
import type { VerifyReport } from '../verify/judge.ts';

/** How an artifact stands to the rules, and which ones a person should look at. */
function verifiedLines({ file, findings, rules }: VerifyReport): string[] {
  const open = findings.filter(({ allowed }) => allowed === undefined);
  const ids = [...new Set(open.map(({ rule }) => rule))];
  const allowed = [...new Set(findings.filter((one) => one.allowed !== undefined).map(({ rule }) => rule))];
  const passed = rules.filter(({ state }) => state === 'passed').length;
  const parts = [`${passed} rules hold`];
  if (ids.length > 0) parts.push(`warnings: ${ids.join(', ')}`);
  if (allowed.length > 0) parts.push(`allowed: ${allowed.join(', ')}`);
  return [`verified ${file}: ${parts.join('; ')}`];
}

/** Where the artifacts are, how large, their digests, and the commands that upload them. */
export function artifactText(result: PackResult, maas: Partial<MaasEntry> & { readonly name: string }): string {
  const rows = result.artifacts.map((artifact) => [artifact.path, artifact.filetype, humanSize(artifact.size)]);
  const digests = result.artifacts.map((artifact) => `sha256 ${artifact.sha256}  ${artifact.file}`);
  const { architecture } = result;
  const uploads = result.artifacts.map((artifact) => uploadCommand(artifact, { architecture, ...maas }));
  // A record without it is not uploaded: MAAS would take another system's way to unpack it.
  const base = maas.base_image || maas.name.includes('/') ? '' : ' --base-image $BASE_IMAGE';
  const checked = result.artifacts.map(({ path }) => `compose upload ${shellWord(path)} --profile $PROFILE${base}`);
  const lists = result.lists.map(({ kind, path }) => `${kind}: ${path}`);
  if (result.treeManifest !== undefined) lists.push(`files: ${result.treeManifest.path}`);
  const verified = (result.verified ?? []).flatMap(verifiedLines);
  return [
    ...columns(rows),
    ...digests,
    ...verified,
    `sums: ${result.sums}`,
    ...lists,
    '',
    'upload to MAAS with',
    ...checked,
    'or',
    ...uploads,
  ].join('\n');
}
