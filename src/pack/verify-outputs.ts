/** Holds what is about to be packed against the rules, at its source: the sealed tree, and the sealed disk. */
import { VerifyError } from '../errors.ts';
import { inPhase } from '../events.ts';
import type { ArtifactFacts, Facts } from '../verify/facts.ts';
import { judge, type VerifyReport } from '../verify/judge.ts';
import { treeMembers } from '../verify/member.ts';
import { allowsOf, offOf, type VerifySettings, wantsOf } from '../verify/settings.ts';
import { collectTree, ReadBefore } from '../verify/tree-facts.ts';
import { diskFacts, machineOf } from '../verify/verify.ts';
import { sealedDisk, type Work } from './content.ts';
import { FILE_TYPES, type FileType } from './filetypes.ts';
import { SealedTree } from './sealed-tree.ts';

/**
 * The reports of the filetypes that are asked for. What is read here is what the artifacts will hold, so that they need not
 * be read back; `--check` proves that they hold it.
 * @throws VerifyError `verify.failed` where an error is found that is not allowed; UsageError of the settings
 */
export async function verifyOutputs(work: Work, settings: VerifySettings): Promise<VerifyReport[]> {
  const { options, context } = work;
  const kept = options.freeBlocks === 'keep' ? ['hygiene.free-space'] : [];
  const judging = { allow: allowsOf(settings.allow), off: [...offOf(settings.off), ...kept] };
  const wants = wantsOf({ user: options.user, ...settings });
  const reports = await inPhase(
    context,
    'verify',
    async () => {
      const known = new Map<'tree' | 'disk', Omit<Facts, 'artifact'>>();
      const before = new ReadBefore();
      const made: VerifyReport[] = [];
      for (const filetype of options.filetypes) {
        const of = FILE_TYPES[filetype].content === 'tree' ? 'tree' : 'disk';
        const facts = known.get(of) ?? (await factsOf(work, of, before));
        known.set(of, facts);
        made.push(judge({ artifact: artifactFacts(work, filetype, wants), ...facts }, judging));
      }
      return made;
    },
    (all) => all.map(({ filetype, verdict }) => `${filetype} ${verdict}`).join(', '),
  );
  for (const { findings } of reports) {
    for (const { rule, severity, message, path, allowed } of findings) {
      if (severity === 'error' && allowed === undefined) continue;
      const what = `${rule}: ${path === undefined ? '' : `${path}: `}${message}`;
      context.emit({
        type: 'log',
        level: 'info',
        phase: 'verify',
        message: allowed === undefined ? what : `${what} (allowed: ${allowed})`,
      });
    }
  }
  const failed = reports.filter(({ verdict }) => verdict === 'fail');
  if (failed.length > 0) throw verifyFailed(failed);
  return reports;
}

async function factsOf(work: Work, of: 'tree' | 'disk', before: ReadBefore): Promise<Omit<Facts, 'artifact'>> {
  const { root, edits, context } = work;
  if (of === 'disk')
    return diskFacts({ source: await sealedDisk(work), members: undefined }, context.signal, [], before);
  if (root === undefined) return {};
  return collectTree(treeMembers(new SealedTree(root.tree, edits.tree)), context, before);
}

function artifactFacts({ options }: Work, filetype: FileType, wants: ArtifactFacts['wants']): ArtifactFacts {
  const { content, compression, suffix } = FILE_TYPES[filetype];
  const maas = { name: options.name, ...options.maas };
  return {
    ...{ file: `${options.name}.${suffix}`, filetype, declared: filetype, compression, isTar: content !== 'disk' },
    ...{ container: undefined, size: undefined, sha256: undefined, record: undefined },
    ...{ damage: undefined, unread: undefined },
    ...{ maas, machine: machineOf(maas.architecture), wants },
  };
}

const MOST_LINES = 30;

function verifyFailed(reports: readonly VerifyReport[]): VerifyError {
  const open = reports.flatMap(({ findings }) =>
    findings.filter(({ severity, allowed }) => severity === 'error' && allowed === undefined),
  );
  const ids = [...new Set(open.map(({ rule }) => rule))];
  const lines = new Set(
    open.map(
      ({ rule, path, message, title }) => `${rule}: ${title}: ${path === undefined ? '' : `${path}: `}${message}`,
    ),
  );
  return new VerifyError(
    'verify.failed',
    `Cannot pack ${reports.map(({ file }) => file).join(', ')}: ${ids.length === 1 ? 'a rule does' : `${ids.length} rules do`} not hold (${ids.slice(0, 6).join(', ')}${ids.length > 6 ? ', …' : ''})`,
    {
      hint: `docs/rules.md says why each rule is there and how to mend it. To let one pass: --allow 'RULE=the reason', or verify.allow of the recipe. Nothing was written.`,
      evidence: { findings: [...lines].slice(0, MOST_LINES) },
    },
  );
}
